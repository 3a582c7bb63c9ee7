/** The life of a run, as values: a function of many steps that outlives its process. No clock, no database: callers pass `now`. */
import { v, type Infer } from "convex/values";
import { codes } from "./error.ts";
import { attemptsMax, backoffMs, vFailure, type Failure } from "./job.ts";

/**
 * running: a job advances it. waiting: for a time, a signal, a child or the owner, and nobody holds a slot. parked: its code is another
 * one now, so it waits for the owner's word.
 */
export const vRunState = v.union(
  v.literal("running"),
  v.literal("waiting"),
  v.literal("parked"),
  v.literal("done"),
  v.literal("failed"),
  v.literal("cancelled"),
);
export type RunState = Infer<typeof vRunState>;
export const hasRunEnded = (state: RunState): boolean => state === "done" || state === "failed" || state === "cancelled";

export const vStepType = v.union(v.literal("step"), v.literal("sleep"), v.literal("signal"), v.literal("run"));
export type StepType = Infer<typeof vStepType>;

/** ready: to be begun again. started: somebody is at it, or was when it died. */
export const vStepState = v.union(
  v.literal("ready"),
  v.literal("started"),
  v.literal("waiting"),
  v.literal("done"),
  v.literal("failed"),
  v.literal("cancelled"),
);
export type StepState = Infer<typeof vStepState>;

/**
 * What is known about doing the same twice. idempotent: whoever is asked knows the key, so it is sent again. reconcilable: one can look
 * whether it happened. ambiguous: neither, so the owner is asked.
 */
export const vEffectClass = v.union(v.literal("idempotent"), v.literal("reconcilable"), v.literal("ambiguous"));
export type EffectClass = Infer<typeof vEffectClass>;

/** intended: written down before it happens. unknown: nobody can say whether it did. */
export const vEffectState = v.union(v.literal("intended"), v.literal("sent"), v.literal("failed"), v.literal("unknown"));
export type EffectState = Infer<typeof vEffectState>;

/** A value as JSON text, or the file that holds it; absent is `undefined`. */
export const vValue = v.union(
  v.object({ type: v.literal("text"), text: v.string() }),
  v.object({ type: v.literal("file"), storageId: v.id("_storage"), sizeBytes: v.number() }),
);
export type Value = Infer<typeof vValue>;

/** One thing that a step waits for. */
export const vWaitFor = v.union(
  v.object({ type: v.literal("time"), until: v.number() }),
  /** Tried again then. */
  v.object({ type: v.literal("retry"), until: v.number() }),
  /** `match` is JSON: what the body must have in it. */
  v.object({ type: v.literal("signal"), kind: v.string(), match: v.optional(v.string()), until: v.optional(v.number()) }),
  v.object({ type: v.literal("run"), childId: v.id("runs") }),
  /** The owner says whether it happened. */
  v.object({ type: v.literal("decision") }),
);
export type WaitFor = Infer<typeof vWaitFor>;

/** Why a run was put aside. changed: its code asks for other steps than it took. */
export const vRunProblem = v.object({
  type: v.union(v.literal("changed"), v.literal("version"), v.literal("unknown"), v.literal("stuck")),
  /** One English sentence; a page that speaks another language goes by `type`. */
  message: v.string(),
  /** What it did and what is asked for now, a line each, with " ", "-" or "+" before it. */
  diff: v.array(v.string()),
});
export type RunProblem = Infer<typeof vRunProblem>;

/** What a step is, from the moment it is asked for. */
export const vStepSpec = v.object({
  /** Its name among all steps of the run: scope, key, and "#2" when the key comes again. */
  path: v.string(),
  /** "" or the branch it is in, with a slash after it. */
  scope: v.string(),
  /** Its place in that scope, from 0. */
  n: v.number(),
  label: v.optional(v.string()),
  type: vStepType,
  /** Of what it depends on. Another one is another code path. */
  inputHash: v.optional(v.string()),
  effect: v.optional(vEffectClass),
  attemptsMax: v.optional(v.number()),
});
export type StepSpec = Infer<typeof vStepSpec>;

/** What makes a step wait, as its code asks for it: times are still spans. */
export const vAsked = v.union(
  v.object({ type: v.literal("work"), idemKey: v.optional(v.string()) }),
  v.object({ type: v.literal("sleep"), ms: v.optional(v.number()), until: v.optional(v.number()) }),
  v.object({ type: v.literal("signal"), kind: v.string(), match: v.optional(v.string()), timeoutMs: v.optional(v.number()) }),
  v.object({ type: v.literal("run"), name: v.string(), label: v.optional(v.string()), args: v.string() }),
);
export type Asked = Infer<typeof vAsked>;

/** How a try at a step ended. */
export const vTried = v.union(
  v.object({ type: v.literal("done"), value: v.optional(vValue) }),
  v.object({
    type: v.literal("failed"),
    code: v.string(),
    message: v.string(),
    retry: v.boolean(),
    /** Who refused it said when to come back. */
    retryAfterMs: v.optional(v.number()),
    /** It certainly did not happen. */
    isUnsent: v.boolean(),
  }),
  /** It was begun in an earlier life and nobody can know how it ended. */
  v.object({ type: v.literal("unknown") }),
);
export type Tried = Infer<typeof vTried>;

/** What a step and its effect become after a try. */
export type Tally = {
  readonly state: "done" | "failed" | "waiting";
  readonly attempts: number;
  readonly effect: EffectState;
  readonly waitFor?: WaitFor;
  readonly error?: Failure;
};

/** A server may ask for patience, but not for so much that nobody remembers. */
const retryAfterMaxMs = 24 * 3_600_000;

/** The rules of retry and of effects in one place. `chance` is random, from 0 to 1. */
export function afterTry(
  step: { readonly attempts: number; readonly attemptsMax?: number; readonly effect?: EffectClass },
  tried: Tried,
  { now, chance }: { readonly now: number; readonly chance: number },
): Tally {
  const { attempts } = step;
  if (tried.type === "done") return { state: "done", attempts, effect: "sent" };
  const ask: Tally = { state: "waiting", attempts, effect: "unknown", waitFor: { type: "decision" } };
  if (tried.type === "unknown") return ask;
  const error = { code: tried.code in codes ? tried.code : "bug", message: tried.message };
  if (step.effect === "ambiguous" && !tried.isUnsent) return { ...ask, attempts: attempts + 1, error };
  const tries = attempts + 1;
  if (tried.retry && tries < (step.attemptsMax ?? attemptsMax)) {
    const given = tried.retryAfterMs;
    const waitMs = given === undefined ? Math.round(chance * backoffMs(tries)) : Math.min(Math.max(0, given), retryAfterMaxMs);
    return { state: "waiting", attempts: tries, effect: "intended", waitFor: { type: "retry", until: now + waitMs }, error };
  }
  return { state: "failed", attempts: tries, effect: tried.isUnsent ? "failed" : "unknown", error };
}

/** Whether a signal's body has all that is asked of it: objects must have these fields, anything else must be equal. */
export function isMatch(body: unknown, match: unknown): boolean {
  if (match === null || typeof match !== "object") return body === match;
  if (body === null || typeof body !== "object" || Array.isArray(body) !== Array.isArray(match)) return false;
  if (Array.isArray(match) && match.length !== (body as unknown[]).length) return false;
  return Object.entries(match).every(([key, value]) =>
    isMatch(Object.hasOwn(body, key) ? (body as Record<string, unknown>)[key] : undefined, value),
  );
}

/** JSON of arguments, of signals, and of results that stay in their row: what is larger is a file. */
export const valueCharsMax = 8_000;
export const stepsMax = 5_000;
/** A run that begins runs that begin runs. */
export const depthMax = 8;
/** Signals that nobody has asked for yet. */
export const signalsMax = 1_000;
export const labelCharsMax = 200;
/** Ended runs are kept for a week, and no more than this many. */
export const runsKeptMax = 1_000;
export const runsKeptMs = 7 * 24 * 3_600_000;
export const runNamePattern = /^[a-z][A-Za-z0-9]*(?:\.[a-z][A-Za-z0-9]*)?$/u;
export const stepKeyPattern = /^[^/#\p{Cc}]{1,80}$/u;

/** Runs that the owner may begin by name. What a run is made of stands in its `defineRun`. */
export const startable = ["schedules.tasks"] as const;

export const vRunView = v.object({
  id: v.id("runs"),
  name: v.string(),
  label: v.string(),
  state: vRunState,
  createdAt: v.number(),
  endedAt: v.optional(v.number()),
  /** When it goes on by itself, if it waits for a time. */
  wakeAt: v.optional(v.number()),
  parentId: v.optional(v.id("runs")),
  error: v.optional(vFailure),
  problem: v.optional(vRunProblem),
  /** Effects of which nobody knows whether they happened; the owner is asked. */
  asks: v.number(),
  /** What came of it, when that is short. */
  result: v.optional(v.string()),
});
export type RunView = Infer<typeof vRunView>;

export const vStepView = v.object({
  id: v.id("steps"),
  path: v.string(),
  label: v.optional(v.string()),
  type: vStepType,
  state: vStepState,
  attempts: v.number(),
  startedAt: v.number(),
  endedAt: v.optional(v.number()),
  /** What it waits for. */
  waitFor: v.optional(vWaitFor),
  error: v.optional(vFailure),
  /** The beginning of what came of it, as JSON. */
  result: v.optional(v.string()),
  effect: v.optional(v.object({ class: vEffectClass, state: vEffectState, key: v.string() })),
  /** The run it began. */
  childId: v.optional(v.id("runs")),
});
export type StepView = Infer<typeof vStepView>;

export const vRunDetail = v.object({
  ...vRunView.fields,
  /** JSON. */
  args: v.string(),
  /** Goes up with each new start from the beginning. */
  life: v.number(),
  steps: v.array(vStepView),
  /** Signals that came and that it has not asked for. */
  unread: v.number(),
});
export type RunDetail = Infer<typeof vRunDetail>;

/** What the worker needs of a step to go on after it. */
export const vStepRecord = v.object({
  id: v.id("steps"),
  ...vStepSpec.fields,
  state: vStepState,
  attempts: v.number(),
  value: v.optional(vValue),
  /** Where its file is to be read. */
  url: v.optional(v.string()),
  error: v.optional(vFailure),
  /** While it waits for a time. */
  until: v.optional(v.number()),
});
export type StepRecord = Infer<typeof vStepRecord>;
