/** Work: what the owner sees of it, and what a worker does with it. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import { isNikaError, NikaError } from "./model/error.ts";
import {
  cancelled,
  redriven,
  settled as afterOutcome,
  vJobCounts,
  vJobDetail,
  vJobView,
  vOutcome,
  type JobView,
} from "./model/job.ts";
import { isStoppable, vArgs, vKind, type JobKind } from "./model/kinds.ts";
import { lanes, policyOf, vGate, vLane } from "./model/lane.ts";
import { addedMax, slotsMax } from "./model/worker.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { replaceDocument, startReading } from "./turn/document.ts";
import { findOpen, isHeldUp, place, type Holder, type Work } from "./turn/enqueue.ts";
import { becomeDue, leaseJob, moveJob, parkJob, termsOf } from "./turn/move.ts";
import { readTally } from "./turn/tally.ts";

const listedMax = 200;
const headMax = 512; // A busy worker looks far ahead, so that one look serves for many jobs.
const redrivenMax = 100; // One short transaction; the rest follows in the next.

/** Being worked on, then waiting, then ended; newest first in each. */
export const list = ownerQuery({
  args: { limit: v.optional(v.number()) },
  returns: v.array(vJobView),
  handler: async (ctx, { limit = listedMax }) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > listedMax) {
      throw new NikaError("invalid", `The limit must be from 1 to ${listedMax}.`);
    }
    const jobs: Doc<"jobs">[] = [];
    for (const state of ["leased", "ready"] as const) {
      if (jobs.length === limit) break;
      const open = ctx.db.query("jobs").withIndex("by_state", (q) => q.eq("state", state));
      jobs.push(...(await open.order("desc").take(limit - jobs.length)));
    }
    const ended: Doc<"jobs">[] = [];
    for (const state of ["done", "dead", "cancelled"] as const) {
      if (jobs.length === limit) break;
      const of = ctx.db.query("jobs").withIndex("by_state", (q) => q.eq("state", state));
      ended.push(...(await of.order("desc").take(limit - jobs.length)));
    }
    jobs.push(...ended.toSorted((a, b) => b.readyAt - a.readyAt).slice(0, limit - jobs.length));
    return jobs.map(toView);
  },
});

/** Ended jobs are counted as long as they are kept. */
export const counts = ownerQuery({
  args: {},
  returns: vJobCounts,
  handler: async (ctx) => {
    const count = await readTally(ctx.db, "jobs");
    return {
      ready: count("ready"),
      leased: count("leased"),
      done: count("done"),
      dead: count("dead"),
      cancelled: count("cancelled"),
    };
  },
});

/** A job being worked on is asked to stop; one that waits ends at once. */
export const cancel = ownerMutation({
  args: { id: v.id("jobs") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const job = await mustGet(turn, id);
    if (!isStoppable(job.kind)) throw new NikaError("conflict", "This cannot be stopped half-way.");
    if (job.state === "leased") await turn.db.patch(id, { cancelAsked: true });
    else if (job.state === "ready") {
      await moveJob(turn, job, cancelled(job, turn.now));
    }
    return null;
  },
});

/** A job with all that is known of it; null when there is none. */
export const get = ownerQuery({
  args: { id: v.string() },
  returns: v.union(vJobDetail, v.null()),
  handler: async (ctx, { id }) => {
    const jobId = ctx.db.normalizeId("jobs", id);
    const job = jobId && (await ctx.db.get(jobId));
    if (!job) return null;
    const { lane = policyOf(job.kind).lane, gates = [], history = [] } = job;
    return { ...toView(job), lane, gates, history };
  },
});

/** Jobs that failed for good, the latest first; of one kind, if given. */
export const dead = ownerQuery({
  args: { kind: v.optional(vKind), limit: v.optional(v.number()) },
  returns: v.array(vJobDetail),
  handler: async (ctx, { kind, limit = listedMax }) => {
    const rows = ctx.db.query("jobs").withIndex("by_state", (q) => q.eq("state", "dead"));
    const jobs: Doc<"jobs">[] = [];
    for await (const job of rows.order("desc")) {
      if (jobs.length >= Math.min(limit, listedMax)) break;
      if (kind === undefined || job.kind === kind) jobs.push(job);
    }
    return jobs.map((job) => {
      const { lane = policyOf(job.kind).lane, gates = [], history = [] } = job;
      return { ...toView(job), lane, gates, history };
    });
  },
});

/** A dead or cancelled job starts over, with all its tries. */
export const retry = ownerMutation({
  args: { id: v.id("jobs") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await redrive(turn, await mustGet(turn, id));
    return null;
  },
});

/**
 * All dead jobs start over, or those of one kind; what cannot, because the world went on, stays dead. Says how many of the first hundred do;
 * the others follow.
 */
export const redriveAll = ownerMutation({
  args: { kind: v.optional(vKind) },
  returns: v.number(),
  handler: async (turn, { kind }) => redriveSome(turn, { ...(kind && { kind }), until: turn.now }),
});

export const redriveRest = systemMutation({
  args: { kind: v.optional(vKind), until: v.number(), cursor: v.string() },
  returns: v.null(),
  handler: async (turn, rest) => {
    await redriveSome(turn, rest);
    return null;
  },
});

type Rest = { readonly kind?: JobKind; readonly until: number; readonly cursor?: string };

/** What died again since it was asked for is not what was meant, so it goes no further than `until`. */
async function redriveSome(turn: Turn, { kind, until, cursor }: Rest): Promise<number> {
  const dead = turn.db
    .query("jobs")
    .withIndex("by_state", (q) => q.eq("state", "dead").eq("isDue", false).gte("readyAt", 0).lte("readyAt", until));
  const meant = kind === undefined ? dead : dead.filter((q) => q.eq(q.field("kind"), kind));
  const { page, isDone, continueCursor } = await meant.paginate({ numItems: redrivenMax, cursor: cursor ?? null });
  let count = 0;
  for (const job of page) {
    try {
      await redrive(turn, job);
      count += 1;
    } catch (error) {
      if (!isNikaError(error)) throw error;
    }
  }
  if (!isDone) {
    const rest = { ...(kind && { kind }), until, cursor: continueCursor };
    await turn.scheduler.runAfter(0, internal.jobs.redriveRest, rest);
  }
  return count;
}

async function redrive(turn: Turn, job: Doc<"jobs">): Promise<void> {
  if (job.state !== "dead" && job.state !== "cancelled") {
    throw new NikaError("conflict", "Only a job that failed or was cancelled can be tried again.");
  }
  if (job.kind === "runs.advance") throw new NikaError("conflict", "Resume or restart the run instead: see `nika runs`.");
  if (job.uniqueKey !== undefined && (await findOpen(turn, job.kind, job.uniqueKey)))
    throw new NikaError("conflict", "The same is being done already.");
  if (job.kind !== "documents.ingest" && job.kind !== "documents.forget") {
    // What it does follows from what is true when it runs, so there is nothing to compare.
    return moveJob(turn, job, redriven(job, turn.now));
  }
  const document = job.documentId && (await turn.db.get(job.documentId));
  if (!document) throw new NikaError("missing", "What this job was about is no longer there.");
  const isStillWanted = document.state === (job.kind === "documents.forget" ? "forgetting" : "unreadable");
  const other = document.jobId && (await turn.db.get(document.jobId));
  if (other?.kind === "documents.clear" && isStillWanted) {
    // What was left of the last try is still being cleared away; the reading follows.
    return startReading(turn, document);
  }
  if (document.jobId || !isStillWanted) throw new NikaError("conflict", "This document has moved on since.");
  const { problem: _problem, ...kept } = document;
  const state = job.kind === "documents.forget" ? ("forgetting" as const) : ("waiting" as const);
  await moveJob(turn, job, redriven(job, turn.now));
  await replaceDocument(turn, document, { ...kept, state, jobId: job._id });
}

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

const earlyMs = 1_000; // A timer may ring a little early; going back to sleep for that would cost a minute.

/** The time of a delayed job has come. */
export const wake = systemMutation({
  args: { jobId: v.id("jobs") },
  returns: v.null(),
  handler: async (turn, { jobId }) => {
    const job = await turn.db.get(jobId);
    if (job?.state === "ready" && !job.isDue && job.readyAt <= turn.now + earlyMs) await becomeDue(turn, job);
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

async function mustGet(turn: Turn, id: Id<"jobs">): Promise<Doc<"jobs">> {
  const job = await turn.db.get(id);
  if (!job) throw new NikaError("missing", "There is no such job.");
  return job;
}

function toView(job: Doc<"jobs">): JobView {
  const { _id, kind, label, state, attempts, progress, error, _creationTime, startedAt, endedAt, readyAt, documentId } = job;
  return {
    id: _id,
    kind,
    label,
    state,
    attempts,
    ...(progress && { progress }),
    ...(error && { error }),
    createdAt: _creationTime,
    ...(startedAt !== undefined && { startedAt }),
    ...(endedAt !== undefined && { endedAt }),
    readyAt: job.isParked || job.isGated ? _creationTime : readyAt,
    ...(job.isParked && { isParked: true }),
    ...(job.isGated && { isGated: true }),
    ...(documentId && { documentId }),
  };
}
