/** Models trained on the owner's use: a record each, of what it was made and what it came to. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import { isOpen } from "./model/job.ts";
import { modelsKeptMax, vLoraWish, vModelResult, vModelView, type ModelView } from "./model/model.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery } from "./turn/guard.ts";

const seedMax = 2 ** 31;

/** Newest first. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vModelView),
  handler: async (ctx) => {
    const rows = await ctx.db.query("models").order("desc").take(modelsKeptMax);
    return Promise.all(rows.map((row) => toView(ctx, row)));
  },
});

/**
 * Trains a model on what was remembered; with `lora`, beside a base, as a job of a machine that has what it takes. Nothing is changed by it
 * but this list. Fails with `conflict` while one is being trained.
 */
export const train = ownerMutation({
  args: { seed: v.optional(v.number()), keepsNumbers: v.optional(v.boolean()), lora: v.optional(vLoraWish) },
  returns: v.id("models"),
  handler: async (turn, { seed = 1, keepsNumbers = false, lora }) => {
    if (!Number.isInteger(seed) || seed < 0 || seed >= seedMax)
      throw new NikaError("invalid", `A seed is a whole number from 0 to below ${seedMax}.`);
    const allowed = (await turn.db.query("learning").first())?.scopes ?? [];
    if (allowed.length === 0)
      throw new NikaError("invalid", "Nothing of your use is remembered yet; allow it with `nika model use --allow private`.");
    const rows = await turn.db.query("models").order("desc").take(modelsKeptMax);
    const jobs = await Promise.all(rows.map(async ({ jobId }) => (jobId ? turn.db.get(jobId) : null)));
    if (jobs.some((job) => job && isOpen(job.state))) throw new NikaError("conflict", "A model is being trained already.");
    if (rows.length === modelsKeptMax) await turn.db.delete(rows.at(-1)!._id);
    const modelId = await turn.db.insert("models", { at: turn.now, seed, isScrubbed: !keepsNumbers, ...(lora && { lora }) });
    const jobId = await enqueue(turn, {
      kind: lora ? "models.tune" : "models.train",
      args: { modelId },
      label: "a model of your own",
    });
    await turn.db.patch(modelId, { jobId });
    return modelId;
  },
});

/** What its training needs to know. */
export const get = systemQuery({
  args: { modelId: v.id("models") },
  returns: v.union(v.null(), v.object({ seed: v.number(), isScrubbed: v.boolean(), lora: v.optional(vLoraWish) })),
  handler: async (ctx, { modelId }) => {
    const row = await ctx.db.get(modelId);
    return row && { seed: row.seed, isScrubbed: row.isScrubbed, ...(row.lora && { lora: row.lora }) };
  },
});

export const finish = systemMutation({
  args: { modelId: v.id("models"), result: vModelResult },
  returns: v.null(),
  handler: async (turn, { modelId, result }) => {
    if (await turn.db.get(modelId)) await turn.db.patch(modelId, { result });
    return null;
  },
});

async function toView(ctx: QueryCtx, { _id, at, seed, jobId, result }: Doc<"models">): Promise<ModelView> {
  const job = jobId && (await ctx.db.get(jobId));
  const shared = { id: _id, at, seed };
  if (result) return { ...shared, state: "done", result };
  if (!job) return { ...shared, state: "failed", problem: "Its work is no longer known." };
  if (job.state === "ready") return { ...shared, state: "waiting" };
  if (job.state === "leased") return { ...shared, state: "running" };
  if (job.state === "cancelled") return { ...shared, state: "cancelled" };
  return { ...shared, state: "failed", ...(job.error && { problem: job.error.message }) };
}
