import { internal } from "../../convex/_generated/api.js";
import { defineFunction } from "../define.ts";
import { heedDeadline } from "./deadline.ts";
import { rank } from "./offers.ts";

/** Finds a machine for a job and has it written down, with its money, before anybody is asked for it. */
export const placeGpuJob = defineFunction({
  kind: "machines.place",
  needs: ["state", "providers", "clock"],
  run: async ({ args: { gpuJobId }, signal }, { state, providers, clock }) => {
    if (!providers) return { type: "failed", code: "unavailable", message: "This worker rents nothing.", retry: false };
    const wanted = await state.mutation(internal.gpuJobs.placing, { gpuJobId });
    if (!wanted) return { type: "done" };
    const ranked = await rank(wanted.ask, { state, providers, now: clock.now(), signal });
    const { choices, says } = heedDeadline(wanted.ask, ranked, clock.now());
    signal.throwIfAborted();
    const { installId } = providers;
    await state.mutation(internal.gpuJobs.placed, { gpuJobId, installId, choices: [...choices], says });
    return { type: "done" };
  },
});
