import { internal } from "../../convex/_generated/api.js";
import type { ProviderId } from "../../convex/model/gpu.ts";
import { workerLifeMs, type ScalingWhere } from "../../convex/model/scaling.ts";
import { defineFunction } from "../define.ts";
import type { Providers } from "../ports/gpu.ts";
import type { Workers } from "../ports/workers.ts";
import { rank, type Ranked } from "./offers.ts";

/** Looks what could be had for the work that waits; whether to rent it, and what to let go, is decided in the control plane. */
export const scaleMachines = defineFunction({
  kind: "machines.scale",
  needs: ["state", "providers", "workers", "clock"],
  run: async ({ signal }, { state, providers, workers, clock }) => {
    if (!providers || !workers)
      return { type: "failed", code: "unavailable", message: "This worker rents nothing.", retry: false };
    const plan = await state.query(internal.scaling.errand, {});
    const { choices, says } = plan
      ? await find(plan.where, { providers, workers, rank: (ask) => rank(ask, { state, providers, now: clock.now(), signal }) })
      : { choices: [], says: undefined };
    signal.throwIfAborted();
    const { installId } = providers;
    await state.mutation(internal.scaling.look, { installId, choices: [...choices], ...(says !== undefined && { says }) });
    return { type: "done" };
  },
});

type Finding = {
  readonly providers: Providers;
  readonly workers: Workers;
  readonly rank: (ask: Parameters<typeof rank>[0]) => Promise<Ranked>;
};

/** Best first, without machines that could not reach this appliance, or that it could not start. */
async function find(where: ScalingWhere, { providers, workers, rank: ranked }: Finding): Promise<Ranked> {
  const { isInEu, maySpot, cpus, memoryMb, image } = where;
  const only: readonly ProviderId[] = where.providers ?? providers.list().filter((id) => id !== "local");
  const { choices, says } = await ranked({
    need: { cpus, memoryMb, ...(isInEu && { isInEu }), ...(maySpot && { maySpot }) },
    runMsMax: workerLifeMs,
    providers: [...only],
  });
  const problems = new Set<string>();
  const usable = choices.filter(({ offer }) => {
    const problem = workers.problem({ ...offer, image });
    if (problem !== undefined) problems.add(problem);
    return problem === undefined;
  });
  if (only.length === 0) return { choices: [], says: "No provider of machines is set up; see `nika gpu connect`." };
  return { choices: usable, says: [usable.length > 0 || problems.size === 0 ? says : "", ...problems].filter(Boolean).join(" ") };
}
