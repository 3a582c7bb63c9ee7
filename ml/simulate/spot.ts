/** One long job with a deadline in a world of spot zones, step by step, with the rule of production and with others beside it. */
import { learn, oddsOf, type Evidence } from "../../convex/model/posterior.ts";
import { nextPlace, type SpotMove, type SpotView } from "../../convex/model/spot.ts";
import { openRandom } from "./random.ts";
import { stepMs, type SpotWorld } from "./spotWorlds.ts";

export type SpotTask = {
  readonly workMs: number;
  /** The deadline is this many times the work after the start. */
  readonly slack: number;
  readonly zones: readonly string[];
  readonly changeoverMs: number;
  readonly lostMs: number;
  /** Share of the price of on-demand. */
  readonly spotPrice: number;
};

export type SpotPolicy = { readonly name: string; readonly next: (view: SpotView) => SpotMove };
export type SpotResult = {
  /** Of what the work alone costs on demand; means over starts. */
  readonly cost: number;
  /** Shares. */
  readonly late: number;
  readonly preemptions: number;
};

/** Of the study. */
export const studiedTask: Omit<SpotTask, "slack" | "zones"> = {
  workMs: 48 * 3_600_000,
  changeoverMs: 12 * 60_000,
  lostMs: 5 * 60_000,
  spotPrice: 0.3,
};

/** The three of the study: nothing but spot; spot until there is just enough time; and ours. */
export const spotOnly: SpotPolicy = { name: "spotOnly", next: (view) => greedy(view) };
export const spotGreedy: SpotPolicy = {
  name: "greedy",
  next: (view) => {
    const isShort = view.timeLeftMs <= view.workLeftMs + 2 * view.changeoverMs;
    if (view.place.type === "onDemand") return { to: "stay", says: "" };
    return isShort && view.place.type !== "spot" ? { to: "onDemand", says: "" } : greedy(view);
  },
};
export const spotOurs: SpotPolicy = { name: "nika", next: nextPlace };

function greedy({ place, zones }: SpotView): SpotMove {
  if (place.type === "spot") return { to: "stay", says: "" };
  const zone = zones.find(({ isUp }) => isUp)?.zone;
  return zone === undefined ? { to: "wait", says: "" } : { to: "spot", zone, says: "" };
}

/** Whoever is not done by then is not looked at any longer, which flatters what costs least. */
const givenUp = 3;

export function simulateSpot(
  world: SpotWorld,
  task: SpotTask,
  policy: SpotPolicy,
  { starts, seed }: { starts: number; seed: number },
): SpotResult {
  const steps = world.up.get(task.zones[0] ?? "")?.length ?? 0;
  const random = openRandom(seed).fork("starts");
  const longest = Math.ceil((task.workMs * givenUp * Math.max(1, task.slack)) / stepMs);
  let [cost, late, preemptions] = [0, 0, 0];
  for (let one = 0; one < starts; one++) {
    const run = runOnce(world, task, policy, random.below(Math.max(1, steps - longest)));
    cost += run.cost / starts;
    late += run.isLate ? 1 / starts : 0;
    preemptions += run.preemptions / starts;
  }
  return { cost, late, preemptions };
}

type Run = { readonly cost: number; readonly isLate: boolean; readonly preemptions: number };

function runOnce(world: SpotWorld, task: SpotTask, policy: SpotPolicy, start: number): Run {
  const deadlineMs = task.workMs * task.slack;
  const state = {
    place: { type: "nowhere" } as SpotView["place"],
    workLeftMs: task.workMs,
    bootLeftMs: 0,
    paidMs: 0,
    preemptions: 0,
    movedAt: 0,
  };
  const evidence = new Map<string, Evidence>();
  const isUp = (zone: string, step: number): boolean => world.up.get(zone)?.[start + step] === 1;
  let [step, elapsedMs] = [0, 0];
  for (; state.workLeftMs > 0 && elapsedMs < deadlineMs * givenUp; step++, elapsedMs = step * stepMs) {
    if (state.place.type === "spot" && !isUp(state.place.zone, step)) {
      const { zone } = state.place;
      for (const news of [{ type: "ran", ms: elapsedMs - state.movedAt } as const, { type: "lost" } as const])
        evidence.set(zone, learn(zone, evidence.get(zone), news, elapsedMs));
      // What was lost while it booted is no work.
      if (state.bootLeftMs <= 0) state.workLeftMs = Math.min(task.workMs, state.workLeftMs + task.lostMs);
      state.place = { type: "nowhere" };
      state.preemptions++;
    }
    const zones = task.zones.map((zone) => ({
      zone,
      isUp: isUp(zone, step),
      lostHourly: oddsOf({ stock: "unknown", isSpot: true }, evidence.get(zone), elapsedMs).lostHourly,
    }));
    const { workMs, changeoverMs, lostMs } = task;
    const { place, workLeftMs } = state;
    const timeLeftMs = deadlineMs - elapsedMs;
    // A boot that has begun still takes its time, whatever is decided.
    const left = workLeftMs + Math.max(0, state.bootLeftMs);
    const move = policy.next({
      workMs,
      deadlineMs,
      workLeftMs: left,
      timeLeftMs,
      changeoverMs,
      lostMs,
      lookMs: stepMs,
      place,
      zones,
    });
    if (move.to === "spot" || move.to === "onDemand") {
      state.place = move.to === "spot" ? { type: "spot", zone: move.zone } : { type: "onDemand" };
      state.bootLeftMs = changeoverMs;
      state.movedAt = elapsedMs;
    }
    if (state.place.type === "nowhere") continue;
    const workedMs = Math.max(0, stepMs - Math.max(0, state.bootLeftMs));
    const usedMs = Math.min(stepMs, stepMs - workedMs + Math.min(workedMs, state.workLeftMs));
    state.paidMs += usedMs * (state.place.type === "spot" ? task.spotPrice : 1);
    state.bootLeftMs -= stepMs;
    if (workedMs >= state.workLeftMs) elapsedMs += usedMs;
    state.workLeftMs -= workedMs;
    if (state.workLeftMs <= 0) break;
  }
  return {
    cost: state.paidMs / task.workMs,
    isLate: state.workLeftMs > 0 || elapsedMs > deadlineMs,
    preemptions: state.preemptions,
  };
}
