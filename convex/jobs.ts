/** Work as the owner sees it, and what he may do about it. What workers do with it is in work.ts. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import { isNikaError, NikaError } from "./model/error.ts";
import { cancelled, redriven, vJobCounts, vJobDetail, vJobView, type JobView } from "./model/job.ts";
import { isStoppable, vKind, type JobKind } from "./model/kinds.ts";
import { policyOf } from "./model/lane.ts";
import { ownerMutation, ownerQuery, systemMutation, type Turn } from "./turn/guard.ts";
import { replaceDocument, startReading } from "./turn/document.ts";
import { findOpen } from "./turn/enqueue.ts";
import { becomeDue, moveJob } from "./turn/move.ts";
import { readTally } from "./turn/tally.ts";

const listedMax = 200;
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
