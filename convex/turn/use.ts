/** How remembered use is let go: by the owner's word, by age, and with the documents it was about. */
import type { Doc } from "../_generated/dataModel.js";
import { shownMax, usesKeptMax, usesKeptMs } from "../model/use.ts";
import type { Turn } from "./guard.ts";
import { readTally } from "./tally.ts";

const batchMax = 100;

export async function dropUse(turn: Turn, use: Doc<"uses">): Promise<void> {
  const reactions = await turn.db
    .query("reactions")
    .withIndex("by_use", (q) => q.eq("useId", use._id))
    .take(shownMax);
  for (const { _id } of reactions) await turn.db.delete(_id);
  turn.tally.add("uses", "reaction", -reactions.length);
  turn.tally.add("uses", "question", -1);
  await turn.db.delete(use._id);
}

/** What is too old or too much; whether there is more. */
export async function sweepUses(turn: Turn): Promise<boolean> {
  const count = await readTally(turn.db, "uses");
  const excess = count("question") - usesKeptMax;
  const oldest = await turn.db.query("uses").withIndex("by_at").take(batchMax);
  const gone = oldest.filter(({ at }, place) => place < excess || at < turn.now - usesKeptMs);
  for (const use of gone) await dropUse(turn, use);
  return gone.length === batchMax;
}

/** They quote what was asked, so they go with it. */
export async function dropComparisons(turn: Turn): Promise<void> {
  for (const { _id } of await turn.db.query("comparisons").collect()) await turn.db.delete(_id);
}

/** What a language model wrote about passages: of a document, or all of it. Whether there is more. */
export async function dropWritten(turn: Turn, documentId?: string): Promise<boolean> {
  const all = turn.db.query("written");
  const mine = documentId === undefined ? all : all.withIndex("by_documentId", (q) => q.eq("documentId", documentId));
  const some = await mine.take(batchMax);
  for (const { _id } of some) await turn.db.delete(_id);
  return some.length === batchMax;
}

/** Questions that the document answered are about it: they go with it. Whether there is more. */
export async function forgetUsesOf(turn: Turn, documentId: string): Promise<boolean> {
  const reactions = await turn.db
    .query("reactions")
    .withIndex("by_documentId", (q) => q.eq("documentId", documentId))
    .take(batchMax);
  const id = turn.db.normalizeId("documents", documentId);
  const pins = id
    ? await turn.db
        .query("pins")
        .withIndex("by_documentId", (q) => q.eq("documentId", id))
        .collect()
    : [];
  for (const { _id } of pins) await turn.db.delete(_id);
  if (reactions.length > 0 || pins.length > 0) await dropComparisons(turn);
  for (const useId of new Set(reactions.map((reaction) => reaction.useId))) {
    const use = await turn.db.get(useId);
    if (use) await dropUse(turn, use);
  }
  return (await dropWritten(turn, documentId)) || reactions.length === batchMax;
}
