/** Rented machines: what the owner sees of them, and what the engine, the door and the scaler do with them. Their life: model/machine.ts. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import { vCapability, vFailure, vObserved, vOffer, vProviderId, vRef } from "./model/gpu.ts";
import { vGpuAsk } from "./model/gpuJob.ts";
import { vLane } from "./model/lane.ts";
import { isOver, machineStates, vMachineView, vVerb, type MachineView } from "./model/machine.ts";
import { vBlock, vEvidence } from "./model/posterior.ts";
import { readSettings, writeSettings } from "./turn/budget.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { shed } from "./turn/shed.ts";
import { findBeat, intend, move, moveJob, planLook, planPlacing, see } from "./turn/lease.ts";

const listedMax = 500;
/** Each is some writes; a tick stays short, and the rest follows at once in the next. */
const reapedMax = 10;
const silentMax = 250;
const lookedMax = 500;
/** Twelve beats of ten seconds. */
export const silentMs = 120_000;
/** Four: then it is looked whether it is still there, so that work of one that is gone goes on elsewhere soon. */
const hushMs = 40_000;
/** The reaper comes each minute; when it did not, nobody could be heard either. */
const pauseMs = 150_000;
/** Placing that waits in line is asked for again after this, should it be lost. */
const replacedMs = 30 * 60_000;
const keptMs = 30 * 24 * 3_600_000;
const openStates = machineStates.filter((state) => state !== "gone");

/** What is or may be billed first, newest first; then what is gone, as far as it is kept. */
export const list = ownerQuery({
  args: { gone: v.optional(v.boolean()) },
  returns: v.array(vMachineView),
  handler: async (ctx, { gone = false }) => {
    const rows = await openMachines(ctx);
    if (gone)
      rows.push(
        ...(await ctx.db
          .query("machines")
          .withIndex("by_state", (q) => q.eq("life.state", "gone"))
          .order("desc")
          .take(100)),
      );
    return Promise.all(rows.map((row) => toView(ctx, row)));
  },
});

/** The same for the appliance. */
export const all = systemQuery({
  args: {},
  returns: v.array(vMachineView),
  handler: async (ctx) => Promise.all((await openMachines(ctx)).map((row) => toView(ctx, row))),
});

/** The owner has seen the alarm; what is suspected goes on being ended. */
export const acknowledge = ownerMutation({
  args: { id: v.id("machines") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const machine = await turn.db.get(id);
    if (!machine) throw new NikaError("missing", "There is no such machine.");
    const { alarmAt: _alarmAt, ...life } = machine.life;
    if (machine.life.state === "gone") await turn.db.patch(id, { life });
    else throw new NikaError("conflict", "It is not known to be gone yet; Nika goes on trying.");
    return null;
  },
});

/** Ends it, whatever it does; its job is cancelled. */
export const stop = ownerMutation({
  args: { id: v.id("machines") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const machine = await turn.db.get(id);
    if (!machine) throw new NikaError("missing", "There is no such machine.");
    await move(turn, machine, { type: "end", why: "cancelled" });
    return null;
  },
});

/** Ends all machines, cancels what ran on them, and rents nothing more until `resume`. How many are being ended. */
export const panic = ownerMutation({
  args: {},
  returns: v.number(),
  handler: async (turn) => panicNow(turn),
});

export const panicAll = systemMutation({ args: {}, returns: v.number(), handler: async (turn) => panicNow(turn) });

export const resume = ownerMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    await writeSettings(turn, { stoppedAt: undefined });
    // What waited for this word is placed now, and not when its wait would be over.
    const waiting = await turn.db
      .query("gpuJobs")
      .withIndex("by_state", (q) => q.eq("life.state", "parked"))
      .take(reapedMax);
    for (const job of waiting) await moveJob(turn, { ...job, life: { ...job.life, dueAt: turn.now } }, { type: "time" });
    return null;
  },
});

async function panicNow(turn: Turn): Promise<number> {
  await writeSettings(turn, { stoppedAt: turn.now });
  const open = (await openMachines(turn)).filter(({ life }) => !isOver(life.state) || life.state === "quarantined");
  for (const { _id } of open) {
    const machine = await turn.db.get(_id);
    if (machine) await move(turn, machine, { type: "end", why: "panic" });
  }
  if (open.length === listedMax) await turn.scheduler.runAfter(0, internal.machines.panicAll, {});
  return open.length;
}

async function openMachines(ctx: Pick<QueryCtx, "db">): Promise<Doc<"machines">[]> {
  const rows: Doc<"machines">[] = [];
  for (const state of openStates) {
    const of = ctx.db.query("machines").withIndex("by_state", (q) => q.eq("life.state", state));
    rows.push(...(await of.order("desc").take(listedMax - rows.length)));
    if (rows.length === listedMax) break;
  }
  return rows;
}

export async function toView(ctx: Pick<QueryCtx, "db">, machine: Doc<"machines">): Promise<MachineView> {
  const { _id, name, owner, offer, life, createdAt, deadline } = machine;
  const beat = await ctx.db
    .query("machineBeats")
    .withIndex("by_machine", (q) => q.eq("machineId", _id))
    .unique();
  const { state, why, bootedAt, goneAt, alarmAt, failure, ref } = life;
  return {
    id: _id,
    name,
    owner,
    provider: offer.provider,
    offer,
    state,
    ...(why && { why }),
    createdAt,
    deadline,
    ...(bootedAt !== undefined && { bootedAt }),
    ...(goneAt !== undefined && { goneAt }),
    ...(alarmAt !== undefined && { alarmAt }),
    ...(beat?.at !== undefined && { heardAt: beat.at }),
    ...(failure && { failure }),
    ...(ref && { ref }),
  };
}

// For the engine (functions/machines).

/** What is needed to ask for it; null when it is not to be asked for (again). From here on it may exist. */
export const asking = systemMutation({
  args: { machineId: v.id("machines") },
  returns: v.union(
    v.object({
      name: v.string(),
      key: v.string(),
      token: v.string(),
      epoch: v.number(),
      deadline: v.number(),
      bootBy: v.number(),
      offer: vOffer,
      diskMb: v.number(),
      ask: v.optional(vGpuAsk),
      lane: v.optional(vLane),
    }),
    v.null(),
  ),
  handler: async (turn, { machineId }) => {
    const machine = await turn.db.get(machineId);
    if (machine?.life.verb !== "create" && machine?.life.state !== "creating") return null;
    const { asks } = machine.life;
    const { life } = await move(turn, machine, { type: "asking" });
    if (life.state !== "creating" || life.asks === asks) return null;
    const { name, key, token, epoch, deadline, bootBy, offer, diskMb, owner } = machine;
    const job = owner.type === "gpuJob" ? await turn.db.get(owner.gpuJobId) : null;
    return {
      name,
      key,
      token,
      epoch,
      deadline,
      bootBy,
      offer,
      diskMb,
      ...(job && { ask: job.ask }),
      ...(owner.type === "lane" && { lane: owner.lane }),
    };
  },
});

/** What asking came to. */
export const asked = systemMutation({
  args: {
    machineId: v.id("machines"),
    result: v.union(
      v.object({ type: v.literal("created"), observed: vObserved }),
      v.object({ type: v.literal("failed"), failure: vFailure }),
      v.object({ type: v.literal("unknown"), failure: vFailure, ref: v.optional(vRef) }),
    ),
  },
  returns: v.null(),
  handler: async (turn, { machineId, result }) => {
    const machine = await turn.db.get(machineId);
    if (!machine) return null;
    if (result.type === "created") await move(turn, machine, result, result.observed);
    else if (result.type === "failed") await move(turn, machine, { type: "createFailed", failure: result.failure });
    else await move(turn, machine, { ...result, type: "createUnknown" });
    return null;
  },
});

/** Where it is, if it is to be ended now. */
export const toEnd = systemQuery({
  args: { machineId: v.id("machines") },
  returns: v.union(vRef, v.null()),
  handler: async (ctx, { machineId }) => {
    const machine = await ctx.db.get(machineId);
    return machine?.life.verb === "end" && machine.life.ref ? machine.life.ref : null;
  },
});

/** It was said to its provider; or it could not be. Whether it is gone is another question. */
export const endSaid = systemMutation({
  args: { machineId: v.id("machines"), failure: v.optional(vFailure) },
  returns: v.null(),
  handler: async (turn, { machineId, failure }) => {
    const machine = await turn.db.get(machineId);
    if (machine) await move(turn, machine, failure ? { type: "endFailed", failure } : { type: "endAsked" });
    return null;
  },
});

const vSought = v.object({ machineId: v.id("machines"), name: v.string(), key: v.string(), ref: v.optional(vRef) });

/** Those of a provider's that are to be looked at now. */
export const toLook = systemQuery({
  args: { provider: vProviderId, now: v.number() },
  returns: v.array(vSought),
  handler: async (ctx, { provider, now }) => {
    const due = await ctx.db
      .query("machines")
      .withIndex("by_provider", (q) =>
        q.eq("offer.provider", provider).eq("life.verb", "look").gte("life.dueAt", 0).lte("life.dueAt", now),
      )
      .take(lookedMax);
    return due.map(({ _id, name, key, life }) => ({ machineId: _id, name, key, ...(life.ref && { ref: life.ref }) }));
  },
});

/** What a provider shows under the names of these: all of it, what is shown as gone included. Or that it could not be asked. */
export const looked = systemMutation({
  args: {
    looks: v.array(v.object({ machineId: v.id("machines"), found: v.array(vObserved) })),
    failed: v.optional(v.object({ machineIds: v.array(v.id("machines")), failure: vFailure })),
  },
  returns: v.null(),
  handler: async (turn, { looks, failed }) => {
    for (const { machineId, found } of looks) {
      const machine = await turn.db.get(machineId);
      if (machine) await see(turn, machine, found);
    }
    for (const machineId of failed?.machineIds ?? []) {
      const machine = await turn.db.get(machineId);
      if (machine && failed) await move(turn, machine, { type: "lookFailed", failure: failed.failure });
    }
    return null;
  },
});

/**
 * The second killer, each minute from the control plane's own time: what is past its deadline, silent, stuck, or was to be done and is not,
 * is seen to, whoever forgot it. True when there is more to do.
 */
export const reap = systemMutation({
  args: {},
  returns: v.boolean(),
  handler: async (turn) => {
    const { reapedAt, upSince } = await readSettings(turn);
    const wasAway = reapedAt === undefined || turn.now - reapedAt > pauseMs;
    const since = wasAway ? turn.now : (upSince ?? turn.now);
    await writeSettings(turn, { reapedAt: turn.now, upSince: since });
    const due = await turn.db
      .query("machines")
      .withIndex("by_reapAt", (q) => q.gte("reapAt", 0).lte("reapAt", turn.now))
      .take(reapedMax);
    for (const { _id } of due) {
      const machine = await turn.db.get(_id);
      if (machine) await reapOne(turn, machine);
    }
    const jobs = await turn.db
      .query("gpuJobs")
      .withIndex("by_due", (q) => q.gte("life.dueAt", 0).lte("life.dueAt", turn.now))
      .take(reapedMax);
    for (const { _id } of jobs) {
      const job = await turn.db.get(_id);
      if (!job) continue;
      const { life } = await moveJob(turn, job, { type: "time" });
      if (life.state === "queued" && job.life.state === "queued") {
        const next = { ...job, life: { ...job.life, dueAt: turn.now + replacedMs } };
        await turn.db.patch(_id, { life: next.life });
        await planPlacing(turn, next);
      }
    }
    // Who came back itself hears nobody at first.
    const silent = turn.now - since < hushMs ? 0 : await reapSilent(turn, turn.now - since >= silentMs);
    await shed(turn);
    const old = await turn.db
      .query("machines")
      .withIndex("by_goneAt", (q) => q.gte("life.goneAt", 0).lte("life.goneAt", turn.now - keptMs))
      .take(reapedMax);
    for (const { _id, life } of old) {
      if (life.alarmAt !== undefined) continue;
      const beat = await findBeat(turn, _id);
      if (beat) await turn.db.delete(beat._id);
      await turn.db.delete(_id);
    }
    const isMore = silent === reapedMax || [due.length, jobs.length].includes(reapedMax);
    if (isMore) await turn.scheduler.runAfter(0, internal.machines.reap, {});
    return isMore;
  },
});

async function reapOne(turn: Turn, machine: Doc<"machines">): Promise<void> {
  const { life } = await move(turn, machine, { type: "time" });
  const { verb, dueAt, step: at } = life;
  if (verb === "wait" || dueAt === undefined || at !== machine.life.step || dueAt !== machine.life.dueAt) return;
  // Its verb was to be done and was not: what was to do it is lost, or waits. Asking again for what waits changes nothing.
  await turn.db.patch(machine._id, { reapAt: turn.now + 60_000 });
  if (verb === "look") return planLook(turn, machine.offer.provider, turn.now);
  const again = { label: machine.name, args: { machineId: machine._id }, uniqueKey: `${machine.key}/again` };
  await enqueue(turn, { kind: `machines.${verb}`, ...again });
}

/**
 * Not heard for a while: looked at, each time the reaper comes. Not heard for two minutes: ended, when its provider answered meanwhile; otherwise it
 * may be us who are cut off, and what runs there finishes by itself.
 */
async function reapSilent(turn: Turn, mayEnd: boolean): Promise<number> {
  const { silentFrom = 0 } = await readSettings(turn);
  const beats = await turn.db
    .query("machineBeats")
    .withIndex("by_at", (q) => q.gte("at", silentFrom).lte("at", turn.now - hushMs))
    .take(silentMax);
  let [seenTo, last] = [0, silentFrom];
  for (const { machineId, at = 0 } of beats) {
    if (seenTo === reapedMax) break;
    last = at;
    const machine = await turn.db.get(machineId);
    if (!machine || isOver(machine.life.state)) continue;
    const { life, lookedAt = 0 } = machine;
    const isSilent = mayEnd && at <= turn.now - silentMs && lookedAt > at + silentMs / 2;
    if (isSilent) await move(turn, machine, { type: "end", why: "silent" });
    else if (life.verb === "look" && (life.dueAt ?? 0) <= turn.now + 60_000) continue;
    else {
      await turn.db.patch(machineId, { life: { ...life, verb: "look", dueAt: turn.now }, reapAt: turn.now + 60_000 });
      await planLook(turn, machine.offer.provider, turn.now);
    }
    seenTo += 1;
  }
  // Those whose provider does not answer stay at the head: the next look begins behind them, and after the last from the first.
  const isWhole = seenTo < reapedMax && beats.length < silentMax;
  const next = isWhole ? undefined : last > silentFrom ? last : last + 1;
  if (next !== undefined || silentFrom > 0) await writeSettings(turn, { silentFrom: next });
  return seenTo;
}

/** What offers are judged by: what is not worth asking for, what was learned of places, and the owner's rate. */
export const outlook = systemQuery({
  args: { now: v.number() },
  returns: v.object({
    blocks: v.array(vBlock),
    evidence: v.array(vEvidence),
    usdPerEur: v.number(),
    proven: v.array(vProviderId),
  }),
  handler: async (ctx, { now }) => {
    const blocks = await ctx.db
      .query("gpuBlocks")
      .withIndex("by_until", (q) => q.gt("until", now))
      .take(listedMax);
    const evidence = await ctx.db.query("gpuEvidence").take(listedMax * 2);
    const proofs = await ctx.db.query("gpuProofs").order("desc").take(listedMax);
    const { usdPerEur } = await readSettings(ctx);
    return {
      blocks: blocks.map(({ _id, _creationTime, ...block }) => block),
      evidence: evidence.map(({ _id, _creationTime, ...one }) => one),
      usdPerEur,
      proven: [...new Set(proofs.filter(({ passed }) => passed).map(({ provider }) => provider))],
    };
  },
});

// For the scaler (functions/machines/scale.ts).

/** A worker machine for a lane, written down with its money; or why not. */
export const want = systemMutation({
  args: {
    lane: vLane,
    offer: vOffer,
    capability: vCapability,
    installId: v.string(),
    diskMb: v.number(),
    lifeMs: v.number(),
  },
  returns: v.union(
    v.object({ type: v.literal("intended"), machineId: v.id("machines") }),
    v.object({ type: v.literal("refused"), says: v.string(), lasts: v.boolean() }),
  ),
  handler: async (turn, { lane, lifeMs, ...order }) =>
    intend(turn, { ...order, owner: { type: "lane", lane }, workMs: lifeMs, by: "owner", epoch: 1 }),
});

/** Takes nothing new, and is ended once it is idle: `leave`, or `end` below. */
export const drain = systemMutation({
  args: { machineId: v.id("machines") },
  returns: v.null(),
  handler: async (turn, { machineId }) => {
    const machine = await turn.db.get(machineId);
    if (machine) await move(turn, machine, { type: "drain" });
    return null;
  },
});

export const end = systemMutation({
  args: { machineId: v.id("machines"), why: v.union(v.literal("idle"), v.literal("finished"), v.literal("failed")) },
  returns: v.null(),
  handler: async (turn, { machineId, why }) => {
    const machine = await turn.db.get(machineId);
    if (machine) await move(turn, machine, { type: "end", why });
    return null;
  },
});

/** Worker machines of a lane that are not over, with what they are called as workers. */
export const ofLane = systemQuery({
  args: { lane: vLane },
  returns: v.array(
    v.object({ machineId: v.id("machines"), view: vMachineView, verb: vVerb, workerName: v.optional(v.string()) }),
  ),
  handler: async (ctx, { lane }) => {
    const rows = await ctx.db
      .query("machines")
      .withIndex("by_lane", (q) => q.eq("owner.lane", lane))
      .order("desc")
      .take(listedMax * 2);
    const live = rows.filter(({ life }) => !isOver(life.state));
    return Promise.all(
      live.map(async (row) => ({
        machineId: row._id,
        view: await toView(ctx, row),
        verb: row.life.verb,
        ...(row.workerName !== undefined && { workerName: row.workerName }),
      })),
    );
  },
});
