import { seamContract } from "../../contracts/seam.ts";
import { openEngineLab } from "../../convex/engineLab.ts";

seamContract("on the engine", openEngineLab);
