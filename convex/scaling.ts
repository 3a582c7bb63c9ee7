/** Machines rented for work that waits: what the owner allows, each look at whether it is enough, and why it was decided as it was. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import { NikaError } from "./model/error.ts";
import { vCapability, vOffer } from "./model/gpu.ts";
import { decide, emptyMemory, type Decision, type ScaleInput } from "./model/scale.ts";
import {
  mustMakeSense,
  planDefaults,
  vScalingPlan,
  vScalingView,
  workerLifeMs,
  workerWindDownMs,
  type ScalingPlan,
} from "./model/scaling.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { intend, move } from "./turn/lease.ts";
import {
  admit as admitWorker,
  forgetDismissed,
  seeHome,
  seeMachines,
  seeSignals,
  seeWork,
  toPool,
  type Seen,
} from "./turn/scaling.ts";

const shownMax = 50;
const keptMax = 500;
const usualBootMs = 3 * 60_000;
/** A machine that enrolled and does not join, or whose worker stopped by itself, is of no use after this. */
const uselessMs = 5 * 60_000;
/** One that was told to stop has stopped by then, or what is left of its work goes to others. */
const drainedMs = 3 * 60_000;
/** Bought by the month are machines for work that is always there, which is not what this decides about. */
const quantumMax = 2 * 3_600_000;
const slotsGuessed = 4;

export const get = ownerQuery({
  args: {},
  returns: vScalingView,
  handler: async (ctx) => {
    const row = await ctx.db.query("scaling").first();
    const decisions = await ctx.db.query("scalingDecisions").order("desc").take(shownMax);
    const { settings, where } = row ?? planDefaults;
    return {
      settings,
      where,
      ...(row?.look && { look: row.look }),
      decisions: decisions.map(({ _id, at, add, remove, need, says, where: from }) => ({
        id: _id,
        at,
        add,
        remove: remove.length,
        need,
        says,
        ...(from !== undefined && { where: from }),
      })),
    };
  },
});

/** What one look saw and decided, as JSON: `decide` of model/scale.ts says the same of it again. */
export const replay = ownerQuery({
  args: { id: v.id("scalingDecisions") },
  returns: v.object({ input: v.string(), add: v.number(), remove: v.array(v.string()), says: v.string() }),
  handler: async (ctx, { id }) => {
    const row = await ctx.db.get(id);
    if (!row) throw new NikaError("missing", "That decision is not kept any more.");
    const { input, add, remove, says } = row;
    return { input, add, remove, says };
  },
});

/** Takes effect with the next look, which is at once. */
export const set = ownerMutation({
  args: vScalingPlan.fields,
  returns: v.null(),
  handler: async (turn, plan) => {
    mustMakeSense(plan.settings);
    const row = await turn.db.query("scaling").first();
    if (row) await turn.db.patch(row._id, plan);
    else await turn.db.insert("scaling", { ...plan, memory: emptyMemory(turn.now), idle: [] });
    await planLook(turn);
    return null;
  },
});

/** Twice a minute: there is something to look at as long as it is on, or a machine is left. */
export const tick = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const row = await turn.db.query("scaling").first();
    if (row && (row.settings.isOn || (await seeMachines(turn)).length > 0)) await planLook(turn);
    return null;
  },
});

async function planLook(turn: Turn): Promise<void> {
  await enqueue(turn, { kind: "machines.scale", args: {}, label: "machines for work", uniqueKey: "scale" });
}

/** What a machine for this would have to be and do; null when nothing is to be rented. */
export const errand = systemQuery({
  args: {},
  returns: v.union(vScalingPlan, v.null()),
  handler: async (ctx) => {
    const row = await ctx.db.query("scaling").first();
    return row?.settings.isOn === true ? { settings: row.settings, where: row.where } : null;
  },
});

/**
 * One look. `choices` are what could be had, best first. Decides, writes down what it saw and why, and in the same transaction the machines that
 * are asked for, with their money.
 */
export const look = systemMutation({
  args: {
    installId: v.string(),
    choices: v.array(v.object({ offer: vOffer, capability: vCapability })),
    /** Why these, in a sentence. */
    says: v.optional(v.string()),
  },
  returns: v.object({ add: v.number(), remove: v.number(), says: v.string() }),
  handler: async (turn, { installId, choices, says }) => {
    const row = await turn.db.query("scaling").first();
    if (!row) return { add: 0, remove: 0, says: "Nothing is set." };
    await forgetDismissed(turn);
    const seen = await sweep(turn, await seeMachines(turn));
    const input = await inputOf(turn, row, seen, choices);
    const decision = decide(input);
    const added = await add(turn, decision, { installId, choices });
    for (const { machine } of seen) if (decision.remove.includes(machine._id)) await letGo(turn, machine);
    // Why there is none to be had is known to who looked for one.
    const where = choices.length === 0 && says !== undefined ? says : (added.says ?? says);
    await writeDown(turn, row, { input, decision, says: where });
    return { add: added.count, remove: decision.remove.length, says: decision.says };
  },
});

type Choices = { readonly installId: string; readonly choices: readonly Pick<Doc<"machines">, "offer" | "capability">[] };

async function inputOf(turn: Turn, row: Doc<"scaling">, seen: readonly Seen[], choices: Choices["choices"]): Promise<ScaleInput> {
  const before = new Map(row.idle.map(({ id, since }) => [id, since]));
  const idle = new Map(
    seen
      .filter(({ worker, busy }) => worker?.isUp === true && busy === 0)
      .map(({ machine, worker }) => [machine._id as string, before.get(machine._id) ?? worker?.startedAt ?? turn.now]),
  );
  await turn.db.patch(row._id, { idle: [...idle].map(([id, since]) => ({ id, since })) });
  const rented = new Set(seen.flatMap(({ machine: { workerName } }) => workerName ?? []));
  const boots = seen.flatMap(({ machine, worker }) => (worker ? [Math.max(1_000, worker.startedAt - machine.createdAt)] : []));
  const bootMs = boots.length === 0 ? (row.bootMs ?? usualBootMs) : boots.reduce((sum, one) => sum + one, 0) / boots.length;
  const slots = seen.find(({ worker }) => worker)?.worker?.about?.lanes.bulk ?? slotsGuessed;
  return {
    now: turn.now,
    settings: row.settings,
    signals: await seeSignals(turn),
    // Where no machine can do anything for it, work is not to be moved.
    work: choices.length > 0 || seen.length > 0 ? await seeWork(turn, row.look?.at ?? turn.now) : [],
    home: await seeHome(turn, rented),
    pool: toPool(seen, idle, turn.now),
    next: { bootMs, quantumMs: choices[0]?.offer.quantumMs ?? 1_000, slots },
    memory: row.memory,
  };
}

/** Ends what is of no use, and tells apart what is left. */
async function sweep(turn: Turn, seen: readonly Seen[]): Promise<Seen[]> {
  const left = [];
  for (const one of seen) {
    const { machine, worker } = one;
    const { state, bootedAt = machine.createdAt } = machine.life;
    const isUp = worker?.isUp === true;
    const isStopped = state === "draining" && !isUp;
    const isStuck = state === "draining" && turn.now - (machine.drainedAt ?? turn.now) > drainedMs;
    const isUseless =
      (state === "ready" || state === "busy") && !isUp && turn.now - Math.max(bootedAt, worker?.startedAt ?? 0) > uselessMs;
    const isOld = machine.deadline - turn.now < workerWindDownMs && state !== "draining";
    if (isStopped || isStuck) await move(turn, machine, { type: "end", why: "idle" });
    else if (isUseless) await move(turn, machine, { type: "end", why: "failed" });
    else {
      if (isOld) await letGo(turn, machine);
      left.push(one);
    }
  }
  return left;
}

/** A machine that works is told to stop, which gives back what it holds; one that does not yet is ended. */
async function letGo(turn: Turn, machine: Doc<"machines">): Promise<void> {
  const { state } = machine.life;
  if (state !== "ready" && state !== "busy") {
    if (state !== "draining") await move(turn, machine, { type: "end", why: "idle" });
    return;
  }
  await turn.db.patch(machine._id, { drainedAt: turn.now });
  await move(turn, { ...machine, drainedAt: turn.now }, { type: "drain" });
}

/** Asks for as many as the budgets let; why not more, if not. */
async function add(turn: Turn, decision: Decision, { installId, choices }: Choices): Promise<{ count: number; says?: string }> {
  const choice = choices.find(({ offer }) => offer.quantumMs <= quantumMax && offer.form !== "managed");
  if (decision.add > 0 && !choice) return { count: 0, says: "No machine is to be had for it now." };
  if (!choice) return { count: 0 };
  for (let count = 0; count < decision.add; count++) {
    const ordered = await intend(turn, {
      owner: { type: "lane", lane: "bulk" },
      ...choice,
      installId,
      diskMb: Math.min(20_000, choice.offer.diskMb),
      workMs: workerLifeMs,
      by: "owner",
      epoch: 1,
    });
    if (ordered.type === "refused") return { count, says: ordered.says };
  }
  return { count: decision.add };
}

type Looked = { readonly input: ScaleInput; readonly decision: Decision; readonly says: string | undefined };

/** Each look is shown; only those that did or said something new are kept. */
async function writeDown(turn: Turn, row: Doc<"scaling">, { input, decision, says: where }: Looked): Promise<void> {
  const { signals, work, home, pool, next } = input;
  const { add: added, remove, need, says, memory } = decision;
  const shown = {
    at: turn.now,
    says,
    ...(where !== undefined && { where }),
    need,
    signals,
    work: [...work],
    home,
    pool: [...pool],
  };
  await turn.db.patch(row._id, { memory, look: shown, bootMs: next.bootMs });
  if (added === 0 && remove.length === 0 && row.look?.says === says) return;
  await turn.db.insert("scalingDecisions", {
    at: turn.now,
    add: added,
    remove: [...remove],
    need,
    says,
    ...(where !== undefined && { where }),
    input: JSON.stringify(input),
  });
  const old = await turn.db
    .query("scalingDecisions")
    .order("desc")
    .take(keptMax + 20);
  for (const { _id } of old.slice(keptMax)) await turn.db.delete(_id);
}

/** The worker on a machine that enrolled is let in; its name. */
export const admit = systemMutation({
  args: { machineId: v.id("machines"), hash: v.string() },
  returns: v.string(),
  handler: (turn, { machineId, hash }) => admitWorker(turn, machineId, hash),
});

/** All of it, for whoever writes the settings in part. */
export const plan = systemQuery({
  args: {},
  returns: vScalingPlan,
  handler: async (ctx): Promise<ScalingPlan> => {
    const row = await ctx.db.query("scaling").first();
    return row ? { settings: row.settings, where: row.where } : planDefaults;
  },
});
