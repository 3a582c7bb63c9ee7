/** Throws away what nobody will ask for any more. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import { eventsKeptMax, eventsKeptMs } from "./model/event.ts";
import { endedKeptMax, endedKeptMs } from "./model/job.ts";
import { systemMutation, type Turn } from "./turn/guard.ts";
import { readTally } from "./turn/tally.ts";

const batchMax = 200; // One short transaction; the rest follows in the next.

/** Ended jobs and events that are old, or more than are kept; oldest first. */
export const sweep = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const isMore = [await sweepJobs(turn), await sweepEvents(turn)].includes(true);
    if (isMore) await sweepAgain(turn);
    return null;
  },
});

async function sweepJobs(turn: Turn): Promise<boolean> {
  const count = await readTally(turn.db, "jobs");
  let excess = count("done") + count("dead") + count("cancelled") - endedKeptMax;
  const oldest = await turn.db
    .query("jobs")
    .withIndex("by_endedAt", (q) => q.gt("endedAt", 0))
    .take(batchMax);
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

async function sweepAgain(turn: Turn): Promise<void> {
  await turn.scheduler.runAfter(0, internal.upkeep.sweep, {});
}
