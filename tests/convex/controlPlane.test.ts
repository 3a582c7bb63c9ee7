import { controlPlaneContract } from "../contracts/controlPlane.ts";
import { intakeContract } from "../contracts/intake.ts";
import { openFakeState } from "../fakes/state.ts";

controlPlaneContract("in memory", async () => openFakeState());
intakeContract("in memory", async () => openFakeState());
