import { controlPlaneContract } from "../contracts/controlPlane.ts";
import { seamContract } from "../contracts/seam.ts";
import { openEngineLab } from "./engineLab.ts";

controlPlaneContract("on the engine", openEngineLab);
seamContract("on the engine", openEngineLab);
