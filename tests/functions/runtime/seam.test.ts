import { seamContract } from "../../contracts/seam.ts";
import { openFakeState } from "../../fakes/state.ts";

seamContract("in memory", async () => openFakeState());
