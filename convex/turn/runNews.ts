/** What others say to a run: signals, and the owner's word on an effect that nobody knows of. */
import type { Doc } from "../_generated/dataModel.js";
import { NikaError } from "../model/error.ts";
import { hasRunEnded, signalsMax, valueCharsMax } from "../model/run.ts";
import type { Turn } from "./guard.ts";
import { wakeRun } from "./run.ts";
import { waitsOf } from "./runWait.ts";

type Run = Doc<"runs">;

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
