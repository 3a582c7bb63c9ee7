/** What can be had of all providers that are set up, ranked; asked for once a minute at most, so that a thousand jobs ask like one. */
import { internal } from "../../convex/_generated/api.js";
import { choose, type Chosen } from "../../convex/model/choose.ts";
import type { Capability, Need, Offer, ProviderId } from "../../convex/model/gpu.ts";
import { bootAllowanceMs, type GpuAsk } from "../../convex/model/gpuJob.ts";
import { isForWantOfRoom, oddsOf, placeOf } from "../../convex/model/posterior.ts";
import { ProviderError, type Providers } from "../ports/gpu.ts";
import type { State } from "../ports/state.ts";

const keptMs = 60_000;
const choicesMax = 12;

type Shelf = {
  readonly at: number;
  readonly offers: readonly Offer[];
  readonly capabilities: ReadonlyMap<ProviderId, Capability>;
};
export type Found = Shelf & { readonly failures: readonly string[] };
const shelves = new WeakMap<Providers, Map<string, Promise<Found>>>();

type Asking = {
  readonly providers: Providers;
  readonly only?: readonly string[] | undefined;
  readonly now: number;
  readonly signal: AbortSignal;
};

/** Machines of the owner's own: how much room they have changes with each piece of work, and asking costs nothing. */
const own: ReadonlySet<ProviderId> = new Set(["local", "ssh"]);

/** A machine there was made or ended: what is offered is asked for anew. */
export function forgetOffers(providers: Providers, of: ProviderId): void {
  if (own.has(of)) shelves.delete(providers);
}

/** One provider that does not answer does not keep the others' offers back. */
export async function offersFor(need: Need, asking: Asking): Promise<Found> {
  const { providers, only, now } = asking;
  const shelf = shelves.get(providers) ?? new Map<string, Promise<Found>>();
  shelves.set(providers, shelf);
  const name = JSON.stringify([need, only]);
  const kept = await shelf.get(name)?.catch(() => undefined);
  if (kept && now - kept.at < keptMs && now >= kept.at) return kept;
  const fresh = ask(need, asking);
  shelf.set(name, fresh);
  if (shelf.size > 100) shelf.delete(shelf.keys().next().value ?? name);
  return fresh;
}

async function ask(need: Need, { providers, only, now, signal }: Asking): Promise<Found> {
  const capabilities = new Map<ProviderId, Capability>();
  const failures: string[] = [];
  const ids = providers.list().filter((id) => only === undefined || only.includes(id));
  const found = await Promise.all(
    ids.map(async (id) => {
      try {
        const provider = await providers.open(id);
        capabilities.set(id, provider.capability);
        return await provider.offers(need, signal);
      } catch (error) {
        signal.throwIfAborted();
        failures.push(`${id}: ${error instanceof ProviderError ? error.failure.says : "did not answer."}`);
        return [];
      }
    }),
  );
  return { at: now, offers: found.flat(), capabilities, failures };
}

export type Ranked = {
  readonly choices: readonly { readonly offer: Offer; readonly capability: Capability }[];
  readonly says: string;
};

type Asked = Pick<GpuAsk, "need" | "runMsMax" | "costMax" | "providers">;
type Weighing = {
  readonly state: State;
  readonly providers: Providers;
  readonly now: number;
  readonly signal: AbortSignal;
  /** What is in use now will do, where it is the owner's own and comes free by itself. */
  readonly mayWait?: boolean;
};
export type Weighed = Chosen & {
  readonly capabilities: Found["capabilities"];
  /** Providers that did not say what they have. */
  readonly failures: readonly string[];
};

/** All that can be had now, best first, and what will not do; nothing is written down. */
export async function weigh(ask: Asked, { state, providers, now, signal, mayWait = false }: Weighing): Promise<Weighed> {
  const { offers: found, capabilities, failures } = await offersFor(ask.need, { providers, only: ask.providers, now, signal });
  const { blocks: closed, evidence, usdPerEur, proven } = await state.query(internal.machines.outlook, { now });
  const comesFree = (provider: ProviderId): boolean => mayWait && own.has(provider);
  const offers = found.map((one) => (one.stock === "none" && comesFree(one.provider) ? { ...one, stock: "low" as const } : one));
  const blocks = closed.filter((one) => !(comesFree(one.provider) && isForWantOfRoom(one)));
  const known = new Map(evidence.map((one) => [one.place, one]));
  const errand = {
    need: ask.need,
    bootMs: bootAllowanceMs / 3,
    runMs: ask.runMsMax,
    ...(ask.costMax && { costMax: ask.costMax }),
  };
  const chosen: Chosen = choose(errand, offers, {
    now,
    blocks,
    usdPerEur,
    oddsOf: (offer) => oddsOf(offer, known.get(placeOf(offer)), now),
    hasProvenTtl: (provider) => proven.includes(provider),
  });
  return { ...chosen, capabilities, failures };
}

/** Best first, with why. */
export async function rank(ask: Asked, weighing: Weighing): Promise<Ranked> {
  const { choices: all, capabilities, failures, says } = await weigh(ask, weighing);
  const choices = all.slice(0, choicesMax).flatMap(({ offer }) => {
    const capability = capabilities.get(offer.provider);
    return capability ? [{ offer, capability }] : [];
  });
  return { choices, says: [says, ...failures].join(" ") };
}
