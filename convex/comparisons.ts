/** Models beside each other on today's questions, and the questions that have to stay answered. */
import { v, type Infer } from "convex/values";
import { questionCharsMax } from "./model/answer.ts";
import { comparisonsKeptMax, pinsMax, vComparison, vComparisonView, vPin, type ComparisonView } from "./model/comparison.ts";
import { NikaError } from "./model/error.ts";
import { isOpen } from "./model/job.ts";
import { fusionDefault, vFusion } from "./model/model.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";

const vWanted = v.object({ wanted: v.string(), fusion: vFusion });

/**
 * Compares two models, or looks at one: "live" is the one that searches go by, "baseline" and "bge" those that nobody trained here, anything
 * else the id of one that was. Fails with `missing` when there is none of that id, and with `conflict` while another comparison is made.
 */
export const begin = ownerMutation({
  args: { one: v.string(), other: v.optional(v.string()) },
  returns: v.id("comparisons"),
  handler: async (turn, { one, other }) => {
    for (const wanted of [one, ...(other === undefined ? [] : [other])]) await check(turn, wanted);
    const rows = await turn.db.query("comparisons").order("desc").collect();
    const jobs = await Promise.all(rows.map(async ({ jobId }) => (jobId ? turn.db.get(jobId) : null)));
    if (jobs.some((job) => job && isOpen(job.state))) throw new NikaError("conflict", "Models are being compared already.");
    for (const { _id } of rows.slice(comparisonsKeptMax - 1)) await turn.db.delete(_id);
    const comparisonId = await turn.db.insert("comparisons", { at: turn.now, one, ...(other !== undefined && { other }) });
    const jobId = await enqueue(turn, { kind: "models.compare", args: { comparisonId }, label: "models beside each other" });
    await turn.db.patch(comparisonId, { jobId });
    return comparisonId;
  },
});

/** Newest first. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vComparisonView),
  handler: async (ctx) => {
    const rows = await ctx.db.query("comparisons").order("desc").take(comparisonsKeptMax);
    return Promise.all(
      rows.map(async ({ _id: id, at, one, other, jobId, result }): Promise<ComparisonView> => {
        const job = jobId && (await ctx.db.get(jobId));
        const shared = { id, at, one, ...(other !== undefined && { other }) };
        if (result) return { ...shared, state: "done", result };
        if (job && isOpen(job.state)) return { ...shared, state: "working" };
        return { ...shared, state: "failed", problem: job?.error?.message ?? "Its work is no longer known." };
      }),
    );
  },
});

export const get = systemQuery({
  args: { comparisonId: v.id("comparisons") },
  returns: v.union(v.null(), v.object({ one: vWanted, other: v.optional(vWanted) })),
  handler: async (ctx, { comparisonId }) => {
    const row = await ctx.db.get(comparisonId);
    const toWanted = async (wanted: string): Promise<Infer<typeof vWanted>> => {
      const id = ctx.db.normalizeId("models", wanted);
      const model = id && (await ctx.db.get(id));
      return { wanted, fusion: model?.result?.trained?.fusion ?? fusionDefault };
    };
    if (!row) return null;
    return { one: await toWanted(row.one), ...(row.other !== undefined && { other: await toWanted(row.other) }) };
  },
});

export const finish = systemMutation({
  args: { comparisonId: v.id("comparisons"), result: vComparison },
  returns: v.null(),
  handler: async (turn, { comparisonId, result }) => {
    if (await turn.db.get(comparisonId)) await turn.db.patch(comparisonId, { result });
    return null;
  },
});

/** Has a question stay answered by a document: no model that loses it is better. Again, nothing changes. */
export const pin = ownerMutation({
  args: { question: v.string(), documentId: v.string() },
  returns: v.null(),
  handler: async (turn, { question, documentId }) => {
    const said = question.trim();
    if (said === "" || said.length > questionCharsMax)
      throw new NikaError("invalid", `A question has 1 to ${questionCharsMax} characters.`);
    const id = turn.db.normalizeId("documents", documentId);
    const document = id && (await turn.db.get(id));
    if (!document) throw new NikaError("missing", "There is no such document; `nika documents` shows those there are.");
    const pins = await turn.db.query("pins").take(pinsMax);
    if (pins.some((one) => one.question === said && one.documentId === document._id)) return null;
    if (pins.length === pinsMax) throw new NikaError("full", `At most ${pinsMax} questions are pinned; take one away first.`);
    await turn.db.insert("pins", { question: said, documentId: document._id, at: turn.now });
    return null;
  },
});

/** Takes a question's pins away; says how many there were. */
export const unpin = ownerMutation({
  args: { question: v.string() },
  returns: v.number(),
  handler: async (turn, { question }) => {
    const pins = await turn.db.query("pins").take(pinsMax);
    const mine = pins.filter((one) => one.question === question.trim());
    for (const { _id } of mine) await turn.db.delete(_id);
    return mine.length;
  },
});

export const pins = ownerQuery({
  args: {},
  returns: v.array(vPin),
  handler: async (ctx) => {
    const rows = await ctx.db.query("pins").take(pinsMax);
    const named = rows.map(async ({ _id: id, question, documentId, at }) => {
      const document = await ctx.db.get(documentId);
      return document ? [{ id, question, documentId, documentName: document.name, at }] : [];
    });
    return (await Promise.all(named)).flat();
  },
});

/** For who judges models. */
export const pinned = systemQuery({
  args: {},
  returns: v.array(v.object({ question: v.string(), documentId: v.string() })),
  handler: async (ctx) =>
    (await ctx.db.query("pins").take(pinsMax)).map(({ question, documentId }) => ({ question, documentId })),
});

async function check(turn: Turn, wanted: string): Promise<void> {
  if (["live", "baseline", "bge"].includes(wanted)) return;
  const id = turn.db.normalizeId("models", wanted);
  const model = id && (await turn.db.get(id));
  if (!model) throw new NikaError("missing", "There is no such model; `nika model list` shows those there are.");
  if (!model.result?.trained) throw new NikaError("invalid", "There are no files of this model to compare.");
}
