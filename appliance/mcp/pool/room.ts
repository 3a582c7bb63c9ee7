/** Memory and sleep: servers that nobody uses are paused, then stopped, and make room for those that are needed. */
import { NikaError } from "../../../convex/model/error.ts";
import type { Registry } from "./registry.ts";
import { isLocal, type Slot } from "./slot.ts";

export type Room = {
  /** Those that sleep longest go first; whoever works is left alone. Fails with `full`. */
  make(slot: Slot): Promise<void>;
  /** Looks for those that were idle for long enough. */
  rest(slot: Slot): void;
};
export type RoomOptions = {
  readonly registry: Pick<Registry, "slots" | "changed">;
  readonly drop: (slot: Slot, key: string) => Promise<void>;
  readonly now: () => number;
  readonly memoryBytesMax: number;
  readonly pauseMs: number;
  readonly stopMs: number;
};

/** Counts by what sandboxes allow, not by what they take. */
export function openRoom({ registry, drop, now, memoryBytesMax, pauseMs, stopMs }: RoomOptions): Room {
  return {
    async make(slot) {
      if (!isLocal(slot)) return;
      for (;;) {
        const local = [...registry.slots.values()].filter(isLocal);
        const taken = local.reduce((sum, { held, config }) => sum + held.size * config.sandbox.memoryBytes, 0);
        if (taken <= memoryBytesMax) return;
        const idle = local
          .flatMap((one) => [...one.held].map(([key, held]) => ({ one, key, held })))
          .filter(({ held }) => held.inFlight === 0)
          .toSorted((left, right) => left.held.lastAt - right.held.lastAt)[0];
        if (!idle)
          throw new NikaError(
            "full",
            `"${slot.config.name}" would take more memory than MCP servers may; stop something or try again later.`,
          );
        await drop(idle.one, idle.key);
      }
    },
    rest(slot) {
      for (const [key, held] of slot.held) {
        if (held.inFlight > 0 || !held.peer) continue;
        const idleMs = now() - held.lastAt;
        if (idleMs >= stopMs) void drop(slot, key);
        else if (idleMs >= pauseMs && !held.isPaused && held.peer.pause) {
          held.isPaused = true;
          held.peer.pause().catch(() => drop(slot, key));
          registry.changed();
        }
      }
    },
  };
}
