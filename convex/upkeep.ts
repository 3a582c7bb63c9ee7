/** Throws away what nobody will ask for any more. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import { eventsKeptMax, eventsKeptMs } from "./model/event.ts";
import { endedKeptMax, endedKeptMs } from "./model/job.ts";
import { sweepBridge } from "./turn/bridge.ts";
import { sweepGenerations } from "./turn/generation.ts";
import { isOfGpuJob, sweepGpu } from "./turn/gpuFile.ts";
import { systemMutation, type Turn } from "./turn/guard.ts";
import { isOfInvocation } from "./turn/invocation.ts";
import { isOfRun, sweepRuns } from "./turn/runSweep.ts";
import { findSums } from "./turn/sum.ts";
import { readTally } from "./turn/tally.ts";
import { sweepUses } from "./turn/use.ts";

const uploadKeptMs = 24 * 3_600_000;
const batchesKeptMax = 500;
const batchesSweptMax = 20;
const batchMax = 200; // One short transaction; the rest follows in the next.

/** Ended jobs and events that are old, or more than are kept; oldest first. */
export const sweep = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const isMore = [
      await sweepJobs(turn),
      await sweepEvents(turn),
      await sweepBatches(turn),
      await sweepBridge(turn),
      await sweepRuns(turn),
      await sweepUses(turn),
      await sweepGenerations(turn),
      await sweepGpu(turn),
    ].includes(true);
    if (isMore) await sweepAgain(turn);
    return null;
  },
});

/**
 * Uploads whose client went away before it said what they are. A day is far longer than any upload URL lives. Each file is looked at
 * once: one that has a document keeps it until that is forgotten, and then it goes with it.
 */
export const sweepUploads = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const row = await turn.db.query("sweeps").first();
    const files = await turn.db.system
      .query("_storage")
      .withIndex("by_creation_time", (q) =>
        q.gt("_creationTime", row?.uploadsUntil ?? 0).lte("_creationTime", turn.now - uploadKeptMs),
      )
      .take(batchMax);
    for (const file of files) {
      const document = await turn.db
        .query("documents")
        .withIndex("by_storageId", (q) => q.eq("storageId", file._id))
        .first();
      const picture = await turn.db
        .query("pictures")
        .withIndex("by_storageId", (q) => q.eq("storageId", file._id))
        .first();
      if (document || picture) continue;
      if ((await isOfInvocation(turn, file._id)) || (await isOfRun(turn, file._id)) || (await isOfGpuJob(turn, file._id)))
        continue;
      await turn.storage.delete(file._id);
    }
    const last = files.at(-1);
    if (!last) return null;
    if (row) await turn.db.patch(row._id, { uploadsUntil: last._creationTime });
    else await turn.db.insert("sweeps", { uploadsUntil: last._creationTime });
    if (files.length === batchMax) await turn.scheduler.runAfter(0, internal.upkeep.sweepUploads, {});
    return null;
  },
});

async function sweepJobs(turn: Turn): Promise<boolean> {
  const count = await readTally(turn.db, "jobs");
  let excess = count("done") + count("dead") + count("cancelled") - endedKeptMax;
  const ended = await Promise.all(
    (["done", "dead", "cancelled"] as const).map((state) =>
      turn.db
        .query("jobs")
        .withIndex("by_state", (q) => q.eq("state", state))
        .take(batchMax),
    ),
  );
  const oldest = ended
    .flat()
    .toSorted((a, b) => a.readyAt - b.readyAt)
    .slice(0, batchMax);
  const old = oldest.filter((job) => (job.endedAt ?? 0) < turn.now - endedKeptMs || excess-- > 0);
  for (const job of old) {
    turn.tally.add("jobs", job.state, -1);
    await turn.db.delete(job._id);
  }
  return old.length === batchMax;
}

async function sweepEvents(turn: Turn): Promise<boolean> {
  const count = await readTally(turn.db, "events");
  let excess = count("held") - eventsKeptMax;
  const oldest = await turn.db.query("events").withIndex("by_at").take(batchMax);
  const old = oldest.filter((event) => event.at < turn.now - eventsKeptMs || excess-- > 0);
  for (const event of old) await turn.db.delete(event._id);
  turn.tally.add("events", "held", -old.length);
  return old.length === batchMax;
}

/** Batches that are over, beyond the newest: their documents stay, and only how they came in is forgotten. */
async function sweepBatches(turn: Turn): Promise<boolean> {
  const kept = await turn.db.query("batches").order("desc").take(batchesKeptMax);
  const oldest = kept.length < batchesKeptMax ? undefined : kept.at(-1);
  if (!oldest) return false;
  const older = await turn.db
    .query("batches")
    .withIndex("by_creation_time", (q) => q.lt("_creationTime", oldest._creationTime))
    .take(batchesSweptMax);
  let swept = 0;
  for (const { _id } of older) {
    const row = await findSums(turn.db, _id);
    const groups = await turn.db
      .query("groups")
      .withIndex("by_value", (q) => q.eq("batchId", _id))
      .take(batchMax);
    if (row && row.sums.waiting + row.sums.reading + row.sums.staged > 0) continue;
    for (const group of groups) await turn.db.delete(group._id);
    if (groups.length === batchMax) return true;
    if (row) await turn.db.delete(row._id);
    await turn.db.delete(_id);
    swept += 1;
  }
  return swept === batchesSweptMax;
}

async function sweepAgain(turn: Turn): Promise<void> {
  await turn.scheduler.runAfter(0, internal.upkeep.sweep, {});
}
