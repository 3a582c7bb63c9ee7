/** Ends everything that carries our mark, at all providers, side by side, without the database: `nika gpu panic`. */
import type { ProviderId } from "../../convex/model/gpu.ts";
import { judge } from "../../convex/model/sweep.ts";
import type { Clock } from "../ports/clock.ts";
import type { Provider, Providers } from "../ports/gpu.ts";
import { failureOf } from "./create.ts";
import { listAll } from "./look.ts";
import { endOne, type SweptThing } from "./sweep.ts";

const roundsMax = 20;
const cleanListsWanted = 2;

export type Panicked = {
  readonly ended: readonly SweptThing[];
  /** Accounts that were not seen empty twice, and why. What is there may still cost money. */
  readonly left: readonly { readonly provider: ProviderId; readonly says: string }[];
};

type Options = {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Between two looks at an account. */
  readonly wait: (ms: number) => Promise<void>;
};

export async function panicAll(providers: Providers, options: Options): Promise<Panicked> {
  const { installId } = providers;
  const rounds = await Promise.all(
    providers.list().map(async (id): Promise<Panicked> => {
      try {
        return await panicAt(await providers.open(id), { ...options, installId });
      } catch (error) {
        options.signal.throwIfAborted();
        return { ended: [], left: [{ provider: id, says: failureOf(error, "transient").says }] };
      }
    }),
  );
  return { ended: rounds.flatMap(({ ended }) => ended), left: rounds.flatMap(({ left }) => left) };
}

/** Says it again until two lists, half a minute apart, show nothing of ours. */
async function panicAt(
  provider: Provider,
  { installId, clock, signal, wait }: Options & { readonly installId: string },
): Promise<Panicked> {
  const ended = new Map<string, SweptThing>();
  let clean = 0;
  let says = "Something of ours is still there.";
  for (let round = 0; round < roundsMax && clean < cleanListsWanted; round += 1) {
    signal.throwIfAborted();
    if (round > 0) await wait(Math.max(15_000 * Math.min(round, 4), clean > 0 ? provider.capability.listLagMs : 0));
    try {
      const listed = await listAll(provider, signal);
      const left = listed.filter((one) => ["ours", "overdue"].includes(judge(one, { installId, now: clock.now() })));
      clean = left.length === 0 ? clean + 1 : 0;
      for (const observed of left) {
        const told = await endOne(provider, observed, signal);
        ended.set(`${observed.ref.region}/${observed.ref.id}`, { provider: provider.id, observed, verdict: "ours", ...told });
        if (told.says !== undefined) says = told.says;
      }
    } catch (error) {
      signal.throwIfAborted();
      says = failureOf(error, "transient").says;
    }
  }
  return { ended: [...ended.values()], left: clean >= cleanListsWanted ? [] : [{ provider: provider.id, says }] };
}
