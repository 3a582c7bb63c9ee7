import type { Doc } from "../_generated/dataModel.js";
import { isOpen } from "../model/job.ts";
import { replaceDocument, startForgetting } from "./document.ts";
import type { Turn } from "./guard.ts";
import { moveJob } from "./move.ts";

const versionsMax = 64; // Far more than are kept.

/** Takes a document, all its versions and all it holds out of the vault. What is being read is stopped first. */
export async function forgetDocument(turn: Turn, document: Doc<"documents">): Promise<void> {
  const { family } = document;
  const versions = family
    ? await turn.db
        .query("documents")
        .withIndex("by_family", (q) => q.eq("family", family))
        .take(versionsMax)
    : [];
  for (const version of versions) if (version._id !== document._id) await forgetVersion(turn, version);
  await forgetVersion(turn, document);
}

/** This one alone, whatever becomes of its other versions. */
export async function forgetVersion(turn: Turn, document: Doc<"documents">): Promise<void> {
  const job = document.jobId && (await turn.db.get(document.jobId));
  if (!job || !isOpen(job.state) || job.kind === "documents.clear") {
    // Both jobs take the same passages away, so they may meet.
    if (!job || !isOpen(job.state) || document.state !== "forgetting") await startForgetting(turn, document);
    return;
  }
  if (document.state === "forgetting") return;
  await replaceDocument(turn, document, { ...document, state: "forgetting" });
  // Either way the forget job follows when the reading has ended, never before: see turn/document.ts.
  if (job.state === "leased") await turn.db.patch(job._id, { cancelAsked: true });
  else await moveJob(turn, job, { state: "cancelled", readyAt: turn.now, attempts: job.attempts, deaths: job.deaths });
}
