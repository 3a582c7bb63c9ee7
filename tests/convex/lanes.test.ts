/** Lanes, doors, keys, delays and dead letters, as the control plane keeps them. */
import { lanesContract } from "../contracts/lanes.ts";
import { openFakeState } from "../fakes/state.ts";
import { openEngineLab } from "./engineLab.ts";

lanesContract("in memory", async () => openFakeState());
lanesContract("on the engine", openEngineLab);
