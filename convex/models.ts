/** Models trained on the owner's use: a record each, of what it was made and what it came to. */
import { v } from "convex/values";
import type { Doc, Id } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError, toNikaError } from "./model/error.ts";
import { isOpen } from "./model/job.ts";
import {
  modelFilesKeptMax,
  modelsKeptMax,
  nothingBetter,
  vLoraWish,
  vModelResult,
  vModelView,
  type ModelResult,
  type ModelView,
} from "./model/model.ts";
import { wantedOf } from "./model/generation.ts";
import { vWriting, writingPassagesMax } from "./model/written.ts";
import { enqueue } from "./turn/enqueue.ts";
import { record } from "./turn/event.ts";
import { begin, generationIn, movingOf } from "./turn/generation.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";

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
 * but this list, unless it `deploys`: then a better one is put in force. Fails with `conflict` while one is being trained.
 */
export const train = ownerMutation({
  args: {
    seed: v.optional(v.number()),
    keepsNumbers: v.optional(v.boolean()),
    deploys: v.optional(v.boolean()),
    lora: v.optional(vLoraWish),
    writing: v.optional(vWriting),
  },
  returns: v.id("models"),
  handler: (turn, { seed = 1, keepsNumbers = false, deploys = false, lora, writing }) => {
    const wish = { ...(deploys && { deploys }), ...(lora && { lora }), ...(writing && { writing }) };
    return start(turn, { seed, isScrubbed: !keepsNumbers, ...wish });
  },
});

/** Makes a model once more from its record, of what was remembered then. Whether it is the same is written down with it. */
export const trainAgain = ownerMutation({
  args: { modelId: v.string() },
  returns: v.id("models"),
  handler: async (turn, { modelId }) => {
    const id = turn.db.normalizeId("models", modelId);
    const model = id && (await turn.db.get(id));
    if (!model) throw new NikaError("missing", "There is no such model; `nika model list` shows those there are.");
    if (model.lora)
      throw new NikaError("invalid", "One that was trained beside a base is not made again to the byte; train another one.");
    const { seed, isScrubbed, at, until = at, writing } = model;
    // Of what was written then; nobody is asked anything more.
    const kept = writing && { writing: { passagesMax: 0, sends: false } };
    return start(turn, { seed, isScrubbed, until, againOf: model._id, ...kept });
  },
});

/** Whether what is in force knows meanings: no table of words would better it, so only training beside a base is of use. */
export const outlook = ownerQuery({
  args: {},
  returns: v.object({ knowsMeanings: v.boolean() }),
  handler: async (ctx) => {
    const live = await generationIn(ctx, "live");
    return { knowsMeanings: live !== null && (await knowsMeanings(ctx, live.wanted)) };
  },
});

async function knowsMeanings({ db }: Pick<QueryCtx, "db">, wanted: string): Promise<boolean> {
  if (wanted === "baseline") return false;
  const id = db.normalizeId("models", wanted);
  const model = id && (await db.get(id));
  return !model || model.lora !== undefined;
}

/** The same for the schedule. What is to be told; null when nothing could be bettered, and that was told once of what is in force. */
export const trainDue = systemMutation({
  args: { deploys: v.boolean(), lora: v.optional(vLoraWish) },
  returns: v.union(v.string(), v.null()),
  handler: async (turn, { deploys, lora }) => {
    const live = await generationIn(turn, "live");
    if (!lora && live && (await knowsMeanings(turn, live.wanted))) {
      if (live.saidBestAt !== undefined) return null;
      await turn.db.patch(live._id, { saidBestAt: turn.now });
      return `No model is trained by itself while ${live.wanted === "bge" ? "bge" : "this model"} is in force: ${nothingBetter}`;
    }
    await start(turn, { seed: 1, isScrubbed: true, ...(deploys && { deploys }), ...(lora && { lora }) });
    return "A model is being trained; what it comes to is told when it is done.";
  },
});

type Start = Pick<Doc<"models">, "seed" | "isScrubbed" | "until" | "againOf" | "deploys" | "lora" | "writing">;

async function start(turn: Turn, wish: Start): Promise<Id<"models">> {
  const { seed, lora, writing } = wish;
  if (!Number.isInteger(seed) || seed < 0 || seed >= seedMax)
    throw new NikaError("invalid", `A seed is a whole number from 0 to below ${seedMax}.`);
  const isCount = (count: number): boolean => Number.isInteger(count) && count >= 0 && count <= writingPassagesMax;
  if (writing && !isCount(writing.passagesMax))
    throw new NikaError("invalid", `A language model may be asked about 1 to ${writingPassagesMax} passages at a time.`);
  const allowed = (await turn.db.query("learning").first())?.scopes ?? [];
  if (allowed.length === 0)
    throw new NikaError("invalid", "Nothing of your use is remembered yet; allow it with `nika model use --allow private`.");
  const rows = await turn.db.query("models").order("desc").take(modelsKeptMax);
  const jobs = await Promise.all(rows.map(async ({ jobId }) => (jobId ? turn.db.get(jobId) : null)));
  if (jobs.some((job) => job && isOpen(job.state))) throw new NikaError("conflict", "A model is being trained already.");
  const needed = await neededModels(turn);
  const oldest = rows.toReversed().find(({ _id }) => !needed.has(_id));
  if (rows.length === modelsKeptMax && oldest) await turn.db.delete(oldest._id);
  const modelId = await turn.db.insert("models", { at: turn.now, ...wish });
  const jobId = await enqueue(turn, {
    kind: lora ? "models.tune" : "models.train",
    args: { modelId },
    label: "a model of your own",
  });
  await turn.db.patch(modelId, { jobId });
  return modelId;
}

/** What its training needs to know. */
export const get = systemQuery({
  args: { modelId: v.id("models") },
  returns: v.union(
    v.null(),
    v.object({
      seed: v.number(),
      isScrubbed: v.boolean(),
      until: v.number(),
      lora: v.optional(vLoraWish),
      writing: v.optional(vWriting),
    }),
  ),
  handler: async (ctx, { modelId }) => {
    const row = await ctx.db.get(modelId);
    if (!row) return null;
    const { seed, isScrubbed, at, until = at, lora, writing } = row;
    return { seed, isScrubbed, until, ...(lora && { lora }), ...(writing && { writing }) };
  },
});

/** What training came to. A better one whose owner said so is put in force; either way he is told. */
export const finish = systemMutation({
  args: { modelId: v.id("models"), result: vModelResult },
  returns: v.null(),
  handler: async (turn, { modelId, result }) => {
    const row = await turn.db.get(modelId);
    if (!row || row.result) return null;
    const again = row.againOf && (await turn.db.get(row.againOf));
    const says = again?.result ? `${sameness(again.result, result)} ${result.says}` : result.says;
    await turn.db.patch(modelId, { result: { ...result, says } });
    const deployed = row.deploys === true && result.verdict === "better" ? await put(turn, modelId) : "";
    const text = [says, deployed].filter((one) => one !== "").join(" ");
    await record(turn, { type: "modelTrained", name: modelId.slice(0, 8), text });
    return null;
  },
});

async function put(turn: Turn, modelId: Id<"models">): Promise<string> {
  try {
    await begin(turn, { modelId, by: "schedule" });
    return "The vault is being moved to it.";
  } catch (error) {
    return `It was not put in force: ${toNikaError(error).message}`;
  }
}

function sameness(before: ModelResult, after: ModelResult): string {
  if (before.dataSha256 !== after.dataSha256) return "What it was learned from is no longer the same, so it is another model.";
  if (before.against !== after.against) return "It was compared with another model in force, so it is another one.";
  return before.trained?.sha256 === after.trained?.sha256
    ? "The same model, byte for byte."
    : "The data is the same and the model is not.";
}

/** Whose files stay: see the model's record for how many. */
export const files = systemQuery({
  args: {},
  returns: v.array(v.string()),
  handler: async (ctx) => {
    const rows = await ctx.db.query("models").order("desc").take(modelsKeptMax);
    const newest = rows.filter(({ result }) => result?.trained || !result).slice(0, modelFilesKeptMax);
    return [...new Set([...newest.map(({ _id }): string => _id), ...(await neededModels(ctx))])];
  },
});

/** What is in force, moved to, or may be gone back to. */
async function neededModels(ctx: Pick<QueryCtx, "db">): Promise<Set<string>> {
  const rows = [await generationIn(ctx, "live"), await generationIn(ctx, "kept"), await movingOf(ctx)];
  return new Set(rows.flatMap((row) => (row ? [row.wanted, wantedOf(row.embedderId ?? "")] : [])));
}

async function toView(ctx: QueryCtx, { _id, at, seed, againOf, deploys, jobId, result }: Doc<"models">): Promise<ModelView> {
  const job = jobId && (await ctx.db.get(jobId));
  const shared = { id: _id, at, seed, ...(againOf && { againOf }), ...(deploys !== undefined && { deploys }) };
  if (result) return { ...shared, state: "done", result };
  if (!job) return { ...shared, state: "failed", problem: "Its work is no longer known." };
  if (job.state === "ready") return { ...shared, state: "waiting" };
  if (job.state === "leased") return { ...shared, state: "running" };
  if (job.state === "cancelled") return { ...shared, state: "cancelled" };
  return { ...shared, state: "failed", ...(job.error && { problem: job.error.message }) };
}
