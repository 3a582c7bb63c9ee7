/** What else the machine is doing, and how many files Nika may read beside that. */
import { readFileSync, readdirSync, statfsSync } from "node:fs";
import { cpus, freemem, totalmem } from "node:os";
import type { Pressure, ReadingRoom } from "../../convex/model/appliance.ts";

export type Load = {
  /** Share of all processors that others than Nika keep busy, 0 to 1. */
  readonly othersCpu: number;
  /** The same of anybody, Nika included. */
  readonly allCpu?: number;
  /** Share of the last ten seconds in which something waited for a processor; absent where the system does not tell. */
  readonly cpuStall?: number | undefined;
  /** Share of memory that can still be had, 0 to 1. */
  readonly freeMemory: number;
  /** Share of the last ten seconds in which something waited for memory, 0 to 1; 0 where the system does not tell. */
  readonly memoryStall: number;
  /** The same of a time in which nothing went on because all that was to be done waited for a disk. */
  readonly diskStall: number;
  /** Share of the disk with the data that is free, 0 to 1, and in bytes. */
  readonly freeDisk: number;
  readonly freeDiskBytes: number;
};

/** What is read is written again as passages, so some room must be left for what is on its way. */
const freeDiskBytesMin = 512 * 2 ** 20;

/**
 * How many files may be read at a time. Nika's own work does not count as load: it is polite to others (see appliance/processes) and
 * would else hold itself up.
 */
export function roomUnder(load: Load, slotsMax: number): ReadingRoom {
  const { othersCpu, freeMemory, memoryStall, diskStall, freeDiskBytes } = load;
  const half = Math.max(1, Math.ceil(slotsMax / 2));
  if (freeMemory < 0.06 || memoryStall > 0.2) return { slots: 1, slotsMax, because: "memory" };
  if (diskStall > 0.5 || freeDiskBytes < freeDiskBytesMin) return { slots: 1, slotsMax, because: "disk" };
  if (othersCpu > 0.85) return { slots: 1, slotsMax, because: "cpu" };
  if (freeMemory < 0.12 || memoryStall > 0.08) return { slots: half, slotsMax, because: "memory" };
  if (diskStall > 0.25) return { slots: half, slotsMax, because: "disk" };
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
  /** Where the data is: the disk that must not fill up. */
  readonly dataDir?: string;
  /** Called when it changes, once at the beginning, and when the pressure is another one than people were told. */
  readonly report: (room: ReadingRoom) => void;
  readonly everyMs?: number;
  readonly read?: () => Promise<Load> | Load;
};

/** A load must have passed for this many looks before more is begun: it often comes back. */
const calmLooks = 3;
/** People look at this; each telling is a commit. */
const toldEveryMs = 10_000;
const toldStep = 0.1;

export function openRoom({ slotsMax, report, everyMs = 2_000, dataDir = "/", read = loadReader(dataDir) }: RoomOptions): Room {
  const listeners = new Set<() => void>();
  let room: ReadingRoom = { slots: slotsMax, slotsMax };
  let calm = 0;
  let told: Pressure | undefined;
  let toldAt = performance.now();
  const tell = (pressure: Pressure): void => {
    [told, toldAt] = [pressure, performance.now()];
    report({ ...room, pressure });
  };
  const look = async (): Promise<void> => {
    const load = await read();
    const next = roomUnder(load, slotsMax);
    const pressure = pressureOf(load);
    const set = (now: ReadingRoom): void => {
      room = now;
      tell(pressure);
      for (const listener of listeners) listener();
    };
    if (performance.now() - toldAt >= toldEveryMs && (!told || isOther(pressure, told))) tell(pressure);
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

function pressureOf({ othersCpu, allCpu, cpuStall, memoryStall, freeMemory, diskStall, freeDisk }: Load): Pressure {
  const share = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * 100) / 100;
  return {
    cpu: share(othersCpu),
    memory: share(1 - freeMemory),
    disk: share(diskStall),
    diskUsed: share(1 - freeDisk),
    ...(allCpu !== undefined && { allCpu: share(allCpu) }),
    // Where processors' stalls are told, those of memory are too.
    ...(cpuStall !== undefined && { cpuStall: share(cpuStall), memoryStall: share(memoryStall) }),
  };
}

const isOther = (one: Pressure, other: Pressure): boolean =>
  (["cpu", "memory", "disk", "diskUsed", "allCpu", "cpuStall", "memoryStall"] as const).some(
    (what) => Math.abs((one[what] ?? 0) - (other[what] ?? 0)) >= toldStep,
  );

/** Reads the load since it was last read. */
export function loadReader(dataDir: string): () => Promise<Load> | Load {
  try {
    let before = ticks();
    return () => {
      const now = ticks();
      const all = Math.max(1, now.all - before.all);
      const beforeBusy = before.busy;
      const others = now.busy - before.busy - (now.own - before.own);
      before = now;
      return {
        othersCpu: Math.min(1, Math.max(0, others / all)),
        allCpu: (now.busy - beforeBusy) / all,
        cpuStall: findStall("cpu", "some"),
        freeMemory: freeMemory(),
        memoryStall: stallOf("memory", "some"),
        diskStall: stallOf("io", "full"),
        ...freeDiskOf(dataDir),
      };
    };
  } catch {
    return otherSystems(dataDir);
  }
}

type DisksWait = { readonly tWaitPercent: number | null };

/** Where there is no /proc. */
function otherSystems(dataDir: string): () => Promise<Load> {
  let before = { cpu: process.cpuUsage(), at: performance.now() };
  return async () => {
    const { currentLoad, disksIO } = await import("systeminformation");
    // Null on systems that do not count what waits for their disks.
    const [{ currentLoad: percent }, disks] = await Promise.all([currentLoad(), disksIO() as Promise<DisksWait | null>]);
    const now = { cpu: process.cpuUsage(), at: performance.now() };
    const ownMs = (now.cpu.user + now.cpu.system - before.cpu.user - before.cpu.system) / 1_000;
    const own = ownMs / Math.max(1, (now.at - before.at) * cpus().length);
    before = now;
    return {
      othersCpu: Math.max(0, percent / 100 - own),
      allCpu: percent / 100,
      freeMemory: freemem() / totalmem(),
      memoryStall: 0,
      diskStall: Math.min(1, (disks?.tWaitPercent ?? 0) / 100),
      ...freeDiskOf(dataDir),
    };
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

/** Pressure stall information, where the kernel keeps it: the share of ten seconds in which some, or all, waited. */
function findStall(what: "cpu" | "memory" | "io", who: "some" | "full"): number | undefined {
  try {
    const text = readFileSync(`/proc/pressure/${what}`, "latin1");
    return Number(new RegExp(`^${who} avg10=([\\d.]+)`, "mu").exec(text)?.[1] ?? 0) / 100;
  } catch {
    return undefined;
  }
}

const stallOf = (what: "memory" | "io", who: "some" | "full"): number => findStall(what, who) ?? 0;

function freeDiskOf(dir: string): { freeDisk: number; freeDiskBytes: number } {
  try {
    const { bavail, blocks, bsize } = statfsSync(dir);
    return { freeDisk: blocks > 0 ? bavail / blocks : 1, freeDiskBytes: bavail * bsize };
  } catch {
    return { freeDisk: 1, freeDiskBytes: Number.MAX_SAFE_INTEGER };
  }
}
