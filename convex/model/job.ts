/** The whole life of a job, as values. No clock, no database: callers pass `now`. */
import { v, type Infer } from "convex/values";
import { problemMessages, vProblem, vProgress, vReading } from "./document.ts";
import { codes } from "./error.ts";
import { vKind } from "./kinds.ts";
import { attemptsMax, vGate, vLane } from "./lane.ts";
import { vWording } from "./sketch.ts";
import { vProfile } from "./theme.ts";
import { vInvoked } from "./userFunction.ts";

/**
 * ready → leased → done | dead | cancelled, and back to ready for another try. A delayed try is `ready` with `readyAt` in the future.
 */
export const vJobState = v.union(
  v.literal("ready"),
  v.literal("leased"),
  v.literal("done"),
  v.literal("dead"),
  v.literal("cancelled"),
);
export type JobState = Infer<typeof vJobState>;

/** What a function reports. Throwing is for the unexpected; the runtime turns it into `failed`. */
export const vOutcome = v.union(
  v.object({
    type: v.literal("done"),
    result: v.optional(
      v.union(
        v.object({ type: v.literal("read"), reading: vReading, wording: v.optional(vWording), profile: v.optional(vProfile) }),
        v.object({ type: v.literal("unreadable"), problem: vProblem }),
        /** What came of it, for the owner to read. */
        v.object({ type: v.literal("said"), text: v.string() }),
        vInvoked,
      ),
    ),
  }),
  v.object({ type: v.literal("snoozed"), delayMs: v.number() }),
  v.object({
    type: v.literal("failed"),
    code: v.string(),
    message: v.string(),
    retry: v.boolean(),
    /** Who refused it said when to come back: then that is when, and not when we would. */
    retryAfterMs: v.optional(v.number()),
  }),
);
export type Outcome = Infer<typeof vOutcome>;

/** Why a job failed, for the owner. */
export const vFailure = v.object({ code: v.string(), message: v.string() });
export type Failure = Infer<typeof vFailure>;

/** When a job is due that waits for something else than a time. */
export const parkedUntil = Number.MAX_SAFE_INTEGER;

/** What befell a job, kept on its row so that a dead one can tell its story. */
export const vJobEvent = v.object({
  at: v.number(),
  what: v.union(v.literal("failed"), v.literal("orphaned"), v.literal("cancelled"), v.literal("redriven")),
  attempt: v.number(),
  code: v.optional(v.string()),
  message: v.optional(v.string()),
});
export type JobEvent = Infer<typeof vJobEvent>;
const historyMax = 20;

/** The newest last; the oldest are forgotten. */
export const noted = (history: readonly JobEvent[] | undefined, event: JobEvent): JobEvent[] =>
  [...(history ?? []), event].slice(-historyMax);

/** The lease token decides who owns a job. Clocks drift; a late worker must lose even if it believes it still has time. */
export const vLease = v.object({
  workerId: v.id("workers"),
  /** The worker's incarnation: a restarted worker has a higher one, and all leases of the lower ones are void. */
  epoch: v.number(),
  token: v.string(),
  startedAt: v.number(),
});

/** The part of a job its life depends on. */
export type JobLife = {
  readonly state: JobState;
  /** Tries begun, the running one included. A try that ended by a snooze or by its worker's death does not stay counted. */
  readonly attempts: number;
  /** Workers that died while holding it. */
  readonly deaths: number;
  /** The owner asked to stop it while it was leased. */
  readonly cancelAsked?: boolean;
};

/** What becomes of it. */
export type JobStep = {
  readonly state: JobState;
  /** When it may be tried again, or when it ended. */
  readonly readyAt: number;
  readonly attempts: number;
  readonly deaths: number;
  readonly error?: Failure;
  /** For its history. */
  readonly event?: JobEvent;
};

/** What a wait depends on beside the job itself. `chance` is random, from 0 to 1: jobs that failed together must not come back together. */
export type Terms = { readonly chance: number; readonly attemptsMax: number };
/** The longest waits: what tests and people who want to know the worst ask for. */
const longest: Terms = { chance: 1, attemptsMax };
/** A server may ask for patience, but not for so much that nobody remembers. */
const retryAfterMaxMs = 24 * 3_600_000;

/** A job whose worker died under it this often is taken to be what kills it. */
export const deathsMax = 8;
const backoffMaxMs = 15 * 60_000;

/** Longest wait after the n-th failed try: 1 s, 4 s, 16 s, … at most a quarter of an hour. The wait itself is anything up to that. */
export function backoffMs(failures: number): number {
  return Math.min(1_000 * 4 ** Math.max(0, failures - 1), backoffMaxMs);
}

/** Wait after the n-th death: none after the first, most likely an accident; then as after a failure. */
export function deathBackoffMs(deaths: number): number {
  return deaths <= 1 ? 0 : backoffMs(deaths - 1);
}

export const isOpen = (state: JobState): boolean => state === "ready" || state === "leased";

/** What a job becomes when a worker takes it. */
export function claimed(job: JobLife, now: number): JobStep {
  return { state: "leased", readyAt: now, attempts: job.attempts + 1, deaths: job.deaths };
}

/** What a job becomes once its worker has reported. */
export function settled(job: JobLife, outcome: Outcome, now: number, terms = longest): JobStep {
  const { attempts, deaths } = job;
  if (outcome.type === "done") {
    // The work was done; that there was nothing to read is what it found, and what its row should say.
    const found = outcome.result?.type === "unreadable" ? problemMessages[outcome.result.problem] : undefined;
    return {
      state: "done",
      readyAt: now,
      attempts,
      deaths,
      ...(found !== undefined && { error: { code: "unreadable", message: found } }),
    };
  }
  if (job.cancelAsked === true) return { ...cancelled(job, now), attempts };
  if (outcome.type === "snoozed") {
    // The worker chose to wait, so it costs no attempt.
    return { state: "ready", readyAt: now + Math.max(0, outcome.delayMs), attempts: attempts - 1, deaths };
  }
  const error = { code: outcome.code in codes ? outcome.code : "bug", message: outcome.message };
  const event: JobEvent = { at: now, what: "failed", attempt: attempts, ...error };
  if (!outcome.retry || attempts >= terms.attemptsMax) return { state: "dead", readyAt: now, attempts, deaths, error, event };
  const given = outcome.retryAfterMs;
  const waitMs =
    given === undefined ? Math.round(terms.chance * backoffMs(attempts)) : Math.min(Math.max(0, given), retryAfterMaxMs);
  return { state: "ready", readyAt: now + waitMs, attempts, deaths, error, event };
}

/** What a job becomes that nobody wants any more and nobody works on. */
export function cancelled({ attempts, deaths }: JobLife, now: number): JobStep {
  return { state: "cancelled", readyAt: now, attempts, deaths, event: { at: now, what: "cancelled", attempt: attempts } };
}

/** What an ended job becomes that is to be done after all: as if it were new, but with its history. */
export function redriven({ attempts }: JobLife, now: number): JobStep {
  return { state: "ready", readyAt: now, attempts: 0, deaths: 0, event: { at: now, what: "redriven", attempt: attempts } };
}

/** What a job becomes when the worker that held it is gone. */
export function orphaned(job: JobLife, now: number, { chance } = longest): JobStep {
  const attempts = job.attempts - 1;
  const deaths = job.deaths + 1;
  const event: JobEvent = { at: now, what: "orphaned", attempt: job.attempts };
  if (job.cancelAsked === true) return { ...cancelled(job, now), attempts, deaths };
  if (deaths >= deathsMax) {
    const message = `Nika stopped ${deaths} times while working on this, so it does not try again by itself.`;
    return { state: "dead", readyAt: now, attempts, deaths, error: { code: "bug", message }, event };
  }
  return { state: "ready", readyAt: now + Math.round(chance * deathBackoffMs(deaths)), attempts, deaths, event };
}

/** A job as the owner sees it. Times are milliseconds since 1970. */
export const vJobView = v.object({
  id: v.id("jobs"),
  kind: vKind,
  /** What it is about: the document's name. */
  label: v.string(),
  state: vJobState,
  attempts: v.number(),
  /** Only while it is leased. */
  progress: v.optional(vProgress),
  error: v.optional(vFailure),
  createdAt: v.number(),
  startedAt: v.optional(v.number()),
  endedAt: v.optional(v.number()),
  /** When it is, or was, to be tried next. */
  readyAt: v.number(),
  /** It waits for its batch, which is paused. */
  isParked: v.optional(v.boolean()),
  /** It waits until one of the same sort is over. */
  isGated: v.optional(v.boolean()),
  documentId: v.optional(v.id("documents")),
});
export type JobView = Infer<typeof vJobView>;

/** A job with its story. */
export const vJobDetail = v.object({ ...vJobView.fields, lane: vLane, gates: v.array(vGate), history: v.array(vJobEvent) });
export type JobDetail = Infer<typeof vJobDetail>;

export const vJobCounts = v.object({
  ready: v.number(),
  leased: v.number(),
  done: v.number(),
  dead: v.number(),
  cancelled: v.number(),
});
export type JobCounts = Infer<typeof vJobCounts>;

/** Ended jobs are kept for a week, and no more than this many. */
export const endedKeptMax = 1_000;
export const endedKeptMs = 7 * 24 * 3_600_000;

export { attemptsMax } from "./lane.ts";
