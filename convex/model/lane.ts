/** What is promised to a kind of work: in which lane it goes, how often and how long it is tried, how many at a time. */
import { v, type Infer } from "convex/values";
import { ranks, type JobKind } from "./kinds.ts";

/**
 * Each lane has slots of its own on every worker, so that none waits for another: `now` is what somebody waits for, `work` what is
 * to happen, `bulk` what comes in thousands.
 */
export const vLane = v.union(v.literal("now"), v.literal("work"), v.literal("bulk"));
export type Lane = Infer<typeof vLane>;
export const lanes: readonly Lane[] = ["now", "work", "bulk"];

/** A door that at most `limit` jobs are through at a time, over all workers. */
export const vGate = v.object({ name: v.string(), limit: v.number() });
export type Gate = Infer<typeof vGate>;

export type Policy = {
  readonly lane: Lane;
  /** Within its lane a lower rank goes first. */
  readonly rank: number;
  /** At the same time, over all workers; as many as there are slots when absent. */
  readonly limit?: number;
  /** A run is told to stop after this. */
  readonly timeLimitMs: number;
  /** Tries that may fail, the first included. */
  readonly attemptsMax: number;
  /** Whether its row stays for a while once it is done; what failed stays in any case. */
  readonly isKept: boolean;
};

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Seven tries are spread over ten minutes on average: that outlasts a restart of anything we depend on, and no more than that. */
export const attemptsMax = 7;

const common: Omit<Policy, "rank"> = { lane: "work", timeLimitMs: hourMs, attemptsMax, isKept: true };

/** Only what differs from the common policy. */
const policies: { readonly [K in JobKind]?: Partial<Policy> } = {
  "documents.ingest": { lane: "bulk", timeLimitMs: 12 * hourMs },
  "documents.look": { lane: "bulk" },
  "models.train": { lane: "bulk", timeLimitMs: 4 * hourMs },
  "models.compare": { lane: "bulk", timeLimitMs: 2 * hourMs, attemptsMax: 2 },
  "models.tune": { lane: "bulk", timeLimitMs: 12 * hourMs },
  // Beside what is read meanwhile, not in its place.
  "models.deploy": { timeLimitMs: 48 * hourMs },
  "models.rollback": { lane: "now" },
  "batches.decide": { timeLimitMs: 6 * hourMs },
  // Many in the life of one run, which keeps its own story. Its steps have limits of their own, none longer than this.
  "runs.advance": { timeLimitMs: 12 * hourMs, isKept: false },
  // Somebody looks on, and two at a time would only wait for the same disk. Fetching is bounded by itself.
  "servers.install": { limit: 1, attemptsMax: 3 },
  // Asked again within the hour anyway.
  "servers.mirror": { attemptsMax: 4 },
  // Each asks a vendor and writes down what it said. What is lost is asked for again by the reaper.
  "machines.place": { limit: 4, timeLimitMs: 2 * minuteMs, attemptsMax: 3, isKept: false },
  "machines.create": { timeLimitMs: 4 * minuteMs, attemptsMax: 3, isKept: false },
  "machines.end": { lane: "now", timeLimitMs: 2 * minuteMs, attemptsMax: 3, isKept: false },
  "machines.look": { lane: "now", timeLimitMs: 4 * minuteMs, attemptsMax: 2, isKept: false },
  "machines.sweep": { timeLimitMs: 5 * minuteMs, attemptsMax: 2, isKept: false },
  // Comes again in half a minute.
  "machines.scale": { timeLimitMs: minuteMs, attemptsMax: 1, isKept: false },
  "jobs.check": { lane: "now", timeLimitMs: 10_000, isKept: false },
};

export function policyOf(kind: JobKind): Policy {
  return { ...common, rank: ranks[kind], ...policies[kind] };
}

/** The doors that a job goes through, in the one order in which all jobs go through them, so that no two wait for each other. */
export function gatesOf(kind: JobKind, work: { readonly key?: string; readonly gates?: readonly Gate[] }): Gate[] {
  const { limit } = policyOf(kind);
  const gates = [
    ...(work.gates ?? []),
    ...(work.key === undefined ? [] : [{ name: `key ${work.key}`, limit: 1 }]),
    ...(limit === undefined ? [] : [{ name: `kind ${kind}`, limit }]),
  ];
  return gates.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Slots of each lane on a worker that reads `slots` files at a time. The first two lanes mostly wait for others. */
export function laneSlots(slots: number): Record<Lane, number> {
  return { now: Math.max(4, slots), work: Math.max(2, slots), bulk: slots };
}

/**
 * The same while the machine has other things to do and only `allowed` of `bulk` slots may be used. What somebody waits for is never held
 * up.
 */
export function throttled(slots: Readonly<Record<Lane, number>>, allowed: number): Record<Lane, number> {
  const share = Math.min(1, allowed / slots.bulk);
  return { now: slots.now, work: Math.max(1, Math.ceil(slots.work * share)), bulk: Math.min(slots.bulk, allowed) };
}
