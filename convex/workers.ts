/** Who does the work, and whether they still live; who else may join, for the owner. Joined workers come through joined.ts. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import { orphaned, settled, type JobStep } from "./model/job.ts";
import {
  ownWorkerName,
  vWorkerAbout,
  vWorkerTokenView,
  vWorkerView,
  workerNamePattern,
  workerTokensMax,
  type WorkerAbout,
} from "./model/joined.ts";
import { policyOf } from "./model/lane.ts";
import { beatEveryMs, reapGraceMs, slotsMax, workerTtlMs } from "./model/worker.ts";
import { record } from "./turn/event.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { becomeDue, moveJob, termsOf } from "./turn/move.ts";
import { checkNewToken } from "./turn/token.ts";

const vIncarnation = { workerId: v.id("workers"), epoch: v.number() };
const workersMax = 100; // More machines than this is another design.
const overdueMax = 256;

/**
 * A worker begins. Whatever an earlier incarnation of that name still held is free again at once: it cannot be alive, because two
 * of one name never run.
 */
export const hello = systemMutation({
  args: {
    name: v.string(),
    slots: v.number(),
    about: v.optional(vWorkerAbout),
    /** What it was let in with, when it is on another machine. */
    tokenId: v.optional(v.id("workerTokens")),
  },
  returns: v.object({ ...vIncarnation, beatEveryMs: v.number(), ttlMs: v.number() }),
  handler: async (turn, asked) => {
    if (!Number.isInteger(asked.slots) || asked.slots < 1 || asked.slots > slotsMax)
      throw new NikaError("invalid", `A worker has 1 to ${slotsMax} slots.`);
    const worker = await rise(turn, asked);
    await freeJobs(turn, worker.workerId, afterDeath);
    await assignLanes(turn);
    await pulse(turn, worker);
    await scheduleReap(turn, worker, turn.now + workerTtlMs + reapGraceMs);
    return { ...worker, beatEveryMs, ttlMs: workerTtlMs };
  },
});

/** Still here. Says which of the jobs it believes to hold are not its own any more, and which the owner wants stopped. */
export const beat = systemMutation({
  args: { ...vIncarnation, running: v.array(v.object({ jobId: v.id("jobs"), token: v.string() })) },
  returns: v.object({ isCurrent: v.boolean(), lost: v.array(v.id("jobs")), cancel: v.array(v.id("jobs")) }),
  handler: async (turn, { workerId, epoch, running }) => {
    const lost: Id<"jobs">[] = [];
    const cancel: Id<"jobs">[] = [];
    if (!(await findCurrent(turn, { workerId, epoch })))
      return { isCurrent: false, lost: running.map((job) => job.jobId), cancel };
    await pulse(turn, { workerId, epoch });
    for (const { jobId, token } of running) {
      const job = await turn.db.get(jobId);
      if (job?.lease?.token !== token) lost.push(jobId);
      else if (job.cancelAsked === true) cancel.push(jobId);
    }
    return { isCurrent: true, lost, cancel };
  },
});

/** The same news, pushed: a worker watches this, so that a cancel does not wait for the next beat. */
export const orders = systemQuery({
  args: vIncarnation,
  returns: v.object({ isCurrent: v.boolean(), cancel: v.array(v.id("jobs")) }),
  handler: async (ctx, { workerId, epoch }) => {
    if (!(await findCurrent(ctx, { workerId, epoch }))) return { isCurrent: false, cancel: [] };
    const asked = ctx.db.query("jobs").withIndex("by_worker", (q) => q.eq("lease.workerId", workerId).eq("cancelAsked", true));
    return { isCurrent: true, cancel: (await asked.take(slotsMax)).map((job) => job._id) };
  },
});

/** A worker stops in good order. What it still holds goes back and has cost nothing. */
export const goodbye = systemMutation({
  args: vIncarnation,
  returns: v.null(),
  handler: async (turn, { workerId, epoch }) => {
    if (!(await findCurrent(turn, { workerId, epoch }))) return null;
    await turn.db.patch(workerId, { isUp: false });
    await freeJobs(turn, workerId, (job, now) => settled(job, { type: "snoozed", delayMs: 0 }, now));
    return null;
  },
});

/** Scheduled for the moment a worker would be overdue; looks again later when it is not. */
export const reap = systemMutation({
  args: vIncarnation,
  returns: v.null(),
  handler: async (turn, { workerId, epoch }) => {
    const worker = await findCurrent(turn, { workerId, epoch });
    if (!worker) return null;
    const overdueAt = await overdueTime(turn, worker);
    if (overdueAt > turn.now) await scheduleReap(turn, { workerId, epoch }, overdueAt);
    else await giveUp(turn, worker);
    return null;
  },
});

/** Each minute, should a scheduled call have been lost: overdue workers are given up, overdue jobs are woken. */
export const check = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const up = turn.db.query("workers").withIndex("by_isUp", (q) => q.eq("isUp", true));
    for (const worker of await up.take(workersMax)) {
      const overdueAt = await overdueTime(turn, worker);
      if (overdueAt <= turn.now) await giveUp(turn, worker);
      // The clock was put back since its last beat: what was promised until then is counted from now.
      else if (overdueAt > turn.now + workerTtlMs + reapGraceMs) await recount(turn, worker);
    }
    const asleep = turn.db
      .query("jobs")
      .withIndex("by_state", (q) => q.eq("state", "ready").eq("isDue", false).lte("readyAt", turn.now));
    for (const job of await asleep.take(overdueMax)) await becomeDue(turn, job);
    await assignLanes(turn);
    return null;
  },
});

/** All that were seen, those at work first. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vWorkerView),
  handler: async (ctx) => {
    const views = [];
    for (const worker of await ctx.db.query("workers").take(workersMax)) {
      const { name, isUp, slots, about, startedAt, tokenId } = worker;
      const until = (await findPulse(ctx, worker._id))?.until;
      const held = isUp
        ? await ctx.db
            .query("jobs")
            .withIndex("by_worker", (q) => q.eq("lease.workerId", worker._id))
            .take(slotsMax)
        : [];
      views.push({
        name,
        isUp,
        isJoined: tokenId !== undefined,
        slots,
        ...(about && { about }),
        startedAt,
        ...(until !== undefined && { seenAt: until - workerTtlMs }),
        holds: held.length,
      });
    }
    return views.toSorted((a, b) => Number(b.isUp) - Number(a.isUp) || b.startedAt - a.startedAt);
  },
});

/** Tokens that machines may join with. The secrets are nowhere. */
export const tokens = ownerQuery({
  args: {},
  returns: v.array(vWorkerTokenView),
  handler: async (ctx) => {
    const all = await ctx.db.query("workerTokens").take(workerTokensMax);
    return Promise.all(
      all.map(async ({ _id, name, createdAt }) => {
        const worker = await findNamed(ctx, name);
        return { name, createdAt, isUp: worker?.isUp === true && worker.tokenId === _id };
      }),
    );
  },
});

/** Lets a machine join under a name, which is then its own. `hash` is SHA-256 of the secret, in hex. */
export const addToken = ownerMutation({
  args: { name: v.string(), hash: v.string() },
  returns: v.null(),
  handler: async (turn, { name, hash }) => {
    if (!workerNamePattern.test(name) || name === ownWorkerName)
      throw new NikaError(
        "invalid",
        `A worker's name has letters, digits and . _ @ -, at most 64, and is not "${ownWorkerName}".`,
      );
    await checkNewToken(turn, "workerTokens", { name, hash, max: workerTokensMax, revoke: "nika worker revoke" });
    const known = await findNamed(turn, name);
    if (known?.isUp) throw new NikaError("conflict", `There is a worker named ${name}; choose another name.`);
    await turn.db.insert("workerTokens", { name, hash, createdAt: turn.now });
    return null;
  },
});

/** Its holder is out at once, and what it held goes to others. */
export const revokeToken = ownerMutation({
  args: { name: v.string() },
  returns: v.null(),
  handler: async (turn, { name }) => {
    const token = await turn.db
      .query("workerTokens")
      .withIndex("by_name", (q) => q.eq("name", name))
      .unique();
    if (!token) throw new NikaError("missing", `There is no token for ${name}; see \`nika worker list\`.`);
    await turn.db.delete(token._id);
    const worker = await findNamed(turn, name);
    if (worker?.tokenId !== token._id) return null;
    if (worker.isUp) await giveUp(turn, worker);
    const pulseRow = await findPulse(turn, worker._id);
    if (pulseRow) await turn.db.delete(pulseRow._id);
    await turn.db.delete(worker._id);
    return null;
  },
});

/** Whose token this is the hash of, for the appliance, which is shown the secret. */
export const findToken = systemQuery({
  args: { hash: v.string() },
  returns: v.union(v.object({ id: v.id("workerTokens"), name: v.string() }), v.null()),
  handler: async (ctx, { hash }) => {
    const token = await ctx.db
      .query("workerTokens")
      .withIndex("by_hash", (q) => q.eq("hash", hash))
      .unique();
    return token && { id: token._id, name: token.name };
  },
});

type Incarnation = { workerId: Id<"workers">; epoch: number };

type Asked = {
  readonly name: string;
  readonly slots: number;
  readonly about?: WorkerAbout;
  readonly tokenId?: Id<"workerTokens">;
};

async function rise(turn: Turn, asked: Asked): Promise<Incarnation> {
  const known = await findNamed(turn, asked.name);
  // A token lets its holder be one worker and take the place of no other.
  if (known?.isUp && known.tokenId !== asked.tokenId)
    throw new NikaError("conflict", `There is another worker named ${asked.name}; choose another name.`);
  const epoch = (known?.epoch ?? 0) + 1;
  const row = { ...asked, epoch, isUp: true, startedAt: turn.now };
  if (!known) return { workerId: await turn.db.insert("workers", row), epoch };
  await turn.db.replace(known._id, row);
  return { workerId: known._id, epoch };
}

async function pulse(turn: Turn, { workerId, epoch }: Incarnation): Promise<void> {
  const row = { workerId, epoch, until: turn.now + workerTtlMs };
  const held = await findPulse(turn, workerId);
  if (held) await turn.db.replace(held._id, row);
  else await turn.db.insert("beats", row);
}

const findNamed = (ctx: QueryCtx | Turn, name: string): Promise<Doc<"workers"> | null> =>
  ctx.db
    .query("workers")
    .withIndex("by_name", (q) => q.eq("name", name))
    .unique();

const findPulse = (ctx: QueryCtx | Turn, workerId: Id<"workers">): Promise<Doc<"beats"> | null> =>
  ctx.db
    .query("beats")
    .withIndex("by_workerId", (q) => q.eq("workerId", workerId))
    .unique();

async function overdueTime(turn: Turn, worker: Doc<"workers">): Promise<number> {
  return ((await findPulse(turn, worker._id))?.until ?? 0) + reapGraceMs;
}

async function findCurrent(ctx: QueryCtx | Turn, { workerId, epoch }: Incarnation): Promise<Doc<"workers"> | undefined> {
  const worker = await ctx.db.get(workerId);
  return worker?.isUp && worker.epoch === epoch ? worker : undefined;
}

async function giveUp(turn: Turn, worker: Doc<"workers">): Promise<void> {
  // The epoch goes up first, in effect: should it only have been asleep, its next call finds that it is nobody.
  await turn.db.patch(worker._id, { isUp: false, epoch: worker.epoch + 1 });
  const freed = await freeJobs(turn, worker._id, afterDeath);
  await record(turn, {
    type: "workerLost",
    name: worker.name,
    text: `The worker ${worker.name} went silent; ${freed} of its jobs go to others.`,
  });
}

const afterDeath = (job: Doc<"jobs">, now: number): JobStep => orphaned(job, now, termsOf(job));

/** Jobs of before there were lanes get theirs. */
async function assignLanes(turn: Turn): Promise<void> {
  const due = turn.db.query("jobs").withIndex("by_lane", (q) => q.eq("state", "ready").eq("isDue", true).eq("lane", undefined));
  for (const job of await due.take(overdueMax)) await turn.db.patch(job._id, { lane: policyOf(job.kind).lane });
}

async function freeJobs(turn: Turn, workerId: Id<"workers">, next: (job: Doc<"jobs">, now: number) => JobStep): Promise<number> {
  const held = await turn.db
    .query("jobs")
    .withIndex("by_worker", (q) => q.eq("lease.workerId", workerId))
    .collect();
  for (const job of held) await moveJob(turn, job, next(job, turn.now));
  return held.length;
}

async function recount(turn: Turn, { _id: workerId, epoch }: Doc<"workers">): Promise<void> {
  await pulse(turn, { workerId, epoch });
  await scheduleReap(turn, { workerId, epoch }, turn.now + workerTtlMs + reapGraceMs);
}

async function scheduleReap(turn: Turn, worker: Incarnation, at: number): Promise<void> {
  await turn.scheduler.runAt(at, internal.workers.reap, worker);
}
