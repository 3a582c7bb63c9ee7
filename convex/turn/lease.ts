/** Machines and the work they are for, moved together: what one becomes and what follows for the other is one transaction. */
import type { Doc, Id } from "../_generated/dataModel.js";
import { costOf, priceAgeMaxMs, reserveOf, toMicroEuro } from "../model/budget.ts";
import { quantised } from "../model/choose.ts";
import { machineName, type Capability, type Money, type Observed, type Offer } from "../model/gpu.ts";
import { bootAllowanceMs, isJobOver, isOnMachine, stepJob, teardownAllowanceMs, type GpuJobEvent } from "../model/gpuJob.ts";
import {
  found,
  intended,
  isOver,
  step,
  stored,
  type EndReason,
  type MachineEvent,
  type MachineLife,
  type MachineOwner,
} from "../model/machine.ts";
import { blockFor, blockMaxMs, blockName, blockNames, isForWantOfRoom, learn, placeOf, type News } from "../model/posterior.ts";
import { nothingCounted, readSettings, recount, refusalOf } from "./budget.ts";
import { enqueue } from "./enqueue.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";
import { dismiss } from "./scaling.ts";

type Machine = Doc<"machines">;
type GpuJob = Doc<"gpuJobs">;

/** A verb whose job did not come back by then is put to work again. */
const overdueMs = 60_000;
const lookEveryMs = 5_000;
/** Kept aside beyond now for what should be gone and is not. */
const marginMs = 10 * 60_000;
/** Of those that wait for a machine, so many are asked whether they may go where there is room. */
const roomAskedMax = 50;

export type Order = {
  readonly owner: MachineOwner;
  readonly offer: Offer;
  readonly capability: Capability;
  /** Of 8 characters `a-z0-9`. */
  readonly installId: string;
  readonly diskMb: number;
  /** How long its work may take; booting and ending come on top. */
  readonly workMs: number;
  readonly by: string;
  readonly epoch: number;
  readonly job?: GpuJob;
};

export type Ordered =
  | { readonly type: "intended"; readonly machineId: Id<"machines"> }
  | { readonly type: "refused"; readonly says: string; readonly lasts: boolean };

/** Writes a machine down and sets its money aside, or says why not. Nothing was asked of anybody yet. */
export async function intend(turn: Turn, order: Order): Promise<Ordered> {
  const { owner, offer, capability, installId, diskMb, workMs, by, epoch, job } = order;
  if (turn.now - offer.pricedAt > priceAgeMaxMs)
    return { type: "refused", says: "The price is more than a day old; ask for a new one.", lasts: false };
  const deadline = turn.now + bootAllowanceMs + workMs + teardownAllowanceMs;
  const reserved = reserveOf(offer, deadline - turn.now);
  const refusal = await refusalOf(turn, { offer, by, reserve: reserved, job });
  if (refusal) return { type: "refused", ...refusal };
  const key = newKey();
  const { usdPerEur } = await readSettings(turn);
  const counted = {
    reserved: toMicroEuro(reserved, usdPerEur),
    hourly: toMicroEuro(offer.hourly, usdPerEur),
    spent: 0,
  };
  const machine = {
    owner,
    key,
    name: machineName({ installId, machineId: key, deadline }),
    token: await tokenOf(`${installId}/${key}/${epoch}`),
    epoch,
    offer,
    capability,
    diskMb,
    deadline,
    bootBy: turn.now + bootAllowanceMs,
    by,
    createdAt: turn.now,
    reserved,
    counted,
    life: stored(intended(turn.now)),
    reapAt: turn.now + overdueMs,
  };
  const machineId = await turn.db.insert("machines", machine);
  await recount(turn, { ...machine, counted: nothingCounted }, counted);
  await turn.db.insert("machineBeats", { machineId, seq: 0 });
  turn.tally.add("machines", "open", 1);
  await work(turn, { ...machine, _id: machineId });
  return { type: "intended", machineId };
}

/** What happened to a machine, and all that follows. The row as it is then. */
export async function move(turn: Turn, machine: Machine, event: MachineEvent, shown?: Observed): Promise<Machine> {
  const before = machine.life;
  const { life, twins } = step(before, termsOf(machine), event, turn.now);
  for (const twin of twins) await takeIn(turn, twin, "twin", machine);
  const observed = shown ?? machine.observed;
  const { isTooDear, ...money } = await moneyOf(turn, { ...machine, ...(observed && { observed }) }, life);
  const reapAt = reapAtOf(life, turn.now);
  turn.tally.add("machines", "open", Number(life.state !== "gone") - Number(before.state !== "gone"));
  const changes = { life: stored(life), ...money, ...(observed && { observed }) };
  await turn.db.patch(machine._id, { ...changes, reapAt });
  const { reapAt: _reapAt, ...kept } = machine;
  const next: Machine = { ...kept, ...changes, ...(reapAt !== undefined && { reapAt }) };
  if (life.dueAt !== before.dueAt || life.verb !== before.verb || life.step !== before.step) await work(turn, next);
  if (life.state !== before.state) await follow(turn, next, before);
  const isFirstClean = life.cleanLooks === 1 && before.cleanLooks === 0;
  const isPaidOff = life.state === "gone" && before.state !== "gone";
  if (life.bootedAt !== undefined && (isFirstClean || isPaidOff)) await offerRoom(turn, next);
  return isTooDear ? move(turn, next, { type: "end", why: "budget" }) : next;
}

const termsOf = ({ createdAt, deadline, bootBy, capability: { createIs, listLagMs } }: Machine): Parameters<typeof step>[1] => ({
  createdAt,
  deadline,
  bootBy,
  createIs,
  listLagMs,
});

function reapAtOf({ verb, dueAt }: MachineLife, now: number): number | undefined {
  if (dueAt === undefined) return undefined;
  return verb === "wait" ? dueAt : Math.max(dueAt, now) + overdueMs;
}

type MoneyOf = Pick<Machine, "reserved" | "counted"> & { readonly cost?: Money; readonly isTooDear?: boolean };

/** What it has set aside or came to, with the sums changed accordingly. */
async function moneyOf(turn: Turn, machine: Machine, life: MachineLife): Promise<MoneyOf> {
  const { offer, observed, createdAt, deadline, by } = machine;
  const { usdPerEur } = await readSettings(turn);
  const priced = { ...offer, hourly: dearer(offer.hourly, observed?.hourly) };
  if (life.state === "gone") {
    const isMade = life.ref !== undefined || observed !== undefined;
    const bornAt = Math.max(createdAt, observed?.createdAt ?? createdAt);
    const livedMs = isMade ? (life.cleanAt ?? turn.now) - bornAt : 0;
    const cost = costOf(priced, livedMs);
    const counted = { reserved: 0, hourly: 0, spent: toMicroEuro(cost, usdPerEur) };
    await recount(turn, machine, counted);
    return { reserved: machine.reserved, cost, counted };
  }
  const isDearer = priced.hourly.micros > offer.hourly.micros;
  const micros = Math.max(
    machine.reserved.micros,
    quantised(priced, turn.now - createdAt + marginMs),
    isDearer && !isOver(life.state) ? reserveOf(priced, deadline - createdAt).micros : 0,
  );
  const reserved = { micros, currency: offer.hourly.currency };
  const counted = {
    reserved: toMicroEuro(reserved, usdPerEur),
    hourly: toMicroEuro(priced.hourly, usdPerEur),
    spent: 0,
  };
  let isTooDear = false;
  if (isDearer && !isOver(life.state) && counted.reserved > machine.counted.reserved) {
    const more: Money = { micros: micros - machine.reserved.micros, currency: reserved.currency };
    const free = { ...offer, hourly: { ...offer.hourly, micros: 0 } };
    const { owner } = machine;
    const job = owner.type === "gpuJob" ? await turn.db.get(owner.gpuJobId) : null;
    isTooDear = (await refusalOf(turn, { offer: free, by, reserve: more, job: job ?? undefined })) !== undefined;
  }
  await recount(turn, machine, counted);
  return { reserved, counted, isTooDear };
}

function dearer(offered: Money, shown: Money | undefined): Money {
  return shown?.currency === offered.currency && shown.micros > offered.micros ? shown : offered;
}

/** Sees to it that what is due is done, when it is due. */
async function work(turn: Turn, machine: Pick<Machine, "_id" | "key" | "name" | "offer" | "life">): Promise<void> {
  const { _id: machineId, key, name, life } = machine;
  const { verb, dueAt, step: at, asks, endAsks, failures } = life;
  if (verb === "wait" || dueAt === undefined) return;
  if (verb === "look") return planLook(turn, machine.offer.provider, dueAt);
  const uniqueKey = `${key}/${at}/${asks}/${endAsks}/${failures}`;
  await enqueue(turn, { kind: `machines.${verb}`, args: { machineId }, label: name, runAt: dueAt, uniqueKey });
}

/** One look serves for all of a provider's machines that are due within some seconds. */
export async function planLook(turn: Turn, provider: Machine["offer"]["provider"], at: number): Promise<void> {
  const runAt = Math.ceil(Math.max(at, turn.now) / lookEveryMs) * lookEveryMs;
  await enqueue(turn, { kind: "machines.look", args: { provider }, label: provider, runAt, uniqueKey: `${provider}/${runAt}` });
}

/** What its change of state means to others. */
async function follow(turn: Turn, machine: Machine, before: MachineLife): Promise<void> {
  const { _id, life, offer, owner, name } = machine;
  if (life.state === "leakSuspect")
    await record(turn, {
      type: "machineLeaks",
      name,
      text: `${name} at ${offer.provider} should be gone and may still cost money; Nika goes on trying. See \`nika gpu list\`.`,
    });
  if (life.state === "booting") await learnOf(turn, machine, { type: "had" });
  if (!isOver(life.state) || isOver(before.state)) return;
  const beat = await findBeat(turn, _id);
  if (beat) await turn.db.patch(beat._id, { at: undefined });
  const { why = "failed", failure } = life;
  if (why === "createFailed" && failure) {
    await block(turn, machine, failure);
    if (failure.kind === "noCapacity") await learnOf(turn, machine, { type: "refused" });
  }
  if (why === "unfit") {
    // The vendor is likely to hand out the same one again at once.
    if (failure) await block(turn, machine, { ...failure, retryAfterMs: blockMaxMs });
    await learnOf(turn, machine, { type: "refused" });
  }
  if (life.bootedAt !== undefined) await learnOf(turn, machine, { type: "ran", ms: turn.now - life.bootedAt });
  if (why === "preempted") await learnOf(turn, machine, { type: "lost" });
  if (owner.type === "lane") await dismiss(turn, machine);
  if (owner.type !== "gpuJob") return;
  const job = await turn.db.get(owner.gpuJobId);
  if (job?.machineId === _id) await moveJob(turn, job, { type: "machineOver", why });
}

/**
 * It was seen without one that was there, and some time later that one is paid off: there is room again, and then money. What kept others from there for
 * want of room is forgotten, and who waits longest and may go there, or anywhere once it may be paid, is placed now.
 */
async function offerRoom(turn: Turn, { offer }: Machine): Promise<void> {
  for (const name of blockNames(offer)) {
    const row = await turn.db
      .query("gpuBlocks")
      .withIndex("by_name", (q) => q.eq("name", name))
      .unique();
    if (row && isForWantOfRoom(row)) await turn.db.delete(row._id);
  }
  const waiting = await turn.db
    .query("gpuJobs")
    .withIndex("by_state", (q) => q.eq("life.state", "parked"))
    .take(roomAskedMax);
  const waitsForRoom = ({ life }: GpuJob): boolean => life.problem?.what === "noMachine";
  const next = waiting.find((job) => !waitsForRoom(job) || (job.ask.providers?.includes(offer.provider) ?? true));
  if (next) await moveJob(turn, { ...next, life: { ...next.life, dueAt: turn.now } }, { type: "time" });
}

export const findBeat = (turn: Turn, machineId: Id<"machines">): Promise<Doc<"machineBeats"> | null> =>
  turn.db
    .query("machineBeats")
    .withIndex("by_machine", (q) => q.eq("machineId", machineId))
    .unique();

async function block(turn: Turn, { offer }: Machine, failure: NonNullable<MachineLife["failure"]>): Promise<void> {
  const name = blockName(offer, failure.scope);
  const before = await turn.db
    .query("gpuBlocks")
    .withIndex("by_name", (q) => q.eq("name", name))
    .unique();
  const next = blockFor(offer, failure, before ?? undefined, turn.now);
  if (before) await turn.db.patch(before._id, next);
  else await turn.db.insert("gpuBlocks", next);
}

async function learnOf(turn: Turn, { offer }: Machine, news: News): Promise<void> {
  const place = placeOf(offer);
  const before = await turn.db
    .query("gpuEvidence")
    .withIndex("by_place", (q) => q.eq("place", place))
    .unique();
  const next = learn(place, before ?? undefined, news, turn.now);
  if (before) await turn.db.replace(before._id, next);
  else await turn.db.insert("gpuEvidence", next);
}

/** One of ours that a provider shows and that has no row: it gets one, so that it ends as all others do. */
export async function takeIn(
  turn: Turn,
  observed: Observed,
  why: "stray" | "twin",
  like: Pick<Machine, "offer" | "capability"> | { readonly capability: Capability },
): Promise<Machine | null> {
  if (await findByRef(turn, observed.ref)) return null;
  const { ref, name, hourly, createdAt = turn.now, deadline = turn.now } = observed;
  const offer = "offer" in like ? like.offer : unknownOffer(observed, turn.now);
  const machine = {
    owner: { type: "nobody" as const },
    key: observed.machineId ?? newKey(),
    name,
    token: await tokenOf(`${name}/${ref.region}/${ref.id}`),
    epoch: 0,
    offer: { ...offer, provider: ref.provider, ...(hourly && { hourly }) },
    capability: like.capability,
    diskMb: 0,
    deadline,
    bootBy: turn.now,
    by: "owner",
    createdAt: Math.min(createdAt, turn.now),
    reserved: { micros: 0, currency: (hourly ?? offer.hourly).currency },
    counted: nothingCounted,
    observed,
    life: stored(found(observed, why, turn.now)),
  };
  const machineId = await turn.db.insert("machines", machine);
  turn.tally.add("machines", "open", 1);
  const row = await turn.db.get(machineId);
  if (!row) throw new Error("A row just written is there.");
  await work(turn, row);
  return move(turn, row, { type: "time" });
}

export const findByRef = (turn: Turn, { provider, region, id }: Observed["ref"]): Promise<Machine | null> =>
  turn.db
    .query("machines")
    .withIndex("by_ref", (q) => q.eq("life.ref.provider", provider).eq("life.ref.region", region).eq("life.ref.id", id))
    .first();

/** What is not known of something that was found is not made up: it costs what its provider says, or nothing that we know. */
function unknownOffer({ ref, hourly }: Observed, now: number): Offer {
  return {
    provider: ref.provider,
    id: "unknown",
    form: "machine",
    type: "unknown",
    region: ref.region,
    isInEu: false,
    cpus: 0,
    memoryMb: 0,
    diskMb: 0,
    isSpot: false,
    hourly: hourly ?? { micros: 0, currency: "EUR" },
    quantumMs: 1_000,
    minimumMs: 0,
    stock: "unknown",
    pricedAt: now,
    priceSource: "as found",
  };
}

const whyOf = {
  succeeded: "finished",
  failed: "failed",
  cancelled: "cancelled",
  timedOut: "deadline",
  deadlineMissed: "deadline",
  budgetStopped: "budget",
} as const satisfies Partial<Record<GpuJob["life"]["state"], EndReason>>;

/** What happened to a job, and all that follows: the first of the killers is that its machine ends in the transaction that ends it. */
export async function moveJob(turn: Turn, job: GpuJob, event: GpuJobEvent): Promise<GpuJob> {
  const { runMsMax, deadlineAt } = job.ask;
  const before = job.life;
  const life = stored<GpuJob["life"]>(stepJob(before, { runMsMax, deadlineAt }, event, turn.now));
  await turn.db.patch(job._id, { life });
  const next = { ...job, life };
  if (life.state === before.state) return next;
  if (life.state === "queued") await planPlacing(turn, next);
  if (!isJobOver(life.state)) return next;
  await record(turn, { type: "gpuJobEnded", name: job.ask.label, text: ended(next) });
  const machine = job.machineId && (await turn.db.get(job.machineId));
  const why = whyOf[life.state as keyof typeof whyOf];
  if (machine && isOnMachine(before.state)) await move(turn, machine, { type: "end", why });
  return next;
}

export async function planPlacing(turn: Turn, { _id: gpuJobId, ask, life, ...job }: GpuJob): Promise<void> {
  const uniqueKey = `${gpuJobId}/${life.attempt}/${life.dueAt ?? job.createdAt}`;
  await enqueue(turn, { kind: "machines.place", args: { gpuJobId }, label: ask.label, uniqueKey });
}

function ended({ ask, life }: GpuJob): string {
  return life.state === "succeeded" ? `${ask.label} is done.` : `${ask.label}: ${life.problem?.message ?? life.state}`;
}

const keyChars = "0123456789abcdefghijklmnopqrstuvwxyz";
/** Tells machines apart, and is no secret: mutations have only this chance. */
function newKey(): string {
  return Array.from({ length: 12 }, () => keyChars[Math.floor(Math.random() * keyChars.length)]).join("");
}

const tokenSpace = "6f1c7c1e-4b55-5d0a-9b5e-8f3f2a7f6c10";
/** UUID, version 5: the same for the same name, for ever. */
async function tokenOf(name: string): Promise<string> {
  const space = tokenSpace.replaceAll("-", "").match(/../g) ?? [];
  const bytes = [...space.map((two) => Number.parseInt(two, 16)), ...new TextEncoder().encode(name)];
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-1", new Uint8Array(bytes))).slice(0, 16);
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** What a machine's provider shows of it now. What is another row's is not this one's. */
export async function see(turn: Turn, machine: Doc<"machines">, found: readonly Observed[]): Promise<void> {
  const own: Observed[] = [];
  for (const one of found) {
    const holder = await findByRef(turn, one.ref);
    if (!holder || holder._id === machine._id) own.push(one);
  }
  const { ref } = machine.life;
  const shown = ref ? own.find((one) => one.ref.id === ref.id && one.ref.region === ref.region) : own[0];
  await turn.db.patch(machine._id, { lookedAt: turn.now });
  await move(turn, { ...machine, lookedAt: turn.now }, { type: "looked", found: own }, shown);
}
