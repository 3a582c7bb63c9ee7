/**
 * What is believed of a place where machines may be had: whether one can be had there now, how soon it works, how often it is taken away.
 * Beliefs begin with what the vendor says of its stock, follow what befell us, and go back to the beginning within hours. Pure: `now` is
 * handed in.
 */
import { v, type Infer } from "convex/values";
import { vFailureKind, vProviderId, vScope, type Failure, type Offer, type Scope } from "./gpu.ts";

/** Provider, zone, type and whether it is spot: what one belief is about. */
export function placeOf({ provider, region, zone, type, isSpot }: Place): string {
  return `${provider}/${zone ?? region}/${type}${isSpot ? "/spot" : ""}`;
}
export type Place = Pick<Offer, "provider" | "region" | "zone" | "type" | "isSpot">;

/** What befell us at one place, each number fading by half in `halfLifeMs`. One row a place. */
export const vEvidence = v.object({
  place: v.string(),
  /** Machines had, and refused for want of capacity. */
  had: v.number(),
  refused: v.number(),
  /** Hours that machines ran, and machines that were taken away. */
  hours: v.number(),
  lost: v.number(),
  /** From asking to first work, ms; a mean in which the last boots count most. */
  bootMs: v.optional(v.number()),
  /** As of when the numbers are, ms since 1970. */
  at: v.number(),
});
export type Evidence = Infer<typeof vEvidence>;

export type News =
  | { readonly type: "had"; readonly bootMs?: number }
  | { readonly type: "refused" }
  /** It ran that long since it was last told of. */
  | { readonly type: "ran"; readonly ms: number }
  | { readonly type: "lost" };

/** Capacity comes and goes within hours: facts of this morning say little of tonight. */
export const halfLifeMs = 6 * 3_600_000;
const hourMs = 3_600_000;
/** How much the last boot moves the mean. */
const bootWeight = 0.3;

const faded = (value: number, ageMs: number): number => value * 0.5 ** (Math.max(0, ageMs) / halfLifeMs);

/** The belief after one more thing that happened. */
export function learn(place: string, before: Evidence | undefined, news: News, now: number): Evidence {
  const age = before ? now - before.at : 0;
  const next = {
    place,
    had: faded(before?.had ?? 0, age),
    refused: faded(before?.refused ?? 0, age),
    hours: faded(before?.hours ?? 0, age),
    lost: faded(before?.lost ?? 0, age),
    ...(before?.bootMs !== undefined && { bootMs: before.bootMs }),
    at: Math.max(now, before?.at ?? now),
  };
  if (news.type === "refused") return { ...next, refused: next.refused + 1 };
  if (news.type === "lost") return { ...next, lost: next.lost + 1 };
  if (news.type === "ran") return { ...next, hours: next.hours + Math.max(0, news.ms) / hourMs };
  const had = { ...next, had: next.had + 1 };
  if (news.bootMs === undefined) return had;
  return { ...had, bootMs: next.bootMs === undefined ? news.bootMs : next.bootMs + bootWeight * (news.bootMs - next.bootMs) };
}

/** Two counts of imagined cases, as if seen before anything was: the seed of a Beta estimate. */
type Seed = { readonly yes: number; readonly no: number };

/** Refused and had, by what the vendor says of its stock. Vendors overstate: "high" still fails now and then. */
const capacitySeeds: Readonly<Record<Offer["stock"], Seed>> = {
  none: { yes: 3.8, no: 0.2 },
  low: { yes: 1.6, no: 2.4 },
  medium: { yes: 0.6, no: 3.4 },
  high: { yes: 0.2, no: 3.8 },
  unknown: { yes: 0.6, no: 2.4 },
};
/** Taken away, and hours survived. Spot runs of the public traces last 0.7 to 10.4 h on average, by zone. */
const spotSeed: Seed = { yes: 1, no: 3 };
const onDemandSeed: Seed = { yes: 0.001, no: 4 };

export type Odds = {
  /** Chance that asking brings no machine, 0 to 1. */
  readonly noCapacity: number;
  /** Chance that a machine which runs is taken away within an hour, 0 to 1. */
  readonly lostHourly: number;
  readonly bootMs?: number;
};

/** Means of the Beta estimates. */
export function oddsOf(offer: Pick<Offer, "stock" | "isSpot">, evidence: Evidence | undefined, now: number): Odds {
  const age = evidence ? now - evidence.at : 0;
  const seen = (value: number | undefined): number => faded(value ?? 0, age);
  const mean = (seed: Seed, yes: number, no: number): number => (seed.yes + yes) / (seed.yes + seed.no + yes + no);
  const [refused, had, lost, hours] = [seen(evidence?.refused), seen(evidence?.had), seen(evidence?.lost), seen(evidence?.hours)];
  return {
    noCapacity: mean(capacitySeeds[offer.stock], refused, had),
    lostHourly: mean(offer.isSpot ? spotSeed : onDemandSeed, lost, hours),
    ...(evidence?.bootMs !== undefined && { bootMs: evidence.bootMs }),
  };
}

/** What is not worth asking for until a time: the negative cache, and with scope `provider` the circuit breaker. */
export const vBlock = v.object({
  /** What it covers, as `blockName` says: one row each. */
  name: v.string(),
  provider: vProviderId,
  scope: vScope,
  until: v.number(),
  /** In a row, so that each waits twice as long as the one before. */
  failures: v.number(),
  says: v.string(),
  kind: v.optional(vFailureKind),
});
export type Block = Infer<typeof vBlock>;

const firstBlockMs = 60_000;
/** A breaker is never open for longer, whatever the vendor did. */
export const blockMaxMs = 30 * 60_000;
/** What no waiting mends within minutes: the owner has to do something. */
const lastingKinds: ReadonlySet<Failure["kind"]> = new Set(["auth", "forbidden", "balance", "quota"]);

/** What a failure of that scope covers, around the offer that was asked for. */
export function blockName(offer: Place, scope: Scope): string {
  const { provider, region, zone } = offer;
  if (scope === "type") return placeOf(offer);
  if (scope === "zone") return `${provider}/zone/${zone ?? region}`;
  if (scope === "region") return `${provider}/region/${region}`;
  return `${provider}/*`;
}

/** What a failure closes, and for how long. `before` is the block under the same name, whether or not it is over. */
export function blockFor(offer: Place, failure: Failure, before: Block | undefined, now: number): Block {
  const { provider } = offer;
  const { kind, scope, says, retryAfterMs } = failure;
  const isRecent = before !== undefined && now - before.until < blockMaxMs;
  // What was asked for before it closed says nothing new.
  const failures = !isRecent ? 1 : before.until > now ? before.failures : before.failures + 1;
  const doubling = lastingKinds.has(kind) ? blockMaxMs : Math.min(blockMaxMs, firstBlockMs * 2 ** (failures - 1));
  const waitMs = Math.min(blockMaxMs, Math.max(retryAfterMs ?? 0, doubling));
  return { name: blockName(offer, scope), provider, scope, until: now + waitMs, failures, says, kind };
}

/** Whether room that was just made may mend it. */
export const isForWantOfRoom = ({ kind }: Block): boolean => kind === "noCapacity" || kind === "quota";

/** All that an offer may be kept out by. */
export const blockNames = (offer: Place): readonly string[] =>
  (["type", "zone", "region", "provider"] as const).map((scope) => blockName(offer, scope));

/** The block that keeps an offer out now, the longest if there are several. */
export function findBlock(offer: Place, blocks: readonly Block[], now: number): Block | undefined {
  const names = new Set(blockNames(offer));
  return blocks
    .filter((block) => block.until > now && names.has(block.name))
    .toSorted((a, b) => b.until - a.until)
    .at(0);
}
