import { internal } from "../../convex/_generated/api.js";
import { defineFunction } from "../define.ts";
import { failureOf } from "./create.ts";
import { forgetOffers } from "./offers.ts";

/** Tells a machine's provider to end it. Whether it did is for looking to say. */
export const endMachine = defineFunction({
  kind: "machines.end",
  needs: ["state", "providers"],
  run: async ({ args: { machineId }, signal }, { state, providers }) => {
    if (!providers) return { type: "failed", code: "unavailable", message: "This worker rents nothing.", retry: false };
    const ref = await state.query(internal.machines.toEnd, { machineId });
    if (!ref) return { type: "done" };
    try {
      const provider = await providers.open(ref.provider);
      await provider.terminate(ref, signal);
      forgetOffers(providers, ref.provider);
    } catch (error) {
      signal.throwIfAborted();
      await state.mutation(internal.machines.endSaid, { machineId, failure: failureOf(error, "transient") });
      return { type: "done" };
    }
    await state.mutation(internal.machines.endSaid, { machineId });
    return { type: "done" };
  },
});
