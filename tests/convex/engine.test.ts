import { controlPlaneContract } from "../contracts/controlPlane.ts";
import { openEngineLab } from "./engineLab.ts";

controlPlaneContract("on the engine", openEngineLab);
