/** What else the machine is doing, and how many files Nika may read beside that. */
import { readFileSync, readdirSync } from "node:fs";
import { cpus, freemem, totalmem } from "node:os";
import type { ReadingRoom } from "../../convex/model/appliance.ts";

export type Load = {
  /** Share of all processors that others than Nika keep busy, 0 to 1. */
  readonly othersCpu: number;
  /** Share of memory that can still be had, 0 to 1. */
  readonly freeMemory: number;
  /** Share of the last ten seconds in which something waited for memory, 0 to 1; 0 where the system does not tell. */
  readonly memoryStall: number;
};

/**
 * How many files may be read at a time. Nika's own work does not count as load: it is polite to others (see appliance/processes) and
 * would else hold itself up.
 */
export function roomUnder({ othersCpu, freeMemory, memoryStall }: Load, slotsMax: number): ReadingRoom {
  const half = Math.max(1, Math.ceil(slotsMax / 2));
  if (freeMemory < 0.06 || memoryStall > 0.2) return { slots: 1, slotsMax, because: "memory" };
  if (othersCpu > 0.85) return { slots: 1, slotsMax, because: "cpu" };
  if (freeMemory < 0.12 || memoryStall > 0.08) return { slots: half, slotsMax, because: "memory" };
  if (othersCpu > 0.6) return { slots: half, slotsMax, because: "cpu" };
  return { slots: slotsMax, slotsMax };
}

export type Room = {
  /** Files that may be read at a time, right now. */
  readonly slots: () => number;
  readonly onChange: (listener: () => void) => () => void;
  readonly close: () => void;
};

export type RoomOptions = {
  readonly slotsMax: number;
  /** Called when it changes, and once at the beginning. */
  readonly report: (room: ReadingRoom) => void;
  readonly everyMs?: number;
  readonly read?: () => Promise<Load> | Load;
};

/** A load must have passed for this many looks before more is begun: it often comes back. */
const calmLooks = 3;

export function openRoom({ slotsMax, report, everyMs = 2_000, read = loadReader() }: RoomOptions): Room {
  const listeners = new Set<() => void>();
  let room: ReadingRoom = { slots: slotsMax, slotsMax };
  let calm = 0;
  const set = (next: ReadingRoom): void => {
    room = next;
    report(room);
    for (const listener of listeners) listener();
  };
  const look = async (): Promise<void> => {
    const next = roomUnder(await read(), slotsMax);
    calm = next.slots > room.slots ? calm + 1 : 0;
    if (next.slots < room.slots || calm >= calmLooks || (next.slots === room.slots && next.because !== room.because)) set(next);
  };
  report(room);
  const timer = setInterval(() => void look().catch(() => undefined), everyMs);
  timer.unref();
  return {
    slots: () => room.slots,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => clearInterval(timer),
  };
}

/** Reads the load since it was last read. */
export function loadReader(): () => Promise<Load> | Load {
  try {
    let before = ticks();
    return () => {
      const now = ticks();
      const all = Math.max(1, now.all - before.all);
      const others = now.busy - before.busy - (now.own - before.own);
      before = now;
      return { othersCpu: Math.min(1, Math.max(0, others / all)), freeMemory: freeMemory(), memoryStall: memoryStall() };
    };
  } catch {
    return otherSystems();
  }
}

/** Where there is no /proc. */
function otherSystems(): () => Promise<Load> {
  let before = { cpu: process.cpuUsage(), at: performance.now() };
  return async () => {
    const { currentLoad } = await import("systeminformation");
    const { currentLoad: percent } = await currentLoad();
    const now = { cpu: process.cpuUsage(), at: performance.now() };
    const ownMs = (now.cpu.user + now.cpu.system - before.cpu.user - before.cpu.system) / 1_000;
    const own = ownMs / Math.max(1, (now.at - before.at) * cpus().length);
    before = now;
    return { othersCpu: Math.max(0, percent / 100 - own), freeMemory: freemem() / totalmem(), memoryStall: 0 };
  };
}

/** Processor time since the machine started, in the kernel's ticks: of everybody, busy, and of Nika with its processes. */
function ticks(): { all: number; busy: number; own: number } {
  const [line = ""] = readFileSync("/proc/stat", "latin1").split("\n", 1);
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softIrq = 0] = line.split(/\s+/).slice(1).map(Number);
  const busy = user + nice + system + irq + softIrq;
  return { all: busy + idle + wait, busy, own: [process.pid, ...children()].reduce((sum, pid) => sum + ticksOf(pid), 0) };
}

/** Its own time and that of its children that have ended. */
function ticksOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const own = [11, 12].reduce((sum, at) => sum + Number(fields[at]), 0);
    return pid === process.pid ? own + Number(fields[13]) + Number(fields[14]) : own;
  } catch {
    return 0; // It ended while we looked.
  }
}

function children(): number[] {
  return readdirSync("/proc/self/task").flatMap((thread) => {
    try {
      return readFileSync(`/proc/self/task/${thread}/children`, "latin1").split(" ").filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

function freeMemory(): number {
  const text = readFileSync("/proc/meminfo", "latin1");
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "mu").exec(text)?.[1] ?? Number.NaN);
  const share = kib("MemAvailable") / kib("MemTotal");
  return Number.isFinite(share) ? share : freemem() / totalmem();
}

/** Pressure stall information, where the kernel keeps it. */
function memoryStall(): number {
  try {
    const text = readFileSync("/proc/pressure/memory", "latin1");
    return Number(/^some avg10=([\d.]+)/mu.exec(text)?.[1] ?? 0) / 100;
  } catch {
    return 0;
  }
}
