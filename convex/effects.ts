/** What runs did to the world, and the owner's word where nobody can know. */
import { v } from "convex/values";
import { NikaError } from "./model/error.ts";
import { vEffectClass, vEffectState, valueCharsMax } from "./model/run.ts";
import { ownerMutation, ownerQuery } from "./turn/guard.ts";
import { decideEffect } from "./turn/runNews.ts";

const listedMax = 200;

/** The latest of one state; without one, those that the owner is to decide about. */
export const list = ownerQuery({
  args: { state: v.optional(vEffectState) },
  returns: v.array(
    v.object({
      runId: v.id("runs"),
      label: v.string(),
      step: v.string(),
      class: vEffectClass,
      state: vEffectState,
      key: v.string(),
      tries: v.number(),
      at: v.number(),
    }),
  ),
  handler: async (ctx, { state = "unknown" }) => {
    const effects = await ctx.db
      .query("effects")
      .withIndex("by_state", (q) => q.eq("state", state))
      .order("desc")
      .take(listedMax);
    const views = [];
    for (const { runId, stepId, class: sort, key, tries, at } of effects) {
      const [run, step] = [await ctx.db.get(runId), await ctx.db.get(stepId)];
      if (run && step) views.push({ runId, label: run.label, step: step.label ?? step.path, class: sort, state, key, tries, at });
    }
    return views;
  },
});

/**
 * Nobody knows whether this step of a run happened, and the owner says: it did (`sent`, with what came of it as JSON, if anything), it did
 * not and is not to (`failed`), or it is to be tried once more (`again`).
 */
export const decide = ownerMutation({
  args: {
    stepId: v.id("steps"),
    as: v.union(v.literal("sent"), v.literal("failed"), v.literal("again")),
    result: v.optional(v.string()),
  },
  returns: v.null(),
  handler: async (turn, { stepId, as, result }) => {
    const step = await turn.db.get(stepId);
    const effect = step?.effectId && (await turn.db.get(step.effectId));
    if (!effect) throw new NikaError("missing", "There is no such step to decide about.");
    await decideEffect(turn, effect, { as, result: result === undefined ? undefined : checked(result) });
    return null;
  },
});

function checked(result: string): string {
  if (result.length > valueCharsMax) throw new NikaError("invalid", `A result has at most ${valueCharsMax} characters here.`);
  try {
    return JSON.stringify(JSON.parse(result));
  } catch (cause) {
    throw new NikaError("invalid", `What came of it must be JSON, such as {"id": 7}.`, { cause });
  }
}
