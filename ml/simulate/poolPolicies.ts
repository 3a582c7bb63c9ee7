/** Ways to size a pool, to compare with ours: the study's, written anew from its words, and ours as it is in production. */
import { decide, emptyMemory, scalingDefaults, type ScalingMemory, type ScalingSettings } from "../../convex/model/scale.ts";
import type { PoolMove, PoolPolicy, PoolView } from "./pool.ts";

const minuteMs = 60_000;

/** Busy beyond 80 % or anything that waits: one more. Nothing to do: gone. Each tick anew. */
export const thresholds: PoolPolicy = {
  name: "thresholds",
  tickMs: 6_000,
  open: () => (view) => {
    const remove = idle(view);
    return { add: isPressed(view) ? 1 : 0, remove };
  },
};

/** The same with patience: up at most once in 5 min, down at most once in 10 min. */
export const cooldowns: PoolPolicy = {
  name: "cooldowns",
  tickMs: 6_000,
  open: () => {
    let [upAt, downAt] = [-Infinity, -Infinity];
    return (view) => {
      if (isPressed(view)) {
        downAt = view.now;
        if (view.now - upAt < 5 * minuteMs) return still;
        upAt = view.now;
        return { add: 1, remove: [] };
      }
      if (view.now - downAt < 10 * minuteMs) return still;
      const [first] = idle(view);
      if (first === undefined) return still;
      downAt = view.now;
      return { add: 0, remove: [first] };
    };
  },
};

/** As many as do what waits within a target; down to the most that was needed within a boot's time, what idled for as long. */
export function backlogTime(targetMin: number): PoolPolicy {
  return {
    name: `backlog${targetMin}`,
    tickMs: 15_000,
    open: () => {
      const needs: { readonly at: number; readonly need: number }[] = [];
      return (view) => {
        const { now, waiting, running, meanMs, machines, bootMs } = view;
        const need = Math.ceil(running + (waiting * meanMs) / (targetMin * minuteMs));
        needs.push({ at: now, need });
        while (needs[0] && needs[0].at < now - bootMs) needs.shift();
        if (need > machines.length) return { add: need - machines.length, remove: [] };
        const floor = Math.max(...needs.map((one) => one.need));
        const rested = machines.filter(({ idleSince }) => idleSince !== undefined && now - idleSince >= bootMs);
        return { add: 0, remove: rested.slice(0, Math.max(0, machines.length - floor)).map(({ id }) => id) };
      };
    },
  };
}

/** What decides in production. */
export function ours(changes: Partial<ScalingSettings> = {}): PoolPolicy {
  const settings = { ...scalingDefaults, isOn: true, max: 500, ...changes };
  return {
    name: "nika",
    tickMs: 15_000,
    open: () => {
      let memory: ScalingMemory | undefined;
      return (view): PoolMove => {
        const { now, waiting, oldestAt, running, arrived, meanMs, machines: pool, bootMs, quantumMs } = view;
        const work = [{ name: "all", waiting, ...(oldestAt !== undefined && { oldestAt }), running, arrived, meanMs }];
        const decision = decide({
          now,
          settings,
          // The machine at home is left out of this world.
          signals: { cpu: 0, memory: 0 },
          work,
          home: { slots: 0, busy: 0 },
          pool,
          next: { bootMs, quantumMs, slots: 1 },
          memory: memory ?? emptyMemory(now),
        });
        memory = decision.memory;
        return decision;
      };
    },
  };
}

const still: PoolMove = { add: 0, remove: [] };
const idle = ({ machines }: PoolView): string[] =>
  machines.filter(({ idleSince }) => idleSince !== undefined).map(({ id }) => id);
/** Of the machines that are up; there is nothing else whose load could be told. */
const isPressed = ({ waiting, machines, running }: PoolView): boolean =>
  waiting > 0 || (machines.length > 0 && running / machines.length > 0.8);
