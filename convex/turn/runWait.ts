/** What steps wait for: a time, another try, a signal, a run they began, the owner's word. Each becomes a step's outcome here, once. */
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import type { Failure } from "../model/job.ts";
import { hasRunEnded, isMatch, signalsMax, type StepRecord, type Value, type WaitFor } from "../model/run.ts";
import type { Turn } from "./guard.ts";
import { toRecord } from "./runStep.ts";

type Run = Doc<"runs">;
type Step = Doc<"steps">;

/** A timer may ring a little early; going back to sleep for that would only cost a call. */
const earlyMs = 50;
/** Steps of one run that wait at the same time. */
const waitsMax = 1_000;

/** Whether that instant (ms) is over. */
export const hasCome = ({ now }: Pick<Turn, "now">, until: number): boolean => until <= now + earlyMs;

export const waitsOf = (turn: Turn, { _id }: Run): Promise<Doc<"waits">[]> =>
  turn.db
    .query("waits")
    .withIndex("by_run", (q) => q.eq("runId", _id))
    .take(waitsMax);

/** What has come of that which its steps wait for: each becomes a step's outcome once. */
export async function endWaits(turn: Turn, run: Run): Promise<StepRecord[]> {
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

type Outcome = { readonly state: "ready" | "done" | "failed"; readonly value?: Value; readonly error?: Failure };

async function outcomeOf(turn: Turn, step: Step, waitFor: WaitFor): Promise<Outcome | undefined> {
  const isOver = (until: number): boolean => hasCome(turn, until);
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
export async function suspend(turn: Turn, run: Run): Promise<void> {
  const times: number[] = [];
  for (const { stepId } of await waitsOf(turn, run)) {
    const waitFor = (await turn.db.get(stepId))?.waitFor;
    if (waitFor && "until" in waitFor && waitFor.until !== undefined) times.push(waitFor.until);
  }
  const wakeAt = times.length === 0 ? undefined : Math.min(...times);
  await turn.db.patch(run._id, { state: "waiting", jobId: undefined, wakeAt });
  if (wakeAt !== undefined) await turn.scheduler.runAt(wakeAt, internal.runs.wake, { runId: run._id });
}
