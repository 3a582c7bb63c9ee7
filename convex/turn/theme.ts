/** What documents are about, kept as they come and go. Runs inside the transaction that reads or deletes a document. */
import type { Id } from "../_generated/dataModel.js";
import { isOpen } from "../model/job.ts";
import { freshMin, freshShare, type Profile } from "../model/theme.ts";
import { enqueue } from "./enqueue.ts";
import type { Turn } from "./guard.ts";
import { readTally } from "./tally.ts";

/** Replaces what is known of a document. */
export async function keepProfile(turn: Turn, documentId: Id<"documents">, profile: Profile): Promise<void> {
  await dropProfile(turn, documentId);
  await turn.db.insert("profiles", { documentId, ...profile });
  const row = await turn.db.query("themes").first();
  if (row) await turn.db.patch(row._id, { fresh: row.fresh + 1 });
  else await turn.db.insert("themes", { fresh: 1 });
}

/** Has themes looked for again once enough is new and nothing more is coming; asked whenever a reading ended, however it did. */
export async function lookForThemes(turn: Turn): Promise<void> {
  const row = await turn.db.query("themes").first();
  if (!row) return;
  const count = await readTally(turn.db, "documents");
  // This document is still counted as being read.
  const isLast = count("waiting") + count("reading") <= 1;
  const isEnough = row.fresh >= Math.max(freshMin, freshShare * count("ready"));
  const job = row.jobId && (await turn.db.get(row.jobId));
  if (!isLast || !isEnough || (job && isOpen(job.state))) return;
  const jobId = await enqueue(turn, { kind: "themes.find", args: {}, label: "themes" });
  await turn.db.patch(row._id, { fresh: 0, jobId });
}

export async function dropProfile(turn: Turn, documentId: Id<"documents">): Promise<void> {
  const before = await turn.db
    .query("profiles")
    .withIndex("by_documentId", (q) => q.eq("documentId", documentId))
    .first();
  if (before) await turn.db.delete(before._id);
}
