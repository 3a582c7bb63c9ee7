/**
 * Sandboxes that stay warm. One call at a time in each; after a while without one it is frozen, later ended, earlier when others need
 * its memory. A new version takes over between two calls: what runs in the old one ends there, what waits goes to the new one.
 */
import { setTimeout as delay } from "node:timers/promises";
import { NikaError } from "../../convex/model/error.ts";
import type { Sandbox } from "../../functions/ports/sandboxes.ts";
import type { UserCall, UserReply } from "../../functions/ports/userFunctions.ts";
import { openGuest, type Guest, type GuestReply } from "./guest.ts";
import type { Kept } from "./shelf.ts";

export type Opened = { readonly sandbox: Sandbox; readonly isBare: boolean };

export type PoolOptions = {
  /** Starts a sandbox for a version; fails as the port of sandboxes does. */
  readonly open: (kept: Kept, signal: AbortSignal) => Promise<Opened>;
  /** All sandboxes together may have so much; one alone may always be there. */
  readonly memoryMiBMax: number;
  /** The last sandbox of a version that does not answer any more is gone. */
  readonly onRetired: (kept: Kept) => void;
  /** It answered, and whether without a sandbox. */
  readonly onOpened: (kept: Kept, isBare: boolean) => void;
  readonly log: (line: string) => void;
};

export type Checked = { readonly ok: true } | { readonly ok: false; readonly message: string };

export type Pool = {
  /** Starts one of that version and sees whether it can be called. Fails as `open` does. */
  check(kept: Kept): Promise<Checked>;
  /** From now on calls go to this version. */
  serve(kept: Kept): void;
  /** Fails with `missing` when nothing serves that name, with what `open` fails with, and with `cancelled`. */
  call(call: UserCall): Promise<UserReply>;
  /** Nothing serves that name any more; who waits for it is told why. */
  drop(name: string, why: NikaError): void;
  /** How many there are, and how many of them are frozen. */
  counts(): { readonly open: number; readonly paused: number };
  close(): Promise<void>;
};

/** A guest that is not called may still use its share of the processor; frozen it cannot. */
const pauseMs = 10_000;
const openMs = 60_000;
const readyMs = 30_000;
/** The engine may lose one by itself; then the version is not what is wrong. */
const checksMax = 3;
/** A call that was told to stop gets this long to do so by itself. */
const stopGraceMs = 1_000;

type Slot = {
  readonly kept: Kept;
  readonly sandbox: Sandbox;
  readonly guest: Guest;
  readonly isBare: boolean;
  /** What its start took; told to the first call only. */
  coldMs: number | undefined;
  state: "busy" | "idle" | "paused";
  usedAt: number;
  timer: NodeJS.Timeout | undefined;
};
type Unstarted = { readonly message: string; readonly failed: GuestReply };
type Waiter = { readonly give: (slot: Slot) => void; readonly fail: (error: unknown) => void };
type Line = { kept: Kept | undefined; readonly slots: Set<Slot>; opening: number; readonly waiting: Waiter[] };

export function openPool({ open, memoryMiBMax, onRetired, onOpened, log }: PoolOptions): Pool {
  const lines = new Map<string, Line>();
  const closing = new AbortController();
  let usedMiB = 0;

  const lineOf = (name: string): Line => {
    const line = lines.get(name) ?? { kept: undefined, slots: new Set(), opening: 0, waiting: [] };
    lines.set(name, line);
    return line;
  };
  const isCurrent = (line: Line, kept: Kept): boolean => line.kept?.version === kept.version;

  /** An engine that hangs must not hold up whoever waits; what it opens after all is closed. */
  const opening = async (kept: Kept): Promise<Opened> => {
    const late = AbortSignal.timeout(openMs);
    const opened = open(kept, AbortSignal.any([late, closing.signal]));
    const { promise, reject } = Promise.withResolvers<never>();
    late.addEventListener("abort", () => reject(new NikaError("unavailable", "The container engine takes too long; try again.")));
    try {
      return await Promise.race([opened, promise]);
    } catch (error) {
      void opened.then(({ sandbox }) => sandbox.stop()).catch(() => undefined);
      throw error;
    }
  };

  /** Starts one and waits until it can be called. `isCheck`: it may be beyond the memory for the moment that an edit is looked at. */
  const start = async (line: Line, kept: Kept): Promise<Slot | Unstarted> => {
    const { memoryMiB } = kept.manifest;
    const begun = performance.now();
    usedMiB += memoryMiB;
    let opened: Opened;
    try {
      opened = await opening(kept);
    } catch (error) {
      usedMiB -= memoryMiB;
      throw error;
    }
    const { sandbox, isBare } = opened;
    const guest = openGuest(sandbox, memoryMiB);
    const slot: Slot = { kept, sandbox, guest, isBare, coldMs: undefined, state: "busy", usedAt: begun, timer: undefined };
    line.slots.add(slot);
    void guest.ended.then(({ reason }) => {
      if (reason === "lost") log(`functions: the sandbox of ${kept.name} went away by itself`);
      clearTimeout(slot.timer);
      usedMiB -= memoryMiB;
      line.slots.delete(slot);
      if (!isCurrent(line, kept) && ![...line.slots].some((one) => one.kept.version === kept.version)) onRetired(kept);
      pumpAll();
    });
    const limit = setTimeout(() => void stop(slot), readyMs);
    const ready = await guest.ready;
    clearTimeout(limit);
    if (!("ok" in ready)) {
      void stop(slot);
      const { message } = ready;
      return { message, failed: ready };
    }
    slot.coldMs = performance.now() - begun;
    onOpened(kept, isBare);
    return slot;
  };

  const stop = async (slot: Slot): Promise<void> => {
    clearTimeout(slot.timer);
    lines.get(slot.kept.name)?.slots.delete(slot);
    await slot.sandbox.stop().catch((error: unknown) => log(`a sandbox of ${slot.kept.name} did not stop: ${String(error)}`));
  };

  const rest = (line: Line, slot: Slot): void => {
    slot.usedAt = performance.now();
    if (slot.guest.isLost() || !isCurrent(line, slot.kept) || closing.signal.aborted) {
      void stop(slot);
      return pumpAll();
    }
    slot.state = "idle";
    pump(line);
    if ((slot.state as Slot["state"]) === "idle") wind(slot);
    pumpAll();
  };

  /** First it is frozen, then it is ended. */
  const wind = (slot: Slot): void => {
    clearTimeout(slot.timer);
    const { idleMs } = slot.kept.manifest;
    const isShort = slot.state === "paused" || idleMs <= pauseMs;
    slot.timer = setTimeout(
      () => {
        if (slot.state === "idle" && !isShort) {
          slot.state = "paused";
          slot.sandbox.pause().then(
            () => wind(slot),
            () => void stop(slot),
          );
        } else void stop(slot);
      },
      isShort ? Math.max(0, slot.usedAt + idleMs - performance.now()) : pauseMs,
    );
    slot.timer.unref();
  };

  const give = (waiter: Waiter, slot: Slot): void => {
    clearTimeout(slot.timer);
    const wasPaused = slot.state === "paused";
    slot.state = "busy";
    if (!wasPaused) return waiter.give(slot);
    slot.sandbox.resume().then(
      () => waiter.give(slot),
      (error: unknown) => {
        void stop(slot);
        waiter.fail(error);
      },
    );
  };

  const pump = (line: Line): void => {
    for (let waiter = line.waiting[0]; waiter; waiter = line.waiting[0]) {
      const { kept } = line;
      if (!kept) return;
      const mine = [...line.slots].filter((slot) => isCurrent(line, slot.kept));
      const [free] = mine
        .filter(({ state, guest }) => state !== "busy" && !guest.isLost())
        // The last used is the warmest; those before it get their rest.
        .toSorted((a, b) => b.usedAt - a.usedAt);
      if (free) {
        line.waiting.shift();
        give(waiter, free);
        continue;
      }
      const isEnough = line.opening >= line.waiting.length || mine.length + line.opening >= kept.manifest.concurrency;
      if (isEnough || !hasRoom(kept)) return;
      line.opening += 1;
      void start(line, kept)
        .then(
          (slot) => {
            line.opening -= 1;
            if ("kept" in slot) rest(line, slot);
            else line.waiting.shift()?.fail(slot.failed);
          },
          (error: unknown) => {
            line.opening -= 1;
            line.waiting.shift()?.fail(error);
          },
        )
        .then(pumpAll);
    }
  };
  const pumpAll = (): void => {
    for (const line of lines.values()) if (line.waiting.length > 0) pump(line);
  };

  /** Where there is none, the sandbox that was idle longest goes; its memory is free when it has ended. */
  const hasRoom = ({ name, version, manifest: { memoryMiB } }: Kept): boolean => {
    if (usedMiB === 0 || usedMiB + memoryMiB <= memoryMiBMax) return true;
    const [oldest] = [...lines.values()]
      .flatMap((line) => [...line.slots])
      .filter(({ state, kept }) => state !== "busy" && (kept.name !== name || kept.version !== version))
      .toSorted((a, b) => a.usedAt - b.usedAt);
    if (oldest) void stop(oldest);
    return false;
  };

  const acquire = (line: Line, signal: AbortSignal): Promise<Slot> => {
    const { promise, resolve, reject } = Promise.withResolvers<Slot>();
    const waiter: Waiter = {
      give(slot) {
        signal.removeEventListener("abort", leave);
        // It left while a frozen one woke up.
        if (signal.aborted) rest(line, slot);
        else resolve(slot);
      },
      fail(error) {
        signal.removeEventListener("abort", leave);
        reject(error);
      },
    };
    const leave = (): void => {
      const at = line.waiting.indexOf(waiter);
      if (at >= 0) line.waiting.splice(at, 1);
      reject(cancelled());
    };
    if (signal.aborted) return Promise.reject(cancelled());
    signal.addEventListener("abort", leave, { once: true });
    line.waiting.push(waiter);
    pump(line);
    return promise;
  };

  const run = async (line: Line, slot: Slot, call: UserCall): Promise<GuestReply> => {
    const { timeLimitMs } = slot.kept.manifest;
    const { promise: stopped, resolve } = Promise.withResolvers<GuestReply>();
    const late: GuestReply = {
      type: "failed",
      code: "timeout",
      message: `It took longer than the ${timeLimitMs / 1_000} s it may; see "limits" in function.json.`,
      retry: true,
    };
    const limit = setTimeout(() => {
      resolve(late);
      void stop(slot);
    }, timeLimitMs);
    const ending = new AbortController();
    const cancel = (): void => {
      slot.guest.cancel();
      void delay(stopGraceMs, undefined, { signal: ending.signal }).then(
        () => stop(slot),
        () => undefined,
      );
    };
    call.signal.addEventListener("abort", cancel, { once: true });
    const reply = await Promise.race([slot.guest.call(call), stopped]);
    clearTimeout(limit);
    ending.abort();
    call.signal.removeEventListener("abort", cancel);
    if (reply === late) pumpAll();
    else rest(line, slot);
    return reply;
  };

  return {
    async check(kept) {
      const line = lineOf(kept.name);
      let slot = await start(line, kept);
      for (let checks = 1; isLost(slot) && checks < checksMax; checks += 1) slot = await start(line, kept);
      if ("failed" in slot) {
        if (isLost(slot)) throw new NikaError("unavailable", slot.message);
        return { ok: false, message: slot.message };
      }
      slot.state = "idle";
      // Nobody who calls it has waited for that.
      slot.coldMs = undefined;
      wind(slot);
      return { ok: true };
    },
    serve(kept) {
      const line = lineOf(kept.name);
      const before = line.kept;
      line.kept = kept;
      const old = [...line.slots].filter((slot) => slot.kept.version !== kept.version);
      for (const slot of old) if (slot.state !== "busy") void stop(slot);
      if (before && before.version !== kept.version && old.length === 0) onRetired(before);
      pump(line);
    },
    async call(call) {
      const begun = performance.now();
      const line = lines.get(call.name);
      if (!line?.kept) throw new NikaError("missing", `There is no function called ${call.name}.`);
      let slot: Slot;
      try {
        slot = await acquire(line, call.signal);
      } catch (error) {
        if (isReply(error)) return error;
        throw error;
      }
      const { kept, isBare, coldMs } = slot;
      slot.coldMs = undefined;
      const reply = await run(line, slot, call);
      if (call.signal.aborted) throw cancelled();
      const tookMs = Math.round((performance.now() - begun) * 100) / 100;
      const facts = { version: kept.version, isBare, tookMs, ...(coldMs !== undefined && { coldMs: Math.round(coldMs) }) };
      return { ...reply, facts };
    },
    drop(name, why) {
      const line = lines.get(name);
      if (!line) return;
      const before = line.kept;
      line.kept = undefined;
      for (const slot of line.slots) if (slot.state !== "busy") void stop(slot);
      for (const waiter of line.waiting.splice(0)) waiter.fail(why);
      if (before && line.slots.size === 0) onRetired(before);
    },
    counts() {
      const all = [...lines.values()].flatMap((line) => [...line.slots]);
      return { open: all.length, paused: all.filter(({ state }) => state === "paused").length };
    },
    async close() {
      closing.abort();
      for (const line of lines.values())
        for (const waiter of line.waiting.splice(0)) waiter.fail(new NikaError("cancelled", "Nika is stopping."));
      const all = [...lines.values()].flatMap((line) => [...line.slots]);
      await Promise.all(all.map((slot) => stop(slot)));
    },
  };
}

const isLost = (started: Slot | Unstarted): boolean =>
  "failed" in started && started.failed.type === "failed" && started.failed.code === "unavailable";

const isReply = (thrown: unknown): thrown is Extract<UserReply, { readonly type: "failed" }> =>
  typeof thrown === "object" && thrown !== null && "type" in thrown && thrown.type === "failed";

const cancelled = (): NikaError => new NikaError("cancelled", "The call was cancelled.");
