/** What a worker did between two boundaries of a run, written in one transaction, and only while its job holds the run. */
import type { Doc, Id } from "../_generated/dataModel.js";
import { NikaError } from "../model/error.ts";
import type { Failure } from "../model/job.ts";
import {
  afterTry,
  type Asked,
  type RunProblem,
  type StepRecord,
  type StepSpec,
  type Tried,
  type Value,
  type WaitFor,
} from "../model/run.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";
import { endRun, mustGetRun, parkRun, startRun } from "./run.ts";
import { toRecord } from "./runStep.ts";
import { endWaits, suspend } from "./runWait.ts";

type Run = Doc<"runs">;
type Step = Doc<"steps">;

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
