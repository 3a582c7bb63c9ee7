/** Work for rented machines: asked for with a quote, placed, watched, and its results kept. Its life: model/gpuJob.ts. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { vMachineFacts } from "./model/agent.ts";
import { NikaError } from "./model/error.ts";
import { vCapability, vMoney, vOffer } from "./model/gpu.ts";
import {
  isJobOver,
  queued,
  quoteMs,
  vGpuAsk,
  vGpuFile,
  vGpuJobView,
  vQuoteView,
  quotesKeptMs,
  type GpuAsk,
  type GpuJobView,
} from "./model/gpuJob.ts";
import { isOver, stored } from "./model/machine.ts";
import { jobTotal, ownerName, readSettings } from "./turn/budget.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { dropGpuFile, keepGpuFile } from "./turn/gpuFile.ts";
import { intend, move, moveJob, planPlacing } from "./turn/lease.ts";

const listedMax = 200;
const runMsLongest = 7 * 24 * 3_600_000;
const logCharsMax = 256 * 1024;
const logReadMax = 200;
const filesMax = 2_000;
const factsMax = 50;
/** Until a cap lets it, or a machine is to be had: looked at again after this. */
const parkMs = 5 * 60_000;
/** Its placing is asked for again by the reaper after this, should it be lost. */
const replacedMs = 30 * 60_000;

/** Newest first. */
export const list = ownerQuery({
  args: { limit: v.optional(v.number()) },
  returns: v.array(vGpuJobView),
  handler: async (ctx, { limit = 50 }) => listed(ctx, limit),
});

export const listAll = systemQuery({
  args: { limit: v.optional(v.number()) },
  returns: v.array(vGpuJobView),
  handler: async (ctx, { limit = 50 }) => listed(ctx, limit),
});

async function listed(ctx: QueryCtx, limit: number): Promise<GpuJobView[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > listedMax)
    throw new NikaError("invalid", `The limit must be from 1 to ${listedMax}.`);
  const jobs = await ctx.db.query("gpuJobs").order("desc").take(limit);
  return Promise.all(jobs.map((job) => toView(ctx, job)));
}

export const get = ownerQuery({
  args: { id: v.string() },
  returns: v.union(vGpuJobView, v.null()),
  handler: async (ctx, { id }) => viewOf(ctx, id),
});

export const view = systemQuery({
  args: { id: v.string() },
  returns: v.union(vGpuJobView, v.null()),
  handler: async (ctx, { id }) => viewOf(ctx, id),
});

async function viewOf(ctx: QueryCtx, raw: string): Promise<GpuJobView | null> {
  const id = ctx.db.normalizeId("gpuJobs", raw);
  const job = id && (await ctx.db.get(id));
  return job && toView(ctx, job);
}

/** What was quoted is run: at that price, within ten minutes, once. */
export const run = ownerMutation({
  args: { quoteId: v.string() },
  returns: v.id("gpuJobs"),
  handler: async (turn, { quoteId }) => takeQuote(turn, quoteId, ownerName),
});

/** The same for an agent, which pays from its own cap. */
export const runFor = systemMutation({
  args: { quoteId: v.string(), by: v.string() },
  returns: v.id("gpuJobs"),
  handler: async (turn, { quoteId, by }) => takeQuote(turn, quoteId, by),
});

async function takeQuote(turn: Turn, raw: string, by: string): Promise<Doc<"gpuJobs">["_id"]> {
  const id = turn.db.normalizeId("gpuQuotes", raw);
  const quote = id && (await turn.db.get(id));
  if (!quote || quote.by !== by) throw new NikaError("missing", "There is no such quote; ask for one with `nika gpu quote`.");
  if (quote.usedBy) return quote.usedBy;
  if (quote.until < turn.now) throw new NikaError("conflict", "This quote is older than ten minutes; ask for a new one.");
  const jobId = await insert(turn, quote.ask, by);
  await turn.db.patch(quote._id, { usedBy: jobId });
  return jobId;
}

/** Work of Nika's own, or of whoever has a standing word for it: under a key that is open or done, that one is meant. */
export const add = systemMutation({
  args: { ask: vGpuAsk, by: v.optional(v.string()) },
  returns: v.id("gpuJobs"),
  handler: async (turn, { ask, by = ownerName }) => insert(turn, ask, by),
});

async function insert(turn: Turn, ask: GpuAsk, by: string): Promise<Doc<"gpuJobs">["_id"]> {
  check(ask);
  const { key } = ask;
  if (key !== undefined) {
    const same = await turn.db
      .query("gpuJobs")
      .withIndex("by_key", (q) => q.eq("ask.key", key))
      .order("desc")
      .first();
    if (same && (!isJobOver(same.life.state) || same.life.state === "succeeded")) return same._id;
  }
  const fresh = {
    ask,
    by,
    createdAt: turn.now,
    life: stored<Doc<"gpuJobs">["life"]>({ ...queued(turn.now), dueAt: turn.now + replacedMs }),
    logBytes: 0,
    checkpoints: [],
    facts: [],
  };
  const id = await turn.db.insert("gpuJobs", fresh);
  if (ask.payload) await keepGpuFile(turn, id, ask.payload.storageId);
  const job = await turn.db.get(id);
  if (job) await planPlacing(turn, job);
  return id;
}

function check({ label, command, runMsMax, environment = {}, image = "" }: GpuAsk): void {
  if (label === "" || label.length > 200) throw new NikaError("invalid", "Give the work a name of at most 200 characters.");
  if (command.length === 0 || command.length > 200)
    throw new NikaError("invalid", "Say what is to be run: a command and its words.");
  if (!Number.isFinite(runMsMax) || runMsMax < 10_000 || runMsMax > runMsLongest)
    throw new NikaError("invalid", "Say how long it may run: from ten seconds to seven days.");
  const words = [...command, image, ...Object.entries(environment).flat()];
  if (words.some((word) => word.length > 8_000) || Object.keys(environment).length > 200)
    throw new NikaError("full", "That is more than a command can be given; put it into the payload.");
}

/** It ends now, and so does its machine. */
export const cancel = ownerMutation({
  args: { id: v.string() },
  returns: v.null(),
  handler: async (turn, { id }) => cancelOne(turn, id),
});

export const cancelFor = systemMutation({
  args: { id: v.string() },
  returns: v.null(),
  handler: async (turn, { id }) => cancelOne(turn, id),
});

async function cancelOne(turn: Turn, raw: string): Promise<null> {
  const id = turn.db.normalizeId("gpuJobs", raw);
  const job = id && (await turn.db.get(id));
  if (!job) throw new NikaError("missing", "There is no such job; see `nika gpu list`.");
  await moveJob(turn, job, { type: "cancel" });
  return null;
}

// For the engine (functions/machines).

/** A price that somebody was told. */
export const keepQuote = systemMutation({
  args: { ask: vGpuAsk, by: v.string(), offers: v.array(vOffer), says: v.string(), atMost: vMoney },
  returns: vQuoteView,
  handler: async (turn, { ask, by, offers, says, atMost }) => {
    check(ask);
    const [offer, ...others] = offers;
    if (!offer) throw new NikaError("unavailable", says);
    const until = turn.now + quoteMs;
    const old = await turn.db
      .query("gpuQuotes")
      .withIndex("by_until", (q) => q.lt("until", turn.now - quotesKeptMs))
      .take(50);
    for (const { _id } of old) await turn.db.delete(_id);
    const id = await turn.db.insert("gpuQuotes", { ask, by, offers, says, atMost, until });
    return { id, offer, atMost, until, says, others };
  },
});

/** Somebody begins to place it; null when that is not wanted now. */
export const placing = systemMutation({
  args: { gpuJobId: v.id("gpuJobs") },
  returns: v.union(v.object({ ask: vGpuAsk }), v.null()),
  handler: async (turn, { gpuJobId }) => {
    const job = await turn.db.get(gpuJobId);
    if (!job) return null;
    // One that was begun and not ended is begun again: its time is up, or its worker was lost.
    if (job.life.state === "placing") return { ask: job.ask };
    const { life } = await moveJob(turn, job, { type: "place" });
    return life.state === "placing" ? { ask: job.ask } : null;
  },
});

/** The best offer that may be paid is written down as its machine; when none may, it waits, or ends. */
export const placed = systemMutation({
  args: {
    gpuJobId: v.id("gpuJobs"),
    installId: v.string(),
    choices: v.array(v.object({ offer: vOffer, capability: vCapability })),
    says: v.string(),
  },
  returns: v.union(v.id("machines"), v.null()),
  handler: async (turn, { gpuJobId, installId, choices, says }) => {
    const job = await turn.db.get(gpuJobId);
    if (job?.life.state !== "placing") return null;
    const refusals = [];
    for (const { offer, capability } of choices) {
      const diskMb = Math.max(job.ask.need.diskMb ?? 0, offer.diskMb);
      const ordered = await intend(turn, {
        owner: { type: "gpuJob", gpuJobId },
        offer,
        capability,
        installId,
        diskMb,
        workMs: job.ask.runMsMax,
        by: job.by,
        epoch: job.life.attempt + 1,
        job,
      });
      if (ordered.type === "intended") {
        await turn.db.patch(gpuJobId, { machineId: ordered.machineId, logBytes: 0 });
        await moveJob(turn, { ...job, machineId: ordered.machineId, logBytes: 0 }, { type: "intended" });
        return ordered.machineId;
      }
      refusals.push(ordered);
    }
    const [first] = refusals;
    if (first && refusals.every(({ lasts }) => lasts))
      await moveJob(turn, job, { type: "refuse", state: "budgetStopped", says: first.says, what: "capped" });
    else {
      const { stoppedAt } = await readSettings(turn);
      const what = first === undefined ? "noMachine" : stoppedAt === undefined ? "capped" : "stopped";
      await moveJob(turn, job, { type: "park", until: turn.now + parkMs, says: first?.says ?? says, what });
    }
    return null;
  },
});

// For the door (appliance/gpu/door): what machines say of the work, fenced by their epoch. A stale one changes nothing and is told so.

const vWord = { machineId: v.id("machines"), epoch: v.number() };

async function jobOf(turn: Turn, machineId: Doc<"machines">["_id"], epoch: number): Promise<Doc<"gpuJobs"> | undefined> {
  const machine = await turn.db.get(machineId);
  if (!machine || machine.epoch !== epoch || isOver(machine.life.state) || machine.owner.type !== "gpuJob") return undefined;
  const job = await turn.db.get(machine.owner.gpuJobId);
  return job?.machineId === machineId && !isJobOver(job.life.state) ? job : undefined;
}

/** Whether what it hands over is still wanted: of a worker machine, as long as it is not over. */
export const isMeant = systemQuery({
  args: vWord,
  returns: v.boolean(),
  handler: async (ctx, { machineId, epoch }) => {
    const machine = await ctx.db.get(machineId);
    if (!machine || machine.epoch !== epoch || isOver(machine.life.state)) return false;
    const job = machine.owner.type === "gpuJob" ? await ctx.db.get(machine.owner.gpuJobId) : null;
    return machine.owner.type === "lane" || (job?.machineId === machineId && !isJobOver(job.life.state));
  },
});

/** Its command runs; with what the machine says of itself (`nvidia-smi`, in words). False: stop, you are not meant any more. */
export const started = systemMutation({
  args: { ...vWord, facts: v.array(v.string()), machine: v.optional(vMachineFacts) },
  returns: v.boolean(),
  handler: async (turn, { machineId, epoch, facts, machine }) => {
    const job = await jobOf(turn, machineId, epoch);
    if (!job) return false;
    if (machine) await turn.db.patch(machineId, { facts: machine });
    const kept = facts.slice(0, factsMax).map((fact) => fact.slice(0, 500));
    await turn.db.patch(job._id, { facts: kept });
    await moveJob(turn, { ...job, facts: kept }, { type: "started" });
    return true;
  },
});

/** Output from an offset on, in bytes of UTF-8. Only the next offset is taken; what is to be sent next is answered. -1: you are not meant. */
export const appendLog = systemMutation({
  args: { ...vWord, offset: v.number(), text: v.string() },
  returns: v.number(),
  handler: async (turn, { machineId, epoch, offset, text }) => {
    const job = await jobOf(turn, machineId, epoch);
    if (!job) return -1;
    if (offset !== job.logBytes || text === "") return job.logBytes;
    if (text.length > logCharsMax) throw new NikaError("full", "That is too much output at once.");
    const logBytes = offset + new TextEncoder().encode(text).length;
    await turn.db.insert("gpuLogs", { gpuJobId: job._id, attempt: job.life.attempt, offset, text });
    await turn.db.patch(job._id, { logBytes });
    return logBytes;
  },
});

const vLog = v.object({ attempt: v.number(), offset: v.number(), text: v.string(), next: v.number(), isOver: v.boolean() });

/** Output of the present attempt from an offset on. */
export const log = ownerQuery({
  args: { id: v.string(), offset: v.number(), attempt: v.optional(v.number()) },
  returns: vLog,
  handler: async (ctx, args) => readLog(ctx, args),
});

export const logFor = systemQuery({
  args: { id: v.string(), offset: v.number(), attempt: v.optional(v.number()) },
  returns: vLog,
  handler: async (ctx, args) => readLog(ctx, args),
});

type LogAsked = { readonly id: string; readonly offset: number; readonly attempt?: number };

async function readLog(ctx: QueryCtx, { id, offset, attempt: asked }: LogAsked) {
  const gpuJobId = ctx.db.normalizeId("gpuJobs", id);
  const job = gpuJobId && (await ctx.db.get(gpuJobId));
  if (!job) throw new NikaError("missing", "There is no such job; see `nika gpu list`.");
  const attempt = asked ?? job.life.attempt;
  const rows = await ctx.db
    .query("gpuLogs")
    .withIndex("by_job", (q) => q.eq("gpuJobId", gpuJobId).eq("attempt", attempt).gte("offset", offset))
    .take(logReadMax);
  const text = rows.map((row) => row.text).join("");
  const from = rows[0]?.offset ?? offset;
  return { attempt, offset: from, text, next: from + new TextEncoder().encode(text).length, isOver: isJobOver(job.life.state) };
}

/** A state of the work that it can go on from. The last two are kept. False: you are not meant. */
export const checkpoint = systemMutation({
  args: { ...vWord, seq: v.number(), file: vGpuFile },
  returns: v.boolean(),
  handler: async (turn, { machineId, epoch, seq, file }) => {
    const job = await jobOf(turn, machineId, epoch);
    if (!job) return false;
    const { attempt } = job.life;
    const isNewer = job.checkpoints.every((one) => one.attempt < attempt || one.seq < seq);
    if (!isNewer) return true;
    const [kept, ...old] = job.checkpoints;
    await turn.db.patch(job._id, {
      checkpoints: [{ attempt, seq, file, at: turn.now }, ...(kept ? [kept] : [])],
    });
    await keepGpuFile(turn, job._id, file.storageId);
    for (const one of old) await dropGpuFile(turn, job._id, one.file.storageId);
    return true;
  },
});

/** Its command ended. Its results follow. */
export const exited = systemMutation({
  args: { ...vWord, exit: v.number() },
  returns: v.boolean(),
  handler: async (turn, { machineId, epoch, exit }) => {
    const job = await jobOf(turn, machineId, epoch);
    if (!job) return false;
    const machine = await turn.db.get(machineId);
    if (exit !== 0 && machine?.life.state === "draining") {
      // It was made to stop, and did: that is not its failure.
      await move(turn, machine, { type: "end", why: "budget" });
      return false;
    }
    await moveJob(turn, job, { type: "exited", exit });
    return true;
  },
});

/** All its results are stored, and each was checked: from here on they are official, and no other attempt's ever will be. */
export const finish = systemMutation({
  args: { ...vWord, files: v.array(vGpuFile), manifestSha256: v.string() },
  returns: v.boolean(),
  handler: async (turn, { machineId, epoch, files, manifestSha256 }) => {
    const job = await jobOf(turn, machineId, epoch);
    if (!job || job.files || job.life.state !== "uploading") return false;
    if (files.length > filesMax) throw new NikaError("full", `At most ${filesMax} files; pack them.`);
    const official = { attempt: job.life.attempt, files, manifestSha256 };
    await turn.db.patch(job._id, { files: official });
    for (const { storageId } of files) await keepGpuFile(turn, job._id, storageId);
    await moveJob(turn, { ...job, files: official }, { type: "uploaded" });
    return true;
  },
});

const vResults = v.object({
  view: vGpuJobView,
  ask: vGpuAsk,
  files: v.array(vGpuFile),
  checkpoints: v.array(v.object({ attempt: v.number(), seq: v.number(), file: vGpuFile, at: v.number() })),
  facts: v.array(v.string()),
});

/** All there is of it, for whoever runs it or brings its results. */
export const results = systemQuery({
  args: { id: v.string() },
  returns: v.union(vResults, v.null()),
  handler: async (ctx, { id: raw }) => {
    const id = ctx.db.normalizeId("gpuJobs", raw);
    const job = id && (await ctx.db.get(id));
    if (!job) return null;
    const { ask, files, checkpoints, facts } = job;
    return { view: await toView(ctx, job), ask, files: files?.files ?? [], checkpoints, facts };
  },
});

export async function toView(ctx: QueryCtx, job: Doc<"gpuJobs">): Promise<GpuJobView> {
  const { _id, ask, by, createdAt, life, machineId, logBytes, files } = job;
  const machine = machineId && (await ctx.db.get(machineId));
  const { state, attempt, startedAt, endedAt, exit, problem, dueAt } = life;
  return {
    id: _id,
    label: ask.label,
    by,
    state,
    attempt,
    createdAt,
    ...(startedAt !== undefined && { startedAt }),
    ...(endedAt !== undefined && { endedAt }),
    ...(exit !== undefined && { exit }),
    ...(problem && { problem }),
    ...(state === "parked" && dueAt !== undefined && { parkedUntil: dueAt }),
    ...(machineId && { machineId }),
    ...(machine && { offer: machine.offer }),
    ...(await jobTotal(ctx, job)),
    logBytes,
    files: files?.files.length ?? 0,
  };
}
