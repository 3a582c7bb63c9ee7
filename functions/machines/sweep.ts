/**
 * The third killer: reads providers' accounts and ends what is ours and past its time, by what things carry themselves. Needs no database, so
 * that anybody with the keys can do it: the job here, and `nika gpu sweep` while Nika is down.
 */
import { internal } from "../../convex/_generated/api.js";
import type { Observed, ProviderId } from "../../convex/model/gpu.ts";
import { judge, type Verdict } from "../../convex/model/sweep.ts";
import { defineFunction } from "../define.ts";
import type { Clock } from "../ports/clock.ts";
import type { Provider, Providers } from "../ports/gpu.ts";
import type { State } from "../ports/state.ts";
import { failureOf } from "./create.ts";
import { listAll } from "./look.ts";

export type SweptThing = {
  readonly provider: ProviderId;
  readonly observed: Observed;
  readonly verdict: Verdict;
  /** Set when it was told to end, or could not be. */
  readonly ended?: "accepted" | "gone" | "failed";
  readonly says?: string;
};
export type Swept = {
  readonly things: readonly SweptThing[];
  readonly failures: readonly { provider: ProviderId; says: string }[];
};

type Options = {
  readonly installId: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Only tells what it would do. */
  readonly isDryRun?: boolean;
};

/** All accounts that are set up, side by side. One that cannot be read is told and does not hold up the others. */
export async function sweepAll(providers: Providers, options: Omit<Options, "installId">): Promise<Swept> {
  const failures: { provider: ProviderId; says: string }[] = [];
  const things = await Promise.all(
    providers.list().map(async (id) => {
      try {
        return await sweepAccount(await providers.open(id), { ...options, installId: providers.installId });
      } catch (error) {
        options.signal.throwIfAborted();
        failures.push({ provider: id, says: failureOf(error, "transient").says });
        return [];
      }
    }),
  );
  return { things: things.flat(), failures };
}

/** Fails when the account could not be read to its end. */
export async function sweepAccount(provider: Provider, { installId, clock, signal, isDryRun }: Options): Promise<SweptThing[]> {
  const listed = await listAll(provider, signal);
  const now = clock.now();
  const things: SweptThing[] = [];
  for (const observed of listed) {
    const verdict = judge(observed, { installId, now });
    const thing = { provider: provider.id, observed, verdict };
    things.push(verdict === "overdue" && isDryRun !== true ? { ...thing, ...(await endOne(provider, observed, signal)) } : thing);
  }
  return things;
}

export async function endOne(
  provider: Provider,
  { ref }: Observed,
  signal: AbortSignal,
): Promise<Pick<SweptThing, "ended"> & { readonly says?: string }> {
  try {
    return { ended: await provider.terminate(ref, signal) };
  } catch (error) {
    signal.throwIfAborted();
    return { ended: "failed", says: failureOf(error, "transient").says };
  }
}

const writtenMax = 25;
const foreignMax = 100;

/** In short writes: with thousands of machines one would hold up all others. */
async function writeDown(
  state: State,
  { id: provider, capability }: Provider,
  observed: readonly Observed[],
  { installId, signal }: { readonly installId: string; readonly signal: AbortSignal },
): Promise<void> {
  const ours = observed.filter((one) => one.installId === installId);
  const foreign = observed.filter((one) => one.installId !== installId).slice(0, foreignMax);
  const since = await state.mutation(internal.gpuSweeps.compared, { capability, observed: ours.slice(0, writtenMax) });
  for (let from = writtenMax; from < ours.length; from += writtenMax) {
    signal.throwIfAborted();
    await state.mutation(internal.gpuSweeps.compared, { capability, observed: ours.slice(from, from + writtenMax) });
  }
  const whole = { provider, since, ours: ours.length, foreign };
  while (await state.mutation(internal.gpuSweeps.swept, whole)) signal.throwIfAborted();
}

/** The same as a job, and compared with what stands in the database. */
export const sweepMachines = defineFunction({
  kind: "machines.sweep",
  needs: ["state", "providers", "clock"],
  run: async ({ args: { provider: id }, signal }, { state, providers, clock }) => {
    if (!providers) return { type: "failed", code: "unavailable", message: "This worker rents nothing.", retry: false };
    const { installId } = providers;
    try {
      const provider = await providers.open(id);
      const things = await sweepAccount(provider, { installId, clock, signal });
      const observed = things.map((thing) => thing.observed);
      signal.throwIfAborted();
      await writeDown(state, provider, observed, { installId, signal });
    } catch (error) {
      signal.throwIfAborted();
      await state.mutation(internal.gpuSweeps.failed, { provider: id, failure: failureOf(error, "transient").says });
    }
    return { type: "done" };
  },
});
