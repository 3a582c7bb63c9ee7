/**
 * The one place where runs, their steps, effects and waits change. What a worker did between two boundaries is written by `checkpoint`,
 * in one transaction, and only while its job holds the run.
 */
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import { NikaError } from "../model/error.ts";
import { cancelled, isOpen, type Failure } from "../model/job.ts";
import {
  afterTry,
  depthMax,
  hasRunEnded,
  isMatch,
  labelCharsMax,
  runNamePattern,
  signalsMax,
  valueCharsMax,
  type Asked,
  type RunProblem,
  type StepRecord,
  type StepSpec,
  type Tried,
  type Value,
  type WaitFor,
} from "../model/run.ts";
import { enqueue } from "./enqueue.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";
import { moveJob } from "./move.ts";
import { endOccurrence } from "./occurrence.ts";

type Run = Doc<"runs">;
type Step = Doc<"steps">;

/** A timer may ring a little early; going back to sleep for that would only cost a call. */
const earlyMs = 50;
/** Steps of one run that wait at the same time. */
const waitsMax = 1_000;
/** Children that are stopped in the same transaction; the rest follows in the next. */
const stoppedMax = 100;

export type NewRun = {
  readonly name: string;
  /** What it is about, for people. */
  readonly label?: string | undefined;
  /** JSON. */
  readonly args: string;
  readonly parent?: Run;
  readonly occurrenceId?: Id<"occurrences">;
};

/** Begins a run. Fails with `invalid` when its name or arguments cannot be. */
export async function startRun(turn: Turn, { name, label, args, parent, occurrenceId }: NewRun): Promise<Id<"runs">> {
  if (!runNamePattern.test(name)) throw new NikaError("invalid", `"${name.slice(0, 60)}" is no name of a run.`);
  if (args.length > valueCharsMax)
    throw new NikaError(
      "invalid",
      `The arguments of a run have at most ${valueCharsMax} characters; hand over what is larger by its id.`,
    );
  const depth = parent ? parent.depth + 1 : 0;
  if (depth > depthMax) throw new NikaError("invalid", `Runs begin each other ${depthMax} deep at most.`);
  const runId = await turn.db.insert("runs", {
    name,
    label: (label ?? name).slice(0, labelCharsMax),
    args,
    state: "running",
    life: 1,
    depth,
    news: 0,
    asks: 0,
    ...(parent && { parentId: parent._id }),
    ...(occurrenceId && { occurrenceId }),
  });
  await putToWork(turn, await mustGetRun(turn, runId));
  return runId;
}

export async function mustGetRun(turn: Turn, id: Id<"runs">): Promise<Run> {
  const run = await turn.db.get(id);
  if (!run) throw new NikaError("missing", "There is no such run.");
  return run;
}

/** It has something to do: a job goes on with it. The one before, if any, is nobody from now on. */
export async function putToWork(turn: Turn, { _id: runId, label }: Run): Promise<void> {
  const jobId = await enqueue(turn, { kind: "runs.advance", args: { runId }, label });
  await turn.db.patch(runId, { state: "running", jobId, wakeAt: undefined });
}

/** Something came that it may wait for. */
export async function wakeRun(turn: Turn, run: Run): Promise<void> {
  if (run.state === "waiting") await putToWork(turn, run);
  else if (run.state === "running") await turn.db.patch(run._id, { news: run.news + 1 });
}

export type Boundary = {
  readonly runId: Id<"runs">;
  readonly jobId: Id<"jobs">;
  readonly token: string;
  readonly version: number;
  readonly ended: readonly { readonly stepId: Id<"steps">; readonly tried: Tried }[];
  /** Begun once more: they were ready. */
  readonly again: readonly Id<"steps">[];
  readonly begun: readonly { readonly spec: StepSpec; readonly asked: Asked }[];
  /** Whether what it waits for is to be looked at. */
  readonly looks: boolean;
  readonly next?:
    | { readonly type: "suspended" }
    | { readonly type: "done"; readonly value?: Value }
    | { readonly type: "failed"; readonly error: Failure }
    | { readonly type: "parked"; readonly problem: RunProblem };
};

export type Answer = {
  /** False when the run is in other hands, or in none; nothing was written. */
  readonly isCurrent: boolean;
  readonly begun: Id<"steps">[];
  /** Steps that failed, or that wait no longer, as they are now. */
  readonly changed: StepRecord[];
  /** It waits, and its job is over. */
  readonly isSuspended: boolean;
};

const notMine: Answer = { isCurrent: false, begun: [], changed: [], isSuspended: false };

/** Whether this job, under this lease, is the one that advances the run. */
export async function findMine(
  ctx: Pick<Turn, "db">,
  { runId, jobId, token }: Pick<Boundary, "runId" | "jobId" | "token">,
): Promise<Run | undefined> {
  const run = await ctx.db.get(runId);
  if (run?.state !== "running" || run.jobId !== jobId) return undefined;
  const job = await ctx.db.get(jobId);
  return job?.lease?.token === token ? run : undefined;
}

/** Writes down what happened since the last boundary and what begins now. */
export async function checkpoint(turn: Turn, boundary: Boundary): Promise<Answer> {
  const run = await findMine(turn, boundary);
  if (!run) return notMine;
  const { ended, again, begun, looks, next } = boundary;
  if (run.version !== boundary.version && next?.type !== "parked") await turn.db.patch(run._id, { version: boundary.version });
  const changed: StepRecord[] = [];
  for (const { stepId, tried } of ended) {
    const after = await endTry(turn, await mustGetStep(turn, run, stepId), tried);
    if (after) changed.push(after);
  }
  for (const stepId of again) await beginAgain(turn, await mustGetStep(turn, run, stepId));
  const ids: Id<"steps">[] = [];
  for (const one of begun) ids.push(await beginStep(turn, run, one));
  const isAsking = looks || next?.type === "suspended" || begun.some(({ asked }) => asked.type !== "work");
  if (isAsking) changed.push(...(await endWaits(turn, run)));
  const isSuspended = next?.type === "suspended" && changed.length === 0;
  if (isSuspended) await suspend(turn, run);
  else if (next?.type === "done") await endRun(turn, run, { state: "done", ...(next.value && { value: next.value }) });
  else if (next?.type === "failed") await endRun(turn, run, { state: "failed", error: next.error });
  else if (next?.type === "parked") await parkRun(turn, run, next.problem);
  return { isCurrent: true, begun: ids, changed, isSuspended };
}

async function mustGetStep(turn: Turn, run: Run, stepId: Id<"steps">): Promise<Step> {
  const step = await turn.db.get(stepId);
  if (step?.runId !== run._id || step.life !== run.life) throw new NikaError("bug", "A step of another run was reported.");
  return step;
}

/** Undefined when it is done, which whoever did it knows. */
async function endTry(turn: Turn, step: Step, tried: Tried): Promise<StepRecord | undefined> {
  const { state, attempts, effect, waitFor, error } = afterTry(step, tried, { now: turn.now, chance: Math.random() });
  if (step.effectId) await turn.db.patch(step.effectId, { state: effect, ...(effect !== "intended" && { endedAt: turn.now }) });
  if (tried.type === "done") {
    if (tried.value?.type === "file") await turn.db.insert("runFiles", { runId: step.runId, storageId: tried.value.storageId });
    await turn.db.patch(step._id, { state: "done", endedAt: turn.now, ...(tried.value && { value: tried.value }) });
    return undefined;
  }
  const changes = { state, attempts, ...(error && { error }), ...(waitFor ? { waitFor } : { endedAt: turn.now }) };
  await turn.db.patch(step._id, changes);
  if (waitFor) await turn.db.insert("waits", { runId: step.runId, stepId: step._id });
  if (waitFor?.type === "decision") await askOwner(turn, step);
  return toRecord(turn, { ...step, ...changes });
}

async function askOwner(turn: Turn, step: Step): Promise<void> {
  const run = await mustGetRun(turn, step.runId);
  await turn.db.patch(run._id, { asks: run.asks + 1 });
  const text = `${run.label}: nobody can tell whether “${step.label ?? step.path}” happened. Say so on the page of the run, or with nika runs decide.`;
  await record(turn, { type: "runAsks", name: run.label, text });
}

async function beginAgain(turn: Turn, step: Step): Promise<void> {
  await turn.db.patch(step._id, { state: "started", waitFor: undefined });
  const effect = step.effectId && (await turn.db.get(step.effectId));
  if (effect) await turn.db.patch(effect._id, { state: "intended", tries: effect.tries + 1, endedAt: undefined });
}

async function beginStep(turn: Turn, run: Run, { spec, asked }: Boundary["begun"][number]): Promise<Id<"steps">> {
  const row = { runId: run._id, life: run.life, ...spec, attempts: 0, startedAt: turn.now };
  if (asked.type === "work") {
    const stepId = await turn.db.insert("steps", { ...row, state: "started" });
    if (spec.effect && asked.idemKey !== undefined) {
      const effect = {
        runId: run._id,
        stepId,
        key: asked.idemKey,
        class: spec.effect,
        state: "intended" as const,
        tries: 1,
        at: turn.now,
      };
      await turn.db.patch(stepId, { effectId: await turn.db.insert("effects", effect) });
    }
    return stepId;
  }
  const waitFor = await waitForOf(turn, run, asked);
  const childId = waitFor.type === "run" ? waitFor.childId : undefined;
  const stepId = await turn.db.insert("steps", { ...row, state: "waiting", waitFor, ...(childId && { childId }) });
  await turn.db.insert("waits", { runId: run._id, stepId });
  return stepId;
}

async function waitForOf(turn: Turn, run: Run, asked: Exclude<Asked, { type: "work" }>): Promise<WaitFor> {
  switch (asked.type) {
    case "sleep":
      return { type: "time", until: asked.until ?? turn.now + Math.max(0, asked.ms ?? 0) };
    case "signal": {
      const { kind, match, timeoutMs } = asked;
      return {
        type: "signal",
        kind,
        ...(match !== undefined && { match }),
        ...(timeoutMs !== undefined && { until: turn.now + Math.max(0, timeoutMs) }),
      };
    }
    case "run": {
      const { name, label, args } = asked;
      return { type: "run", childId: await startRun(turn, { name, label, args, parent: run }) };
    }
  }
}

/** What has come of that which its steps wait for: each becomes a step's outcome once. */
async function endWaits(turn: Turn, run: Run): Promise<StepRecord[]> {
  const changed: StepRecord[] = [];
  for (const wait of await waitsOf(turn, run)) {
    const step = await turn.db.get(wait.stepId);
    const after = step?.waitFor && (await outcomeOf(turn, step, step.waitFor));
    if (!step || !after) continue;
    const changes = { ...after, waitFor: undefined, ...(after.state !== "ready" && { endedAt: turn.now }) };
    await turn.db.delete(wait._id);
    await turn.db.patch(step._id, changes);
    const { waitFor: _over, ...kept } = { ...step, ...changes };
    changed.push(await toRecord(turn, kept));
  }
  return changed;
}

const waitsOf = (turn: Turn, { _id }: Run): Promise<Doc<"waits">[]> =>
  turn.db
    .query("waits")
    .withIndex("by_run", (q) => q.eq("runId", _id))
    .take(waitsMax);

type Outcome = { readonly state: "ready" | "done" | "failed"; readonly value?: Value; readonly error?: Failure };

async function outcomeOf(turn: Turn, step: Step, waitFor: WaitFor): Promise<Outcome | undefined> {
  const isOver = (until: number): boolean => until <= turn.now + earlyMs;
  switch (waitFor.type) {
    case "time":
      return isOver(waitFor.until) ? { state: "done" } : undefined;
    case "retry":
      return isOver(waitFor.until) ? { state: "ready" } : undefined;
    case "signal": {
      const signal = await findSignal(turn, step.runId, waitFor);
      if (!signal) return waitFor.until !== undefined && isOver(waitFor.until) ? { state: "done" } : undefined;
      await turn.db.patch(signal._id, { stepId: step._id });
      const { kind, body, from, at } = signal;
      const text = `{"kind":${JSON.stringify(kind)},"from":${JSON.stringify(from)},"at":${at},"body":${body}}`;
      return { state: "done", value: { type: "text", text } };
    }
    case "run":
      return childOutcome(turn, step, await turn.db.get(waitFor.childId));
    case "decision":
      return decided(step.effectId ? await turn.db.get(step.effectId) : null);
  }
}

function decided(effect: Doc<"effects"> | null): Outcome | undefined {
  if (!effect || effect.state === "unknown") return undefined;
  if (effect.state === "intended") return { state: "ready" };
  if (effect.state === "sent")
    return { state: "done", ...(effect.result !== undefined && { value: { type: "text", text: effect.result } }) };
  return {
    state: "failed",
    error: { code: "cancelled", message: "The owner says that it did not happen, and that it is not to." },
  };
}

async function childOutcome(turn: Turn, step: Step, child: Run | null): Promise<Outcome | undefined> {
  if (child && !hasRunEnded(child.state)) return undefined;
  if (child?.state === "done") {
    const value = child.result;
    if (value?.type === "file") await turn.db.insert("runFiles", { runId: step.runId, storageId: value.storageId });
    return { state: "done", ...(value && { value }) };
  }
  const error = child?.error ?? { code: "cancelled", message: `${child?.label ?? "What it began"} was stopped.` };
  return { state: "failed", error };
}

type SignalWait = Extract<WaitFor, { type: "signal" }>;

/** The oldest that fits and that nobody has heard. */
async function findSignal(turn: Turn, runId: Id<"runs">, { kind, match }: SignalWait): Promise<Doc<"signals"> | undefined> {
  const unread = await turn.db
    .query("signals")
    .withIndex("by_run", (q) => q.eq("runId", runId).eq("stepId", undefined).eq("kind", kind))
    .take(signalsMax);
  if (match === undefined) return unread[0];
  const wanted: unknown = JSON.parse(match);
  return unread.find(({ body }) => isMatch(JSON.parse(body), wanted));
}

/** It waits, and nobody holds a slot for it. */
async function suspend(turn: Turn, run: Run): Promise<void> {
  const times: number[] = [];
  for (const { stepId } of await waitsOf(turn, run)) {
    const waitFor = (await turn.db.get(stepId))?.waitFor;
    if (waitFor && "until" in waitFor && waitFor.until !== undefined) times.push(waitFor.until);
  }
  const wakeAt = times.length === 0 ? undefined : Math.min(...times);
  await turn.db.patch(run._id, { state: "waiting", jobId: undefined, wakeAt });
  if (wakeAt !== undefined) await turn.scheduler.runAt(wakeAt, internal.runs.wake, { runId: run._id });
}

/** The time that it waits for has come, if it still does. */
export async function wakeInTime(turn: Turn, run: Run): Promise<void> {
  if (run.state !== "waiting" || run.wakeAt === undefined) return;
  if (run.wakeAt <= turn.now + earlyMs) await putToWork(turn, run);
}

type RunEnd =
  | { readonly state: "done"; readonly value?: Value }
  | { readonly state: "failed"; readonly error: Failure }
  | { readonly state: "cancelled" };

async function endRun(turn: Turn, run: Run, end: RunEnd): Promise<void> {
  const value = end.state === "done" ? end.value : undefined;
  const error = end.state === "failed" ? end.error : undefined;
  if (value?.type === "file") await turn.db.insert("runFiles", { runId: run._id, storageId: value.storageId });
  await turn.db.patch(run._id, {
    state: end.state,
    endedAt: turn.now,
    jobId: undefined,
    wakeAt: undefined,
    problem: undefined,
    asks: 0,
    ...(value && { result: value }),
    ...(error && { error }),
  });
  await closeWaits(turn, run);
  if (run.occurrenceId)
    await endOccurrence(turn, run.occurrenceId, { state: end.state, name: run.label, said: error?.message ?? saidOf(value) });
  const parent = run.parentId && (await turn.db.get(run.parentId));
  if (parent) await wakeRun(turn, parent);
  else if (error && !run.occurrenceId)
    await record(turn, { type: "runFailed", name: run.label, text: `${run.label}: ${error.message}` });
}

/** What a run returned, for people; undefined when it is nothing that can be read. */
export function saidOf(value: Value | undefined): string | undefined {
  if (value?.type !== "text") return undefined;
  const said: unknown = JSON.parse(value.text);
  return typeof said === "string" ? said : value.text;
}

/** Nobody waits any more for what these steps waited for; the runs they began are stopped. */
async function closeWaits(turn: Turn, run: Run): Promise<void> {
  const waits = await waitsOf(turn, run);
  for (const { _id, stepId } of waits) {
    await turn.db.delete(_id);
    const step = await turn.db.get(stepId);
    if (step) await turn.db.patch(stepId, { state: "cancelled", endedAt: turn.now, waitFor: undefined });
  }
  if (waits.length === 0) return;
  if (await stopChildren(turn, run._id)) await turn.scheduler.runAfter(0, internal.runs.stopRest, { runId: run._id });
}

/** True when there may be more. */
export async function stopChildren(turn: Turn, runId: Id<"runs">): Promise<boolean> {
  const children = await turn.db
    .query("runs")
    .withIndex("by_parent", (q) => q.eq("parentId", runId).eq("endedAt", undefined))
    .take(stoppedMax);
  for (const child of children) await cancelRun(turn, child);
  return children.length === stoppedMax;
}

/** Nobody wants it any more: it, what it began and what it waits for. An effect that is under way may still happen. */
export async function cancelRun(turn: Turn, run: Run): Promise<void> {
  if (hasRunEnded(run.state)) return;
  await leaveSteps(turn, run);
  await letGo(turn, run);
  await endRun(turn, run, { state: "cancelled" });
}

/** Takes the run out of the hands of its job. */
async function letGo(turn: Turn, { jobId }: Run): Promise<void> {
  const job = jobId && (await turn.db.get(jobId));
  if (!job || !isOpen(job.state)) return;
  if (job.state === "leased") await turn.db.patch(job._id, { cancelAsked: true });
  else await moveJob(turn, job, cancelled(job, turn.now));
}

/** What was being done stays undone; of what was to be sent nobody knows. */
async function leaveSteps(turn: Turn, run: Run): Promise<void> {
  const steps = turn.db.query("steps").withIndex("by_run", (q) => q.eq("runId", run._id).eq("life", run.life));
  for await (const step of steps) {
    if (step.state !== "started" && step.state !== "ready") continue;
    await turn.db.patch(step._id, { state: "cancelled", endedAt: turn.now });
    const effect = step.effectId && (await turn.db.get(step.effectId));
    if (effect?.state === "intended") await turn.db.patch(effect._id, { state: "unknown", endedAt: turn.now });
  }
}

/** It does not go on until the owner says how. */
export async function parkRun(turn: Turn, run: Run, problem: RunProblem): Promise<void> {
  await turn.db.patch(run._id, { state: "parked", jobId: undefined, wakeAt: undefined, problem });
  await record(turn, { type: "runParked", name: run.label, text: `${run.label}: ${problem.message}` });
}

/** It is tried again from where it was parked. */
export async function resumeRun(turn: Turn, run: Run): Promise<void> {
  if (run.state !== "parked") throw new NikaError("conflict", "Only a run that was put aside can be resumed.");
  await turn.db.patch(run._id, { problem: undefined });
  await putToWork(turn, run);
}

/** It begins anew, as if it had never run: what it did stays done in the world, and is done again. */
export async function restartRun(turn: Turn, run: Run): Promise<void> {
  if (run.parentId) throw new NikaError("conflict", "This run was begun by another one; restart that.");
  if (!hasRunEnded(run.state) && run.state !== "parked")
    throw new NikaError("conflict", "It is under way; cancel it first, or let it end.");
  await leaveSteps(turn, run);
  await closeWaits(turn, run);
  const { endedAt: _end, problem: _problem, error: _error, result: _result, version: _version, wakeAt: _wake, ...kept } = run;
  // The time of a schedule that it was for has had its outcome.
  const { occurrenceId: _occurrence, ...free } = kept;
  const fresh = { ...free, life: run.life + 1, news: 0, asks: 0, state: "running" as const };
  await turn.db.replace(run._id, fresh);
  await putToWork(turn, await mustGetRun(turn, run._id));
}

export type NewSignal = { readonly kind: string; readonly body: string; readonly from: string };

/** Says something to a run; it is kept until a step asks for it. */
export async function sendSignal(turn: Turn, run: Run, { kind, body, from }: NewSignal): Promise<void> {
  if (hasRunEnded(run.state)) throw new NikaError("conflict", "That run has ended; nobody would hear it.");
  if (body.length > valueCharsMax) throw new NikaError("invalid", `A signal has at most ${valueCharsMax} characters.`);
  const unread = await turn.db
    .query("signals")
    .withIndex("by_run", (q) => q.eq("runId", run._id).eq("stepId", undefined))
    .take(signalsMax);
  if (unread.length === signalsMax) throw new NikaError("full", "That run has not asked for the signals it was sent before.");
  await turn.db.insert("signals", { runId: run._id, kind, body, from, at: turn.now });
  // Only what it asks for is a reason to wake it.
  for (const { stepId } of await waitsOf(turn, run)) {
    const waitFor = (await turn.db.get(stepId))?.waitFor;
    if (waitFor?.type === "signal" && waitFor.kind === kind) return wakeRun(turn, run);
  }
  if (run.state === "running") await wakeRun(turn, run);
}

/** What the owner says of an effect that nobody knows of: it happened, it did not and is not to, or it is to be tried once more. */
export async function decideEffect(
  turn: Turn,
  effect: Doc<"effects">,
  { as, result }: { readonly as: "sent" | "failed" | "again"; readonly result?: string | undefined },
): Promise<void> {
  const step = await turn.db.get(effect.stepId);
  const run = await turn.db.get(effect.runId);
  if (!run || effect.state !== "unknown" || step?.waitFor?.type !== "decision")
    throw new NikaError("conflict", "That is not asked any more.");
  const state = as === "again" ? "intended" : as;
  await turn.db.patch(effect._id, { state, ...(as === "sent" && result !== undefined && { result }) });
  await turn.db.patch(run._id, { asks: Math.max(0, run.asks - 1) });
  await wakeRun(turn, run);
}

/** A step as the worker goes on with it. */
export async function toRecord(ctx: { readonly storage: Pick<Turn["storage"], "getUrl"> }, step: Step): Promise<StepRecord> {
  const { _id: id, path, scope, n, label, type, inputHash, effect, attemptsMax, state, attempts, value, error, waitFor } = step;
  const url = value?.type === "file" ? await ctx.storage.getUrl(value.storageId) : null;
  return {
    id,
    path,
    scope,
    n,
    type,
    state,
    attempts,
    ...(label !== undefined && { label }),
    ...(inputHash !== undefined && { inputHash }),
    ...(effect && { effect }),
    ...(attemptsMax !== undefined && { attemptsMax }),
    ...(value && { value }),
    ...(url !== null && { url }),
    ...(error && { error }),
    ...(waitFor && "until" in waitFor && waitFor.until !== undefined && { until: waitFor.until }),
  };
}
