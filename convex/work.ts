/** Work as those who do it see it: what is due, taken and handed in under leases. */
import { v } from "convex/values";
import type { Doc, Id } from "./_generated/dataModel.js";
import { NikaError } from "./model/error.ts";
import { settled as afterOutcome, vOutcome } from "./model/job.ts";
import { vArgs, vKind, type JobKind } from "./model/kinds.ts";
import { lanes, policyOf, vGate, vLane } from "./model/lane.ts";
import { addedMax, slotsMax } from "./model/worker.ts";
import { isHeldUp, place, type Holder, type Work } from "./turn/enqueue.ts";
import { systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { leaseJob, moveJob, parkJob, termsOf } from "./turn/move.ts";

const headMax = 512; // A busy worker looks far ahead, so that one look serves for many jobs.

/**
 * The next jobs of a lane that are due, or of all lanes: what a worker watches. A pure range read, so that only its front moving wakes
 * anybody.
 */
export const head = systemQuery({
  args: {
    lane: v.optional(vLane),
    limit: v.number(),
    /** Only these, for a worker that cannot do everything. It looks no further than `headMax` jobs for them. */
    kinds: v.optional(v.array(v.string())),
  },
  returns: v.array(v.id("jobs")),
  handler: async (ctx, { lane, limit, kinds }) => {
    const most = Math.max(1, Math.min(limit, headMax));
    const ids: Id<"jobs">[] = [];
    for (const one of lane ? [lane] : lanes) {
      const due = ctx.db.query("jobs").withIndex("by_lane", (q) => q.eq("state", "ready").eq("isDue", true).eq("lane", one));
      const front = await due.take(kinds ? headMax : most - ids.length);
      const mine = kinds ? front.filter((job) => kinds.includes(job.kind)) : front;
      ids.push(...mine.slice(0, most - ids.length).map((job) => job._id));
      if (ids.length === most) break;
    }
    return ids;
  },
});

/** Work as it is asked for from outside a mutation. */
const vWork = v.object({
  kind: vKind,
  args: vArgs,
  label: v.string(),
  lane: v.optional(vLane),
  rank: v.optional(v.number()),
  runAt: v.optional(v.number()),
  key: v.optional(v.string()),
  gates: v.optional(v.array(vGate)),
  uniqueKey: v.optional(v.string()),
});

const vAdded = v.object({ jobId: v.id("jobs"), isNew: v.boolean(), isDue: v.boolean(), isLeased: v.boolean() });
const vRoom = v.object({ now: v.number(), work: v.number(), bulk: v.number() });

/** New work, many at once, in one commit. */
export const add = systemMutation({
  args: { work: v.array(vWork) },
  returns: v.array(vAdded),
  handler: async (turn, { work }) => {
    if (work.length > addedMax) throw new NikaError("invalid", `At most ${addedMax} new jobs at a time.`);
    const added = [];
    for (const one of work) added.push(await place(turn, one as Work<JobKind>));
    return added;
  },
});

/**
 * A worker hands in what it did, takes what it wants next and adds new work, in one commit. Reads only the rows it is given, so that new
 * work never conflicts with it. `settled[i]` is false, and nothing changed, when that lease is no longer the caller's. Asking again with
 * the same claim token gives the same jobs again, so an answer that got lost is no harm. Of what it adds it may take as much at once as
 * it has `room` for: for that it must know of nothing older in the lane.
 */
export const exchange = systemMutation({
  args: {
    workerId: v.id("workers"),
    epoch: v.number(),
    settle: v.array(v.object({ jobId: v.id("jobs"), token: v.string(), outcome: vOutcome })),
    claim: v.object({ token: v.string(), jobIds: v.array(v.id("jobs")) }),
    add: v.optional(v.object({ work: v.array(vWork), room: vRoom })),
  },
  returns: v.object({
    /** False when this incarnation of the worker was given up: it holds nothing any more, and nothing was added. */
    isCurrent: v.boolean(),
    settled: v.array(v.boolean()),
    claimed: v.array(v.object({ jobId: v.id("jobs"), kind: vKind, lane: vLane, args: vArgs, attempt: v.number() })),
    added: v.array(vAdded),
  }),
  handler: async (turn, { workerId, epoch, settle, claim, add: adding }) => {
    if (settle.length > slotsMax || claim.jobIds.length > slotsMax)
      throw new NikaError("invalid", `At most ${slotsMax} jobs at a time.`);
    if (adding && adding.work.length > addedMax) throw new NikaError("invalid", `At most ${addedMax} new jobs at a time.`);
    const worker = await turn.db.get(workerId);
    if (!worker?.isUp || worker.epoch !== epoch)
      return { isCurrent: false, settled: settle.map(() => false), claimed: [], added: [] };
    const holder = { id: workerId, epoch, token: claim.token };
    const settled: boolean[] = [];
    for (const { jobId, token, outcome } of settle) {
      const job = await turn.db.get(jobId);
      const isHeld = job?.lease?.token === token;
      if (isHeld) await moveJob(turn, job, afterOutcome(job, outcome, turn.now, termsOf(job)), outcome);
      settled.push(isHeld);
    }
    const claimed = [];
    for (const jobId of new Set(claim.jobIds)) {
      const job = await claimOne(turn, jobId, { ...holder, kinds: worker.about?.kinds });
      if (job) {
        const lane = job.lane ?? policyOf(job.kind).lane;
        claimed.push({ jobId, kind: job.kind, lane, args: job.args, attempt: job.attempts });
      }
    }
    const added = [];
    const room = { ...adding?.room };
    for (const one of (adding?.work ?? []) as Work<JobKind>[]) {
      const lane = one.lane ?? policyOf(one.kind).lane;
      const free = room[lane] ?? 0;
      const placed = await place(turn, one, free > 0 ? holder : undefined);
      if (placed.isLeased) room[lane] = free - 1;
      added.push(placed);
    }
    return { isCurrent: true, settled, claimed, added };
  },
});

/** How far jobs got, for people. Reports of leases that are lost fall on the floor. */
export const progress = systemMutation({
  args: { reports: v.array(v.object({ jobId: v.id("jobs"), token: v.string(), done: v.number(), total: v.number() })) },
  returns: v.null(),
  handler: async (turn, { reports }) => {
    for (const { jobId, token, done, total } of reports) {
      const job = await turn.db.get(jobId);
      if (job?.lease?.token === token) await turn.db.patch(jobId, { progress: { done, total } });
    }
    return null;
  },
});

type Claimant = Holder & { readonly kinds: readonly string[] | undefined };

async function claimOne(turn: Turn, jobId: Id<"jobs">, worker: Claimant): Promise<Doc<"jobs"> | undefined> {
  const job = await turn.db.get(jobId);
  if (job?.lease?.workerId === worker.id && job.lease.token === worker.token) return job;
  if (job?.state !== "ready" || !job.isDue) return undefined;
  if (worker.kinds && !worker.kinds.includes(job.kind)) return undefined;
  if (job.batchId && (await isHeldUp(turn, job.batchId))) {
    await parkJob(turn, job);
    return undefined;
  }
  return leaseJob(turn, job, worker);
}
