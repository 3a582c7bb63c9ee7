import type { FunctionReturnType } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import type { Failure, Observed } from "../../convex/model/gpu.ts";
import { defineFunction } from "../define.ts";
import type { Provider } from "../ports/gpu.ts";
import { failureOf } from "./create.ts";

type Sought = FunctionReturnType<typeof internal.machines.toLook>[number];
type Id = Sought["machineId"];

/** In short writes: one of hundreds would hold up all others. */
const writtenMax = 25;

/** One list serves for all of a provider's machines that are to be looked at; who is not on it is asked about by itself. */
export const lookAtMachines = defineFunction({
  kind: "machines.look",
  needs: ["state", "providers", "clock"],
  run: async ({ args: { provider: id }, signal }, { state, providers, clock }) => {
    if (!providers) return { type: "failed", code: "unavailable", message: "This worker rents nothing.", retry: false };
    const sought = await state.query(internal.machines.toLook, { provider: id, now: clock.now() });
    if (sought.length === 0) return { type: "done" };
    const looks: { machineId: Id; found: Observed[] }[] = [];
    const failedIds: Id[] = [];
    let failure: Failure | undefined;
    try {
      const provider = await providers.open(id);
      const listed = await listAll(provider, signal);
      for (const one of sought) {
        try {
          looks.push({ machineId: one.machineId, found: await find(provider, one, listed, signal) });
        } catch (error) {
          signal.throwIfAborted();
          failedIds.push(one.machineId);
          failure = failureOf(error, "transient");
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      const seen = new Set([...looks.map(({ machineId }) => machineId), ...failedIds]);
      failedIds.push(...sought.flatMap(({ machineId }) => (seen.has(machineId) ? [] : [machineId])));
      failure = failureOf(error, "transient");
    }
    signal.throwIfAborted();
    for (let from = 0; from < Math.max(looks.length, failedIds.length); from += writtenMax) {
      const machineIds = failedIds.slice(from, from + writtenMax);
      await state.mutation(internal.machines.looked, {
        looks: looks.slice(from, from + writtenMax),
        ...(failure && { failed: { machineIds, failure } }),
      });
    }
    return { type: "done" };
  },
});

export async function listAll(provider: Provider, signal: AbortSignal): Promise<Observed[]> {
  const listed: Observed[] = [];
  for await (const one of provider.list(signal)) listed.push(one);
  return listed;
}

/** All that there is under its name. What a list leaves out may be there all the same; what has another name by now is another's. */
async function find(provider: Provider, sought: Sought, listed: readonly Observed[], signal: AbortSignal): Promise<Observed[]> {
  const { name, key, ref } = sought;
  const isIts = (one: Observed): boolean => one.name === name || one.machineId === key;
  const found = listed.filter((one) => isIts(one));
  if (ref === undefined || found.some((one) => one.ref.id === ref.id)) return found;
  const described = await provider.describe(ref, signal);
  return described && isIts(described) ? [...found, described] : found;
}
