import { controlPlaneContract } from "../contracts/controlPlane.ts";
import { openFakeState } from "../fakes/state.ts";

controlPlaneContract("in memory", async () => openFakeState());
