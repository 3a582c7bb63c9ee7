/**
 * The life of one rented machine, as values: pure, and the same for the control plane, the simulator and tests. Nothing here is ever closed
 * by waiting: a machine is gone when its provider was seen without it, twice, and without what stood beside it. Times are ms since 1970.
 */
import { v, type Infer } from "convex/values";
import {
  vFailure,
  vOffer,
  vProviderId,
  vRef,
  vSatellite,
  type Capability,
  type Failure,
  type Observed,
  type Ref,
} from "./gpu.ts";
import { vLane } from "./lane.ts";

/**
 * intended → creating → booting → ready ⇄ busy → draining → ending → verifying → gone. Besides: `unknownOutcome` (asked for, and nobody knows
 * what came of it), `quarantined` (found with our mark and without a row), `leakSuspect` (should be gone, and is not known to be).
 */
export const machineStates = [
  "intended",
  "creating",
  "unknownOutcome",
  "booting",
  "ready",
  "busy",
  "draining",
  "ending",
  "verifying",
  "quarantined",
  "leakSuspect",
  "gone",
] as const;
export type MachineState = (typeof machineStates)[number];
export const vMachineState = v.union(
  v.literal("intended"),
  v.literal("creating"),
  v.literal("unknownOutcome"),
  v.literal("booting"),
  v.literal("ready"),
  v.literal("busy"),
  v.literal("draining"),
  v.literal("ending"),
  v.literal("verifying"),
  v.literal("quarantined"),
  v.literal("leakSuspect"),
  v.literal("gone"),
);

/** Why a machine is ended, or went. */
export const vEndReason = v.union(
  v.literal("finished"),
  v.literal("cancelled"),
  v.literal("failed"),
  v.literal("createFailed"),
  v.literal("neverMade"),
  v.literal("bootTimeout"),
  v.literal("unfit"),
  v.literal("silent"),
  v.literal("deadline"),
  v.literal("budget"),
  v.literal("idle"),
  v.literal("preempted"),
  v.literal("disappeared"),
  v.literal("stopped"),
  v.literal("twin"),
  v.literal("stray"),
  v.literal("reappeared"),
  v.literal("panic"),
);
export type EndReason = Infer<typeof vEndReason>;

/** Whom a machine is for. `proof`: the paid test of a connection. `nobody`: it was found, not asked for. */
export const vMachineOwner = v.union(
  v.object({ type: v.literal("gpuJob"), gpuJobId: v.id("gpuJobs") }),
  v.object({ type: v.literal("lane"), lane: vLane }),
  v.object({ type: v.literal("proof") }),
  v.object({ type: v.literal("nobody") }),
);
export type MachineOwner = Infer<typeof vMachineOwner>;

/** What of a provider is asked next for a machine, and when. `wait`: nothing, unless something happens; look again at that time. */
export const vVerb = v.union(v.literal("create"), v.literal("look"), v.literal("end"), v.literal("wait"));
export type Verb = Infer<typeof vVerb>;

export const vMachineLife = v.object({
  state: vMachineState,
  /** Changes of state so far. */
  step: v.number(),
  /** How often it was asked for, and when last. */
  asks: v.number(),
  askedAt: v.optional(v.number()),
  ref: v.optional(vRef),
  satellites: v.array(vSatellite),
  why: v.optional(vEndReason),
  endingAt: v.optional(v.number()),
  endAsks: v.number(),
  /** Asking or looking that failed, in a row: how long to wait before the next. */
  failures: v.number(),
  failure: v.optional(vFailure),
  /** Looks in a row that did not find it, and when the first of these was. */
  cleanLooks: v.number(),
  cleanAt: v.optional(v.number()),
  bootedAt: v.optional(v.number()),
  quarantinedUntil: v.optional(v.number()),
  goneAt: v.optional(v.number()),
  /** Set when it was suspected to leak; stays until the owner has said that they saw it. */
  alarmAt: v.optional(v.number()),
  verb: vVerb,
  /** When the verb is due; absent when nothing is left to do. */
  dueAt: v.optional(v.number()),
});
export type MachineLife = Settable<Infer<typeof vMachineLife>>;
/** What may be absent may be set to undefined too; `stored` takes that out again. */
export type Settable<T> = { readonly [K in keyof T]: T[K] | (object extends Pick<T, K> ? undefined : never) };
export function stored<T extends object>(life: Settable<T>): T {
  return Object.fromEntries(Object.entries(life).filter(([, value]) => value !== undefined)) as T;
}

/** What does not change in its life. */
export type MachineTerms = {
  readonly createdAt: number;
  /** Nothing of it lives longer. */
  readonly deadline: number;
  /** It must have dialled in by then. */
  readonly bootBy: number;
  readonly createIs: Capability["createIs"];
  readonly listLagMs: number;
};

export type MachineEvent =
  /** It is about to be asked for, now. */
  | { readonly type: "asking" }
  | { readonly type: "created"; readonly observed: Observed }
  | { readonly type: "createFailed"; readonly failure: Failure }
  | { readonly type: "createUnknown"; readonly failure: Failure; readonly ref?: Ref }
  /** All that its provider shows under its name, what is shown as gone included; empty for nothing. */
  | { readonly type: "looked"; readonly found: readonly Observed[] }
  | { readonly type: "lookFailed"; readonly failure: Failure }
  | { readonly type: "endAsked" }
  | { readonly type: "endFailed"; readonly failure: Failure }
  /** Who needed it does not any more. */
  | { readonly type: "end"; readonly why: EndReason }
  /** What runs on it says so. */
  | { readonly type: "enrolled" }
  | { readonly type: "took" }
  | { readonly type: "freed" }
  | { readonly type: "drain" }
  /** Looked at by the reaper. */
  | { readonly type: "time" };

/** What a step comes to. `twins` are live and of its name, and not it: each must be ended as a machine of nobody's. */
export type MachineStep = { readonly life: MachineLife; readonly twins: readonly Observed[] };

/** An answer to asking for one that is not here by then is taken to be lost. */
export const createAnswerMs = 5 * 60_000;
/** One that was never asked for by then is not wanted any more. */
export const intentMs = 15 * 60_000;
/** Two looks that do not find it, so far apart at least, are proof that it is gone; longer where lists lag or nobody knows whether it is. */
export const proofMs = 30_000;
export const unknownProofMs = 60_000;
export const quarantineMs = 5 * 60_000;
/** What cannot be ended in this time is told loudly. */
export const leakMs = 10 * 60_000;
/** With a token an unclear answer is asked for again, this often; then it is looked for like others. */
const asksMax = 4;
const waitMaxMs = 10 * 60_000;
const firstLookMs = 5_000;

const over: ReadonlySet<MachineState> = new Set(["ending", "verifying", "quarantined", "leakSuspect", "gone"]);
/** Whether it is on its way out, or gone. */
export const isOver = (state: MachineState): boolean => over.has(state);
/** Whether something may be billed. */
export const isOpen = (state: MachineState): boolean => state !== "gone";

/** 2 s, 4 s, 8 s, … at most ten minutes, for ever. What the vendor asks for is heeded, within that. */
export function waitMs(failures: number, failure?: Failure): number {
  const own = 1_000 * 2 ** Math.min(Math.max(1, failures), 20);
  return Math.min(waitMaxMs, Math.max(own, failure?.retryAfterMs ?? 0));
}

/** Of a machine that was written down and not asked for. */
export function intended(now: number): MachineLife {
  const none = { asks: 0, satellites: [], endAsks: 0, failures: 0, cleanLooks: 0 };
  return { state: "intended", step: 0, ...none, verb: "create", dueAt: now };
}

/** Of one that a provider shows with our mark, and of which nothing is known here. A `twin` need not wait: what it doubles is known. */
export function found(observed: Observed, why: "stray" | "twin", now: number): MachineLife {
  const { ref, satellites, deadline = Number.POSITIVE_INFINITY } = observed;
  // A create that is under way may not be written down yet; one whose time is up has no such excuse.
  const until = Math.min(now + quarantineMs, Math.max(now, deadline));
  const base: MachineLife = { ...intended(now), state: "quarantined", ref, satellites, why };
  return why === "twin" ? toEnding(base, why, now) : { ...base, quarantinedUntil: until, verb: "wait", dueAt: until };
}

/** What becomes of it. Events that mean nothing in its state change nothing. */
export function step(life: MachineLife, terms: MachineTerms, event: MachineEvent, now: number): MachineStep {
  const { next, twins = [] } = advance(life, terms, event, now);
  const timed = afterTime(next, terms, now);
  return { life: timed.state === life.state ? timed : { ...timed, step: life.step + 1 }, twins };
}

type Advanced = { readonly next: MachineLife; readonly twins?: readonly Observed[] };

function advance(life: MachineLife, terms: MachineTerms, event: MachineEvent, now: number): Advanced {
  switch (event.type) {
    case "asking":
      return { next: asking(life, terms, now) };
    case "created":
      return { next: created(life, event.observed, terms, now) };
    case "createFailed":
      return { next: createFailed(life, event.failure, now) };
    case "createUnknown":
      return { next: createUnknown(life, event, terms, now) };
    case "looked":
      return looked(life, event.found, terms, now);
    case "lookFailed":
      return { next: waiting(life, event.failure, now) };
    case "endAsked":
      return { next: endAsked(life, now) };
    case "endFailed":
      return { next: isEnding(life) ? waiting({ ...life, endAsks: life.endAsks + 1 }, event.failure, now) : life };
    case "end":
      return { next: end(life, event.why, now) };
    case "enrolled":
      return { next: life.state === "booting" ? live(life, "ready", terms) : life };
    case "took":
      return { next: life.state === "booting" || life.state === "ready" ? live(life, "busy", terms) : life };
    case "freed":
      return { next: life.state === "busy" ? live(life, "ready", terms) : life };
    case "drain":
      return { next: life.state === "ready" || life.state === "busy" ? live(life, "draining", terms) : life };
    case "time":
      return { next: life };
  }
}

const isEnding = ({ state }: MachineLife): boolean => state === "ending" || state === "leakSuspect";

function asking(life: MachineLife, { createIs, deadline }: MachineTerms, now: number): MachineLife {
  const asks = life.asks + 1;
  const asked = { ...life, state: "creating" as const, asks, askedAt: now, verb: "wait" as const, dueAt: now + createAnswerMs };
  if (life.state === "intended") return asked;
  if (life.state !== "creating") return life;
  // Whoever asked before did not come back. Asking again is asking the same where the vendor keeps the token, and a second machine elsewhere.
  return createIs !== "notOnce" && life.asks < asksMax && now < deadline ? asked : toUnknown(life, now);
}

function created(life: MachineLife, observed: Observed, terms: MachineTerms, now: number): MachineLife {
  const { ref, satellites } = observed;
  const known = { ...life, ref: life.ref ?? ref, satellites, failures: 0, cleanLooks: 0, cleanAt: undefined };
  switch (life.state) {
    case "intended":
    case "creating":
    case "unknownOutcome":
      return live({ ...known, bootedAt: now }, "booting", terms);
    case "booting":
    case "ready":
    case "busy":
    case "draining":
    case "quarantined":
      return life;
    case "ending":
    case "verifying":
    case "leakSuspect":
      // It was given up meanwhile, and exists after all.
      return toEnding(known, life.why ?? "cancelled", now);
    case "gone":
      return suspect(known, "reappeared", now);
  }
}

/** The vendor said no. Some say so and make it all the same: it counts as gone only once that was looked at. */
function createFailed(life: MachineLife, failure: Failure, now: number): MachineLife {
  if (life.state !== "creating") return life;
  return toVerifying({ ...life, why: "createFailed", endingAt: now, failure }, now);
}

function createUnknown(life: MachineLife, { failure, ref }: { failure: Failure; ref?: Ref }, terms: MachineTerms, now: number) {
  const known = { ...life, failure, ...(life.ref === undefined && ref && { ref }) };
  if (life.state !== "creating") return isEnding(life) || life.state === "verifying" ? known : life;
  if (ref === undefined && terms.createIs !== "notOnce" && life.asks < asksMax)
    return { ...known, verb: "create" as const, dueAt: now + waitMs(life.asks, failure) };
  return toUnknown(known, now);
}

const isThere = ({ state }: Observed): boolean => state !== "gone";

function looked(life: MachineLife, found: readonly Observed[], terms: MachineTerms, now: number): Advanced {
  const ofName = found.toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0) || (a.ref.id < b.ref.id ? -1 : 1));
  const oldest = ofName.find((one) => isThere(one)) ?? ofName[0];
  const mine = life.ref === undefined ? oldest : ofName.find(({ ref }) => isSame(ref, life.ref));
  // Of two the newer one goes. What stayed behind of another is ended by itself too.
  const twins = found.filter((one) => one !== mine && (isThere(one) || one.satellites.length > 0));
  const heard = { ...life, failures: 0, failure: undefined };
  const isLeft = mine !== undefined && (isThere(mine) || mine.satellites.length > 0);
  if (!isLeft) return { next: unseen({ ...heard, satellites: [] }, mine, terms, now), twins };
  return {
    next: seen({ ...heard, ref: mine.ref, satellites: mine.satellites, cleanLooks: 0, cleanAt: undefined }, mine, terms, now),
    twins,
  };
}

const isSame = (a: Ref, b: Ref | undefined): boolean => a.id === b?.id && a.region === b.region && a.provider === b.provider;

/** It, or something beside it, is there. */
function seen(life: MachineLife, mine: Observed, terms: MachineTerms, now: number): MachineLife {
  switch (life.state) {
    case "intended":
    case "creating":
      // What was asked for is there before the answer is.
      return life;
    case "unknownOutcome":
      return mine.state === "booting" || mine.state === "running"
        ? live({ ...life, bootedAt: now }, "booting", terms)
        : toEnding(life, "createFailed", now);
    case "booting":
    case "ready":
    case "busy":
    case "draining":
      if (mine.state === "booting" || mine.state === "running") return live(life, life.state, terms);
      return toEnding(life, whyGone(mine, "stopped"), now);
    case "ending":
      return toEnding(life, life.why ?? "failed", now);
    case "verifying":
      // Said to be ended, and still there: said again, with ever more patience, so that a slow vendor is not pestered.
      return mine.state === "ending"
        ? { ...life, verb: "look", dueAt: now + waitMs(life.endAsks + 2) }
        : { ...life, state: "ending", verb: "end", dueAt: now + (life.endAsks <= 1 ? 0 : waitMs(life.endAsks)) };
    case "quarantined":
      return life;
    case "leakSuspect":
      return { ...life, verb: "end", dueAt: now + waitMs(life.endAsks) };
    case "gone":
      return suspect(life, "reappeared", now);
  }
}

/** Nothing is there, or it is shown as gone. One such look proves nothing. */
function unseen(life: MachineLife, mine: Observed | undefined, terms: MachineTerms, now: number): MachineLife {
  switch (life.state) {
    case "intended":
    case "creating":
    case "gone":
      return life;
    case "booting":
    case "ready":
    case "busy":
    case "draining":
      if (mine) return counted(toVerifying({ ...life, why: whyGone(mine, "disappeared"), endingAt: now }, now), terms, now);
      return counted(life, terms, now);
    case "unknownOutcome":
    case "ending":
    case "verifying":
    case "quarantined":
    case "leakSuspect":
      return counted(life, terms, now);
  }
}

const whyGone = ({ wentBy }: Observed, otherwise: EndReason): EndReason => (wentBy === "preemption" ? "preempted" : otherwise);

function counted(life: MachineLife, { listLagMs }: MachineTerms, now: number): MachineLife {
  const isUnknown = life.state === "unknownOutcome" || life.ref === undefined;
  const apartMs = Math.max(isUnknown ? unknownProofMs : proofMs, listLagMs);
  const cleanAt = life.cleanAt ?? now;
  const cleanLooks = life.cleanLooks + 1;
  if (cleanLooks < 2 || now - cleanAt < apartMs)
    return { ...life, cleanLooks, cleanAt, verb: "look", dueAt: Math.max(cleanAt + apartMs, now + 1_000) };
  const why = life.why ?? (life.state === "unknownOutcome" ? "neverMade" : "disappeared");
  return { ...life, state: "gone", cleanLooks, cleanAt, why, goneAt: now, verb: "wait", dueAt: undefined };
}

function endAsked(life: MachineLife, now: number): MachineLife {
  if (!isEnding(life)) return life;
  const asked = { ...life, endAsks: life.endAsks + 1, failures: 0, failure: undefined, cleanLooks: 0, cleanAt: undefined };
  if (life.state === "leakSuspect") return { ...asked, verb: "look", dueAt: now + firstLookMs };
  return { ...asked, state: "verifying", verb: "look", dueAt: now + firstLookMs };
}

function end(life: MachineLife, why: EndReason, now: number): MachineLife {
  switch (life.state) {
    case "intended":
      // Never asked for: nobody can have made it.
      return { ...life, state: "gone", why, goneAt: now, verb: "wait", dueAt: undefined };
    case "creating":
    case "unknownOutcome":
    case "booting":
    case "ready":
    case "busy":
    case "draining":
    case "quarantined":
      return toEnding(life, why, now);
    case "ending":
    case "verifying":
    case "leakSuspect":
    case "gone":
      return life;
  }
}

/** What is due by the clock alone. */
function afterTime(life: MachineLife, terms: MachineTerms, now: number): MachineLife {
  switch (life.state) {
    case "intended":
      return now >= Math.min(terms.createdAt + intentMs, terms.deadline) ? end(life, "neverMade", now) : life;
    case "creating":
      if (now >= terms.deadline) return toEnding(life, "deadline", now);
      return now >= (life.askedAt ?? terms.createdAt) + createAnswerMs ? toUnknown(life, now) : life;
    case "booting":
      if (now >= terms.deadline) return toEnding(life, "deadline", now);
      return now >= terms.bootBy ? toEnding(life, "bootTimeout", now) : life;
    case "unknownOutcome":
    case "ready":
    case "busy":
    case "draining":
      return now >= terms.deadline ? toEnding(life, "deadline", now) : life;
    case "quarantined":
      return now >= (life.quarantinedUntil ?? now) ? toEnding(life, "stray", now) : life;
    case "ending":
    case "verifying":
      return now >= (life.endingAt ?? now) + leakMs && life.cleanLooks === 0 && isDoubted(life)
        ? suspect(life, life.why ?? "failed", now)
        : life;
    case "leakSuspect":
    case "gone":
      return life;
  }
}

/** A failed create that was merely not looked at yet is no leak. */
const isDoubted = ({ ref, asks }: MachineLife): boolean => ref !== undefined || asks > 0;

function live(life: MachineLife, state: "booting" | "ready" | "busy" | "draining", terms: MachineTerms): MachineLife {
  const dueAt = state === "booting" ? Math.min(terms.bootBy, terms.deadline) : terms.deadline;
  return { ...life, state, verb: "wait", dueAt };
}

function toUnknown(life: MachineLife, now: number): MachineLife {
  return { ...life, state: "unknownOutcome", cleanLooks: 0, cleanAt: undefined, verb: "look", dueAt: now + firstLookMs };
}

/** Without knowing where it is, it has to be found first. */
function toEnding(life: MachineLife, why: EndReason, now: number): MachineLife {
  const endingAt = life.endingAt ?? now;
  const clean = { cleanLooks: 0, cleanAt: undefined };
  return { ...life, state: "ending", why: life.why ?? why, endingAt, ...clean, verb: life.ref ? "end" : "look", dueAt: now };
}

function toVerifying(life: MachineLife, now: number): MachineLife {
  return { ...life, state: "verifying", cleanLooks: 0, cleanAt: undefined, verb: "look", dueAt: now + firstLookMs };
}

function suspect(life: MachineLife, why: EndReason, now: number): MachineLife {
  const base = {
    ...life,
    why: life.state === "gone" ? why : (life.why ?? why),
    endingAt: life.endingAt ?? now,
    goneAt: undefined,
  };
  const verb = life.state === "gone" && life.ref ? "end" : life.verb === "wait" ? "look" : life.verb;
  return {
    ...base,
    state: "leakSuspect",
    alarmAt: life.alarmAt ?? now,
    verb,
    dueAt: Math.min(life.dueAt ?? now, now + waitMaxMs),
  };
}

function waiting(life: MachineLife, failure: Failure, now: number): MachineLife {
  if (life.verb === "wait") return life;
  const failures = life.failures + 1;
  return { ...life, failures, failure, dueAt: now + waitMs(failures, failure) };
}

/** A machine as the owner sees it. */
export const vMachineView = v.object({
  id: v.id("machines"),
  name: v.string(),
  owner: vMachineOwner,
  provider: vProviderId,
  offer: vOffer,
  state: vMachineState,
  why: v.optional(vEndReason),
  createdAt: v.number(),
  deadline: v.number(),
  bootedAt: v.optional(v.number()),
  goneAt: v.optional(v.number()),
  alarmAt: v.optional(v.number()),
  /** When what runs on it was last heard. */
  heardAt: v.optional(v.number()),
  failure: v.optional(vFailure),
  ref: v.optional(vRef),
});
export type MachineView = Infer<typeof vMachineView>;

/** Its state as people are told it: one that was made for a job is at work from when it dialled in. */
export const shownState = ({ state, owner }: Pick<MachineView, "state" | "owner">): MachineState =>
  state === "ready" && owner.type === "gpuJob" ? "busy" : state;
