/**
 * How many machines to rent for the work that waits, and which to let go. A pure rule: the same in the appliance, which hands in what it
 * sees every half minute, and in the simulator. It looks at how long work would wait, not at how much of it there is; thresholds of load
 * only open the question. Times in milliseconds; `now` is handed in.
 */
import { v, type Infer } from "convex/values";

/** What the owner allows. Nothing is rented before `isOn`. */
export const vScalingSettings = v.object({
  isOn: v.boolean(),
  /** Rented machines that are kept in any case, and the most there may be. */
  min: v.number(),
  max: v.number(),
  /** Shares of this machine's processors and memory beyond which the question is opened, and a number of jobs that wait. */
  cpuMax: v.number(),
  memoryMax: v.number(),
  queueMax: v.number(),
  /** How long 19 of 20 jobs may wait. */
  targetWaitMs: v.number(),
});
export type ScalingSettings = Infer<typeof vScalingSettings>;

/** The thresholds are those that people know; each may be changed. */
export const scalingDefaults: ScalingSettings = {
  isOn: false,
  min: 0,
  max: 4,
  cpuMax: 0.8,
  memoryMax: 0.75,
  queueMax: 20,
  targetWaitMs: 6 * 60_000,
};

/** What this machine is like, in shares from 0 to 1. A stall is the share of time in which work waited for it (PSI), where that is known. */
export const vSignals = v.object({
  cpu: v.number(),
  memory: v.number(),
  cpuStall: v.optional(v.number()),
  memoryStall: v.optional(v.number()),
});
export type Signals = Infer<typeof vSignals>;

/** Work of one sort that may be done elsewhere; nothing else may be handed in. */
export const vWorkClass = v.object({
  name: v.string(),
  waiting: v.number(),
  /** Since when the first of those has waited. */
  oldestAt: v.optional(v.number()),
  running: v.number(),
  /** Came in since the last look. */
  arrived: v.number(),
  /** One of them is expected to take this long, as `expectedMs` says. */
  meanMs: v.number(),
  /** How long 19 of 20 may wait; as the settings have it when absent. */
  targetWaitMs: v.optional(v.number()),
});
export type WorkClass = Infer<typeof vWorkClass>;

export const vPoolMachine = v.object({
  id: v.string(),
  state: v.union(v.literal("booting"), v.literal("ready"), v.literal("draining")),
  /** When it was asked for; its bill runs from then. */
  askedAt: v.number(),
  slots: v.number(),
  busy: v.number(),
  /** Since when it has done nothing, if it does nothing. */
  idleSince: v.optional(v.number()),
  quantumMs: v.number(),
  hourlyMicros: v.number(),
});
export type PoolMachine = Infer<typeof vPoolMachine>;

/** What is remembered from look to look. */
export const vScalingMemory = v.object({
  /** Work that came in, ms, by spans of `spanMs` beginning at `spanAt`; the newest last. */
  spanAt: v.number(),
  spans: v.array(v.number()),
  /** Work that comes in within a span, by hour of the day in UTC; means over days. Empty until an hour was seen. */
  hours: v.array(v.number()),
  addedAt: v.optional(v.number()),
  removedAt: v.optional(v.number()),
});
export type ScalingMemory = Infer<typeof vScalingMemory>;

export type ScaleInput = {
  readonly now: number;
  readonly settings: ScalingSettings;
  readonly signals: Signals;
  readonly work: readonly WorkClass[];
  /** Of this machine and of all that is not rented: places for such work, and how many are taken. */
  readonly home: { readonly slots: number; readonly busy: number };
  readonly pool: readonly PoolMachine[];
  /** Of a machine asked for now, as far as known: from asking to first work, what is paid once begun, places. */
  readonly next: { readonly bootMs: number; readonly quantumMs: number; readonly slots: number };
  readonly memory: ScalingMemory;
};

export type Opening = "cpu" | "memory" | "queue" | "wait";

export type Decision = {
  /** Machines to ask for, and those to let go. */
  readonly add: number;
  readonly remove: readonly string[];
  /** Rented machines that the work is taken to need, with those that are there. */
  readonly need: number;
  readonly openedBy: readonly Opening[];
  /** How long what waits would take with what is there, ms. */
  readonly backlogMs: number;
  /** One sentence for the owner. */
  readonly says: string;
  readonly memory: ScalingMemory;
};

export const spanMs = 2 * 60_000;
const spansKept = 20;
/** Bursts do not foretell bursts: the fullest spans do not count for what is to be expected. */
const spansIgnored = 2;
const dayWeight = 0.3;
/** Work of the same hour on earlier days may raise what is expected by no more than this. */
const forecastMax = 1.5;
/** What is missing or too much by less than this is let be. */
const band = 0.1;
/** Of what waits, so much is to begin in time. */
const share = 0.95;
/** A machine that is taken to be of no more use is idle for at least this long, so that a hiccup of the queue ends nothing. */
const graceMs = 15_000;
/** A boot beyond this many times the usual is not waited for. */
const overdueBoots = 3;
/** A quantum this long is not thrown away: its machine stays until shortly before the next would begin. */
const longQuantumMs = 10 * 60_000;
const quantumMarginMs = 3 * 60_000;
/** Machines that are paid by such quanta are worth waiting for so large a part of one. */
const quantumPatience = 0.25;
/** Machines that are asked for at one look, at most. */
const addMax = 200;
/** Load without a stall is work well done. */
const stallMin = 0.1;

export const emptyMemory = (now: number): ScalingMemory => ({ spanAt: now, spans: [0], hours: [] });

/** Mean of what jobs of a sort took, the last ones counting most; for a sort with few of them, nine in ten take no longer. */
export function expectedMs(durations: readonly number[], usualMs: number): number {
  if (durations.length >= 10) return durations.reduce((mean, one, at) => (at === 0 ? one : mean + 0.05 * (one - mean)), 0);
  return durations.toSorted((a, b) => a - b)[Math.ceil(durations.length * 0.9) - 1] ?? usualMs;
}

/** One look. Whatever it decides, its input and its sentence are to be kept, so that it can be asked again. */
export function decide(input: ScaleInput): Decision {
  const { settings, pool, now } = input;
  const memory = remember(input);
  const openedBy = openings(input);
  const alive = pool.filter((machine) => counts(machine, input));
  const backlogMs = backlog(input, alive);
  const said = { openedBy, backlogMs };
  if (!settings.isOn) {
    // Whoever turned it off wants none, and nothing is gained from time that is paid.
    const remove = pool.filter((machine) => machine.state === "booting" || isIdle(machine)).map(({ id }) => id);
    return { add: 0, remove, need: 0, ...said, memory, says: "Scaling is off: no machine is rented." };
  }
  const missing = shortfall(input, alive);
  const need = Math.min(settings.max, Math.max(settings.min, alive.length + missing));
  const isOpen = openedBy.length > 0 || alive.length < settings.min;
  if (isOpen && need > alive.length && (missing > band * alive.length || alive.length < settings.min)) {
    const add = Math.min(need - alive.length, settings.max - pool.length, addMax);
    if (add > 0) return { add, remove: [], need, ...said, memory: { ...memory, addedAt: now }, says: sayAdd(input, add, said) };
  }
  const remove = surplus(input, alive, expectedLoad(memory, now));
  if (remove.length > 0)
    return {
      add: 0,
      remove,
      need: alive.length - remove.length,
      ...said,
      memory: { ...memory, removedAt: now },
      says: sayRemove(remove.length, alive.length),
    };
  return { add: 0, remove: [], need: alive.length, ...said, memory, says: sayHold(input, alive, said, missing) };
}

/** What opens the question. A busy machine on which nothing waits is healthy. */
function openings({ signals, settings, work, now }: ScaleInput): Opening[] {
  const { cpu, memory, cpuStall = 1, memoryStall = 1 } = signals;
  const waiting = work.reduce((sum, { waiting: count }) => sum + count, 0);
  const isLate = work.some(
    ({ oldestAt, waiting: count, targetWaitMs = settings.targetWaitMs }) =>
      count > 0 && oldestAt !== undefined && now - oldestAt > targetWaitMs / 4,
  );
  return [
    ...(cpu > settings.cpuMax && cpuStall >= stallMin ? (["cpu"] as const) : []),
    ...(memory > settings.memoryMax && memoryStall >= stallMin ? (["memory"] as const) : []),
    ...(waiting > settings.queueMax ? (["queue"] as const) : []),
    ...(isLate ? (["wait"] as const) : []),
  ];
}

const isIdle = (machine: PoolMachine): boolean => machine.state === "ready" && machine.busy === 0;
const counts = ({ state, askedAt }: PoolMachine, { now, next }: ScaleInput): boolean =>
  state === "ready" || (state === "booting" && now - askedAt < overdueBoots * next.bootMs);

/** Places that will have begun a job by `withinMs` from now, when jobs take `meanMs`: one at once where a place is free, then one a job. */
function startsWithin(withinMs: number, meanMs: number, { home, now, next }: ScaleInput, alive: readonly PoolMachine[]): number {
  const of = (slots: number, busy: number, readyInMs: number): number =>
    withinMs < readyInMs ? 0 : slots - busy + (slots * (withinMs - readyInMs)) / meanMs;
  return alive.reduce(
    (sum, machine) => sum + of(machine.slots, machine.busy, bootLeft(machine, now, next.bootMs)),
    of(home.slots, home.busy, 0),
  );
}

/** The longer it takes already, the less is known of when it ends, but it does not end in no time. */
function bootLeft({ state, askedAt }: PoolMachine, now: number, bootMs: number): number {
  return state === "ready" ? 0 : Math.max(bootMs - (now - askedAt), bootMs / 4);
}

/** Machines that are missing so that what waits begins in time: by each class's own time, all that must have begun by then counts. */
function shortfall(input: ScaleInput, alive: readonly PoolMachine[]): number {
  const { now, settings, next } = input;
  const due = input.work
    .filter(({ waiting }) => waiting > 0)
    .map((one) => ({
      ...one,
      withinMs: patience(one.targetWaitMs ?? settings.targetWaitMs, next) - (now - (one.oldestAt ?? now)),
    }))
    .toSorted((a, b) => a.withinMs - b.withinMs);
  let [most, waiting, workMs] = [0, 0, 0];
  for (const one of due) {
    waiting += one.waiting;
    workMs += one.waiting * one.meanMs;
    const meanMs = Math.max(1, workMs / waiting);
    // Nothing asked for now begins before it has booted.
    const withinMs = Math.max(one.withinMs, next.bootMs);
    const open = share * waiting - startsWithin(withinMs, meanMs, input, alive);
    most = Math.max(most, open / (next.slots * (1 + (withinMs - next.bootMs) / meanMs)));
  }
  return Math.ceil(most - 1e-9);
}

/** Who pays for an hour anyway had better fill it. */
const patience = (targetWaitMs: number, { quantumMs }: ScaleInput["next"]): number =>
  quantumMs < longQuantumMs ? targetWaitMs : Math.max(targetWaitMs, Math.min(quantumMs, 3_600_000) * quantumPatience);

/** What is of no more use. While work waits nothing goes. */
function surplus(input: ScaleInput, alive: readonly PoolMachine[], loadSlots: number): string[] {
  const { work, now, settings, home, next } = input;
  if (work.some(({ waiting }) => waiting > 0)) return [];
  const free = alive.filter(({ busy }) => busy === 0);
  const slots = Math.max(1, next.slots);
  const kept = Math.max(settings.min, Math.ceil((loadSlots * (1 + band) - home.slots) / slots));
  const idleMs = ({ idleSince }: PoolMachine): number => (idleSince === undefined ? 0 : now - idleSince);
  const order = free.toSorted((a, b) => b.hourlyMicros - a.hourlyMicros || idleMs(b) - idleMs(a) || (a.id < b.id ? -1 : 1));
  const gone: PoolMachine[] = [];
  for (const machine of order) {
    const left = alive.length - gone.length;
    if (left <= settings.min) break;
    // Beyond what is expected to come it only costs. Within that, who has idled for the price of a boot has lost the bet to be needed
    // again: never more than twice the cost of having known.
    const isBeyond = left > kept;
    const restMs = isBeyond ? graceMs : next.bootMs;
    if (machine.state === "booting" ? isBeyond : idleMs(machine) >= restMs) gone.push(machine);
  }
  return leaving(input, gone, now);
}

/** Of these, all whose paid time is short or nearly over. */
function leaving(_input: ScaleInput, machines: readonly PoolMachine[], now: number): string[] {
  return machines
    .filter(({ quantumMs, askedAt }) => {
      if (quantumMs < longQuantumMs) return true;
      const leftMs = quantumMs - ((now - askedAt) % quantumMs);
      return leftMs <= Math.min(quantumMarginMs, quantumMs / 4);
    })
    .map(({ id }) => id);
}

function backlog({ work, home }: ScaleInput, alive: readonly PoolMachine[]): number {
  const workMs = work.reduce((sum, { waiting, meanMs }) => sum + waiting * meanMs, 0);
  const slots = home.slots + alive.reduce((sum, machine) => sum + machine.slots, 0);
  return workMs === 0 ? 0 : slots === 0 ? Number.MAX_SAFE_INTEGER : workMs / slots;
}

/** Adds what came in since the last look, and begins new spans as time goes. */
function remember({ memory, work, now }: ScaleInput): ScalingMemory {
  const arrivedMs = work.reduce((sum, { arrived, meanMs }) => sum + arrived * meanMs, 0);
  const over = Math.max(0, Math.floor((now - memory.spanAt) / spanMs));
  const begun: number[] = Array.from({ length: Math.min(over, spansKept) }, () => 0);
  const spans = [...memory.spans, ...begun].slice(-spansKept);
  const spanAt = memory.spanAt + over * spanMs;
  const hours = over > 0 ? learnHour(memory) : memory.hours;
  return { ...memory, spanAt, hours, spans: [...spans.slice(0, -1), (spans.at(-1) ?? 0) + arrivedMs] };
}

/** Takes the recent rate into that of the hour, slowly: a day's weight in all spans of an hour together. */
function learnHour(memory: ScalingMemory): number[] {
  const hour = hourOf(memory.spanAt);
  const hours = Array.from({ length: 24 }, (_, at) => memory.hours[at] ?? -1);
  const before = hours[hour] ?? -1;
  const rate = usualSpan(memory.spans);
  hours[hour] = before < 0 ? rate : before + (dayWeight / (3_600_000 / spanMs)) * (rate - before);
  return hours;
}

const hourOf = (at: number): number => Math.floor(at / 3_600_000) % 24;

/** Mean work of a span, without the fullest. */
function usualSpan(spans: readonly number[]): number {
  const calm = spans.toSorted((a, b) => a - b).slice(0, Math.max(1, spans.length - spansIgnored));
  return calm.reduce((sum, one) => sum + one, 0) / calm.length;
}

/** Places that are expected to be busy. */
function expectedLoad(memory: ScalingMemory, now: number): number {
  const recent = usualSpan(memory.spans) / spanMs;
  const before = memory.hours[hourOf(now)] ?? -1;
  return before < 0 ? recent : Math.max(recent, Math.min(before / spanMs, recent * forecastMax));
}

type Said = Pick<Decision, "openedBy" | "backlogMs">;

const openingWords: Readonly<Record<Opening, string>> = {
  cpu: "its processors are busy and work waits for them",
  memory: "its memory is short and work waits for it",
  queue: "many jobs wait",
  wait: "jobs have waited long",
};

function sayAdd({ settings, next }: ScaleInput, add: number, { openedBy, backlogMs }: Said): string {
  const why = openedBy.map((one) => openingWords[one]).join(", ") || `at least ${settings.min} are to be kept`;
  return `Asks for ${machines(add)}: ${why}; what waits would take ${span(backlogMs)}, a machine takes ${span(next.bootMs)} to start, and jobs are to begin within ${span(settings.targetWaitMs)}.`;
}

const sayRemove = (count: number, all: number): string =>
  `Lets ${machines(count)} of ${all} go: nothing waits, and what usually comes in needs no more.`;

function sayHold(
  { settings, pool }: ScaleInput,
  alive: readonly PoolMachine[],
  { openedBy, backlogMs }: Said,
  missing: number,
): string {
  if (missing > 0 && pool.length >= settings.max)
    return `Stays at ${machines(alive.length)}, the most that may be rented; ${machines(missing)} more would help.`;
  if (missing > 0 && openedBy.length === 0)
    return `Stays at ${machines(alive.length)}: work waits, but not long enough to rent for it.`;
  if (openedBy.length > 0 && backlogMs > settings.targetWaitMs)
    return `Stays at ${machines(alive.length)}: what is there has done most of it (${span(backlogMs)} of work a place) before another could start.`;
  if (openedBy.length > 0)
    return `Stays at ${machines(alive.length)}: what waits begins in time (${span(backlogMs)} of work a place).`;
  return `Stays at ${machines(alive.length)}.`;
}

const machines = (count: number): string => (count === 1 ? "1 machine" : `${count} machines`);

function span(ms: number): string {
  if (ms >= Number.MAX_SAFE_INTEGER) return "forever";
  return ms < 90_000 ? `${Math.round(ms / 1000)} s` : `${(ms / 60_000).toFixed(1)} min`;
}
