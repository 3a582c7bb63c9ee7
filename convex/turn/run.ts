/** The life of a run: begun, put to work, woken, put aside, stopped, begun anew, ended. What happens within it: checkpoint.ts. */
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import { NikaError } from "../model/error.ts";
import { cancelled, isOpen, type Failure } from "../model/job.ts";
import {
  depthMax,
  hasRunEnded,
  labelCharsMax,
  runNamePattern,
  valueCharsMax,
  type RunProblem,
  type Value,
} from "../model/run.ts";
import { enqueue } from "./enqueue.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";
import { moveJob } from "./move.ts";
import { endOccurrence } from "./occurrence.ts";
import { leaveSteps } from "./runStep.ts";
import { hasCome, waitsOf } from "./runWait.ts";

type Run = Doc<"runs">;

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

/** The time that it waits for has come, if it still does. */
export async function wakeInTime(turn: Turn, run: Run): Promise<void> {
  if (run.state !== "waiting" || run.wakeAt === undefined) return;
  if (hasCome(turn, run.wakeAt)) await putToWork(turn, run);
}

type RunEnd =
  | { readonly state: "done"; readonly value?: Value }
  | { readonly state: "failed"; readonly error: Failure }
  | { readonly state: "cancelled" };

export async function endRun(turn: Turn, run: Run, end: RunEnd): Promise<void> {
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
export async function closeWaits(turn: Turn, run: Run): Promise<void> {
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
