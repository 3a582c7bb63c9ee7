import { controlPlaneContract } from "../contracts/controlPlane.ts";
import { intakeContract } from "../contracts/intake.ts";
import { openEngineLab } from "./engineLab.ts";

controlPlaneContract("on the engine", openEngineLab);
// The rest is rules that were tried in memory; these ask for indexes, pages and scheduled calls.
intakeContract("on the engine", openEngineLab, "a batch that is");
intakeContract("on the engine", openEngineLab, "versions");
