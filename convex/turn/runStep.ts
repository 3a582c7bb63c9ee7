/** The steps of a run as rows: handed to whoever goes on with it, and left when nobody does. */
import type { Doc } from "../_generated/dataModel.js";
import type { StepRecord } from "../model/run.ts";
import type { Turn } from "./guard.ts";

type Run = Doc<"runs">;
type Step = Doc<"steps">;

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

/** What was being done stays undone; of what was to be sent nobody knows. */
export async function leaveSteps(turn: Turn, run: Run): Promise<void> {
  const steps = turn.db.query("steps").withIndex("by_run", (q) => q.eq("runId", run._id).eq("life", run.life));
  for await (const step of steps) {
    if (step.state !== "started" && step.state !== "ready") continue;
    await turn.db.patch(step._id, { state: "cancelled", endedAt: turn.now });
    const effect = step.effectId && (await turn.db.get(step.effectId));
    if (effect?.state === "intended") await turn.db.patch(effect._id, { state: "unknown", endedAt: turn.now });
  }
}
