/** What is seen of work that may be done elsewhere and of the machines rented for it; and who of them is let in and sent away. */
import type { Doc, Id } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { NikaError } from "../model/error.ts";
import { joinedKinds } from "../model/joined.ts";
import type { JobKind } from "../model/kinds.ts";
import { policyOf } from "../model/lane.ts";
import { isOver } from "../model/machine.ts";
import { expectedMs, type PoolMachine, type Signals, type WorkClass } from "../model/scale.ts";
import { workerWindDownMs } from "../model/scaling.ts";
import type { Turn } from "./guard.ts";

type Reader = Pick<QueryCtx, "db">;

const countedMax = 2_000;
const endedMax = 200;
const rowsMax = 200;
const usualMs: Partial<Record<JobKind, number>> = { "documents.ingest": 20_000 };
/** Taken to be as wide as a worker with nothing said. */
const usualSlots = 4;

/** Work that joined workers can do, as it came in since a time, waits and runs. */
export async function seeWork(ctx: Reader, since: number): Promise<WorkClass[]> {
  const ended = await ctx.db
    .query("jobs")
    .withIndex("by_state", (q) => q.eq("state", "done"))
    .order("desc")
    .take(endedMax);
  const leased = await ctx.db
    .query("jobs")
    .withIndex("by_state", (q) => q.eq("state", "leased"))
    .take(countedMax);
  const fresh = await ctx.db
    .query("jobs")
    .withIndex("by_creation_time", (q) => q.gt("_creationTime", since))
    .take(countedMax);
  const classes = [];
  for (const kind of joinedKinds) {
    const waiting = await waitingOf(ctx, kind);
    const durations = ended
      .filter((job) => job.kind === kind)
      .flatMap(({ startedAt, endedAt }) =>
        startedAt !== undefined && endedAt !== undefined ? [Math.max(1, endedAt - startedAt)] : [],
      );
    classes.push({
      name: kind,
      waiting: waiting.length,
      ...(waiting[0] && { oldestAt: Math.min(...waiting.map(({ readyAt }) => readyAt)) }),
      running: leased.filter((job) => job.kind === kind).length,
      arrived: fresh.filter((job) => job.kind === kind).length,
      meanMs: expectedMs(durations.toReversed(), usualMs[kind] ?? 1_000),
    });
  }
  return classes;
}

async function waitingOf(ctx: Reader, kind: JobKind): Promise<Doc<"jobs">[]> {
  const { lane, rank } = policyOf(kind);
  const due = ctx.db
    .query("jobs")
    .withIndex("by_lane", (q) => q.eq("state", "ready").eq("isDue", true).eq("lane", lane).eq("rank", rank));
  return (await due.take(countedMax)).filter((job) => job.kind === kind);
}

export type Seen = {
  readonly machine: Doc<"machines">;
  readonly worker?: Doc<"workers">;
  readonly busy: number;
};

/** Machines rented for work that are not on their way out, with the workers on them. */
export async function seeMachines(ctx: Reader): Promise<Seen[]> {
  const rows = [];
  for (const lane of ["bulk", "work", "now"] as const)
    rows.push(
      ...(await ctx.db
        .query("machines")
        .withIndex("by_lane", (q) => q.eq("owner.lane", lane))
        .order("desc")
        .take(rowsMax)),
    );
  const seen = [];
  for (const machine of rows) {
    if (isOver(machine.life.state)) continue;
    const worker = machine.workerName === undefined ? null : await findWorker(ctx, machine.workerName);
    seen.push({ machine, ...(worker && { worker }), busy: worker?.isUp === true ? await heldBy(ctx, worker._id) : 0 });
  }
  return seen;
}

const findWorker = (ctx: Reader, name: string): Promise<Doc<"workers"> | null> =>
  ctx.db
    .query("workers")
    .withIndex("by_name", (q) => q.eq("name", name))
    .unique();

async function heldBy(ctx: Reader, workerId: Id<"workers">): Promise<number> {
  const held = ctx.db.query("jobs").withIndex("by_worker", (q) => q.eq("lease.workerId", workerId));
  return (await held.take(countedMax)).length;
}

/** As the rule takes them. A machine works once its worker is up. `idle`: since when each has done nothing. */
export function toPool(seen: readonly Seen[], idle: ReadonlyMap<string, number>, now: number): PoolMachine[] {
  return seen.map(({ machine, worker, busy }) => {
    const { _id, life, createdAt, deadline, offer } = machine;
    const isUp = worker?.isUp === true;
    const isEnding = life.state === "draining" || deadline - now < workerWindDownMs;
    const idleSince = idle.get(_id);
    return {
      id: _id,
      state: isEnding ? "draining" : isUp ? "ready" : "booting",
      askedAt: createdAt,
      slots: worker ? slotsOf(worker) : usualSlots,
      busy,
      ...(isUp && busy === 0 && idleSince !== undefined && { idleSince }),
      quantumMs: offer.quantumMs,
      hourlyMicros: offer.hourly.micros,
    };
  });
}

/** Places for what comes in thousands; that is what is moved. */
const slotsOf = ({ about, slots }: Doc<"workers">): number => about?.lanes.bulk ?? slots;

/** This machine and others that joined without being rented. */
export async function seeHome(ctx: Reader, rented: ReadonlySet<string>): Promise<{ slots: number; busy: number }> {
  const room = await ctx.db.query("readingRooms").first();
  const up = await ctx.db
    .query("workers")
    .withIndex("by_isUp", (q) => q.eq("isUp", true))
    .take(rowsMax);
  let [slots, busy] = [0, 0];
  for (const worker of up) {
    if (rented.has(worker.name)) continue;
    const own = slotsOf(worker);
    slots += worker.tokenId === undefined && room ? Math.min(own, room.slots) : own;
    busy += await heldBy(ctx, worker._id);
  }
  return { slots, busy: Math.min(busy, slots) };
}

export async function seeSignals(ctx: Reader): Promise<Signals> {
  const room = await ctx.db.query("readingRooms").first();
  const { cpu = 0, allCpu = cpu, memory = 0, cpuStall, memoryStall } = room?.pressure ?? {};
  return {
    cpu: allCpu,
    memory,
    ...(cpuStall !== undefined && { cpuStall }),
    ...(memoryStall !== undefined && { memoryStall }),
  };
}

/** Lets the worker on a machine in that has just enrolled, under the machine's name. `hash` is SHA-256 of its secret, in hex. */
export async function admit(turn: Turn, machineId: Id<"machines">, hash: string): Promise<string> {
  const machine = await turn.db.get(machineId);
  if (machine?.owner.type !== "lane" || isOver(machine.life.state))
    throw new NikaError("denied", "This machine is not here to work, or its time is over.");
  const { name } = machine;
  const known = await tokenOf(turn, name);
  if (known) await turn.db.patch(known._id, { hash });
  else await turn.db.insert("workerTokens", { name, hash, createdAt: turn.now });
  await turn.db.patch(machineId, { workerName: name });
  return name;
}

/** Takes back what a machine's worker was let in with; what it held goes to others by its silence or its goodbye. */
export async function dismiss(turn: Turn, { workerName }: Pick<Doc<"machines">, "workerName">): Promise<void> {
  if (workerName === undefined) return;
  const token = await tokenOf(turn, workerName);
  if (token) await turn.db.delete(token._id);
  const worker = await findWorker(turn, workerName);
  if (worker?.isUp === false) await forget(turn, worker);
}

/** Workers that went silent with their machine, once they were given up. */
export async function forgetDismissed(turn: Turn): Promise<void> {
  const away = turn.db.query("workers").withIndex("by_isUp", (q) => q.eq("isUp", false));
  for (const worker of await away.take(rowsMax))
    if (worker.tokenId !== undefined && !(await turn.db.get(worker.tokenId))) await forget(turn, worker);
}

async function forget(turn: Turn, worker: Doc<"workers">): Promise<void> {
  const pulse = await turn.db
    .query("beats")
    .withIndex("by_workerId", (q) => q.eq("workerId", worker._id))
    .unique();
  if (pulse) await turn.db.delete(pulse._id);
  await turn.db.delete(worker._id);
}

const tokenOf = (turn: Turn, name: string): Promise<Doc<"workerTokens"> | null> =>
  turn.db
    .query("workerTokens")
    .withIndex("by_name", (q) => q.eq("name", name))
    .unique();
