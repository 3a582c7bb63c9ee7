/** Work: what the owner sees of it, and what a worker does with it. */
import { v } from "convex/values";
import type { Doc, Id } from "./_generated/dataModel.js";
import { NikaError } from "./model/error.ts";
import { settled as afterOutcome, vJobCounts, vJobView, vOutcome, type JobView } from "./model/job.ts";
import { isStoppable, vArgs, vKind } from "./model/kinds.ts";
import { slotsMax } from "./model/worker.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { replaceDocument, startReading } from "./turn/document.ts";
import { isHeldUp } from "./turn/enqueue.ts";
import { leaseJob, moveJob, parkJob } from "./turn/move.ts";
import { readTally } from "./turn/tally.ts";

const listedMax = 200;
const headMax = 4 * slotsMax; // A worker looks a few rounds ahead so that it need not wait for the next push.

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
    if (jobs.length < limit) {
      const ended = ctx.db.query("jobs").withIndex("by_endedAt", (q) => q.gt("endedAt", 0));
      jobs.push(...(await ended.order("desc").take(limit - jobs.length)));
    }
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
      await moveJob(turn, job, { state: "cancelled", readyAt: turn.now, attempts: job.attempts, deaths: job.deaths });
    }
    return null;
  },
});

/** A dead or cancelled job starts over, with all its tries. */
export const retry = ownerMutation({
  args: { id: v.id("jobs") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const job = await mustGet(turn, id);
    if (job.state !== "dead" && job.state !== "cancelled") {
      throw new NikaError("conflict", "Only a job that failed or was cancelled can be tried again.");
    }
    if (job.kind !== "documents.ingest" && job.kind !== "documents.forget") {
      // What it does follows from what is true when it runs, so there is nothing to compare.
      await moveJob(turn, job, { state: "ready", readyAt: turn.now, attempts: 0, deaths: 0 });
      return null;
    }
    const document = job.documentId && (await turn.db.get(job.documentId));
    if (!document) throw new NikaError("missing", "What this job was about is no longer there.");
    const isStillWanted = document.state === (job.kind === "documents.forget" ? "forgetting" : "unreadable");
    const other = document.jobId && (await turn.db.get(document.jobId));
    if (other?.kind === "documents.clear" && isStillWanted) {
      // What was left of the last try is still being cleared away; the reading follows.
      await startReading(turn, document);
      return null;
    }
    if (document.jobId || !isStillWanted) throw new NikaError("conflict", "This document has moved on since.");
    const { problem: _problem, ...kept } = document;
    const state = job.kind === "documents.forget" ? ("forgetting" as const) : ("waiting" as const);
    await moveJob(turn, job, { state: "ready", readyAt: turn.now, attempts: 0, deaths: 0 });
    await replaceDocument(turn, document, { ...kept, state, jobId: id });
    return null;
  },
});

/** The next jobs that are due: what a worker watches. A pure range read, so that only its front moving wakes anybody. */
export const head = systemQuery({
  args: { limit: v.number() },
  returns: v.array(v.id("jobs")),
  handler: async (ctx, { limit }) => {
    const due = ctx.db.query("jobs").withIndex("by_queue", (q) => q.eq("state", "ready").eq("isDue", true));
    const jobs = await due.take(Math.max(1, Math.min(limit, headMax)));
    return jobs.map((job) => job._id);
  },
});

/**
 * A worker hands in what it did and takes what it wants next, in one commit. Reads only the rows it is given, so that new work
 * never conflicts with it. `settled[i]` is false, and nothing changed, when that lease is no longer the caller's. Asking again with the
 * same claim token gives the same jobs again, so an answer that got lost is no harm.
 */
export const exchange = systemMutation({
  args: {
    workerId: v.id("workers"),
    epoch: v.number(),
    settle: v.array(v.object({ jobId: v.id("jobs"), token: v.string(), outcome: vOutcome })),
    claim: v.object({ token: v.string(), jobIds: v.array(v.id("jobs")) }),
  },
  returns: v.object({
    /** False when this incarnation of the worker was given up: it holds nothing any more. */
    isCurrent: v.boolean(),
    settled: v.array(v.boolean()),
    claimed: v.array(v.object({ jobId: v.id("jobs"), kind: vKind, args: vArgs, attempt: v.number() })),
  }),
  handler: async (turn, { workerId, epoch, settle, claim }) => {
    if (settle.length > slotsMax || claim.jobIds.length > slotsMax)
      throw new NikaError("invalid", `At most ${slotsMax} jobs at a time.`);
    const worker = await turn.db.get(workerId);
    if (!worker?.isUp || worker.epoch !== epoch) return { isCurrent: false, settled: settle.map(() => false), claimed: [] };
    const settled: boolean[] = [];
    for (const { jobId, token, outcome } of settle) {
      const job = await turn.db.get(jobId);
      const isHeld = job?.lease?.token === token;
      if (isHeld) await moveJob(turn, job, afterOutcome(job, outcome, turn.now), outcome);
      settled.push(isHeld);
    }
    const claimed = [];
    for (const jobId of new Set(claim.jobIds)) {
      const job = await claimOne(turn, jobId, { id: workerId, epoch, token: claim.token });
      if (job) claimed.push({ jobId, kind: job.kind, args: job.args, attempt: job.attempts });
    }
    return { isCurrent: true, settled, claimed };
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
    if (job?.state === "ready" && !job.isDue && job.readyAt <= turn.now + earlyMs) await turn.db.patch(jobId, { isDue: true });
    return null;
  },
});

async function claimOne(
  turn: Turn,
  jobId: Id<"jobs">,
  worker: { id: Id<"workers">; epoch: number; token: string },
): Promise<Doc<"jobs"> | undefined> {
  const job = await turn.db.get(jobId);
  if (job?.lease?.workerId === worker.id && job.lease.token === worker.token) return job;
  if (job?.state !== "ready" || !job.isDue) return undefined;
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
    readyAt: job.isParked ? _creationTime : readyAt,
    ...(job.isParked && { isParked: true }),
    ...(documentId && { documentId }),
  };
}
