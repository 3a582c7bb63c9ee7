/** The tables of the study beside ours, from one seed: the same seed gives the same report, to the last bit. */
import { backlogTime, cooldowns, ours, thresholds } from "./poolPolicies.ts";
import { simulatePool, type PoolPolicy, type PoolResult } from "./pool.ts";
import { poolWorld, studied } from "./poolWorlds.ts";
import { simulateSpot, spotGreedy, spotOnly, spotOurs, studiedTask, type SpotPolicy } from "./spot.ts";
import { spotWorld, tracedZones } from "./spotWorlds.ts";

export type PoolRow = {
  readonly policy: string;
  readonly costUsd: number;
  readonly ratio: number;
  readonly bootUsd: number;
  readonly idleUsd: number;
  readonly p50Min: number;
  readonly p95Min: number;
  readonly maxMin: number;
  readonly boots: number;
  readonly flips: number;
  /** Machines left at the end. */
  readonly left: number;
  /** What the study measured for it, in a world of its own: cost against pure work, and the wait of 19 of 20. */
  readonly study?: { readonly ratio: number; readonly p95Min: number };
};
export type SpotCell = { readonly policy: string; readonly cost: number; readonly late: number; readonly preemptions: number };
export type SpotRow = { readonly slack: number; readonly zones: string; readonly cells: readonly SpotCell[] };
export type Report = { readonly seed: number; readonly pool: readonly PoolRow[]; readonly spot: readonly SpotRow[] };

/** Seeds of the pool in a row, from the one given. */
export const poolSeeds = 3;
const studyRows: Readonly<Record<string, { readonly ratio: number; readonly p95Min: number }>> = {
  thresholds: { ratio: 1.98, p95Min: 11.2 },
  cooldowns: { ratio: 2.04, p95Min: 44.8 },
  backlog10: { ratio: 1.42, p95Min: 6.6 },
  backlog20: { ratio: 1.38, p95Min: 8.6 },
};
const poolPolicies: readonly PoolPolicy[] = [thresholds, cooldowns, backlogTime(10), backlogTime(20), ours()];

/** Means over `poolSeeds` worlds. */
export function poolRow(policy: PoolPolicy, seed: number, shape = studied): PoolRow {
  const results = Array.from({ length: poolSeeds }, (_, at) => simulatePool(poolWorld({ ...shape, seed: seed + at }), policy));
  const mean = (of: (result: PoolResult) => number): number => results.reduce((sum, one) => sum + of(one), 0) / results.length;
  const study = studyRows[policy.name];
  return {
    policy: policy.name,
    costUsd: mean(({ costMicros }) => costMicros) / 1e6,
    ratio: mean(({ costMicros, pureMicros }) => costMicros / pureMicros),
    bootUsd: mean(({ bootMicros }) => bootMicros) / 1e6,
    idleUsd: mean(({ idleMicros }) => idleMicros) / 1e6,
    p50Min: mean(({ p50Ms }) => p50Ms) / 60_000,
    p95Min: mean(({ p95Ms }) => p95Ms) / 60_000,
    maxMin: mean(({ maxMs }) => maxMs) / 60_000,
    boots: mean(({ boots }) => boots),
    flips: mean(({ flips }) => flips),
    left: results.reduce((sum, { left }) => sum + left, 0),
    ...(study && { study }),
  };
}

const spotPolicies: readonly SpotPolicy[] = [spotOnly, spotGreedy, spotOurs];
const all = tracedZones.map(({ zone }) => zone);
const west = all.filter((zone) => zone.startsWith("us-west"));
export const spotCases = [
  { slack: 1.15, zones: ["us-east-1f"], label: "1 middling zone" },
  { slack: 1.15, zones: west, label: "3 zones, 1 region" },
  { slack: 1.15, zones: all, label: "9 zones, 3 regions" },
  { slack: 1.5, zones: ["us-east-1f"], label: "1 middling zone" },
  { slack: 1.5, zones: ["us-east-1a"], label: "the worst zone" },
  { slack: 2, zones: all, label: "9 zones, 3 regions" },
] as const;
const spotSteps = 40_000;
const spotStarts = 200;

/** 90 days of zones; 200 starts anywhere in them. */
export function spotRows(seed: number): SpotRow[] {
  const world = spotWorld(seed, spotSteps);
  return spotCases.map(({ slack, zones, label }) => ({
    slack,
    zones: label,
    cells: spotPolicies.map((policy) => ({
      policy: policy.name,
      ...simulateSpot(world, { ...studiedTask, slack, zones }, policy, { starts: spotStarts, seed }),
    })),
  }));
}

/** Takes some seconds; `onRow` hears of each policy of the pool as it is done. */
export function report(seed: number, onRow: (row: PoolRow) => void = () => undefined): Report {
  const pool = poolPolicies.map((policy) => {
    const row = poolRow(policy, seed);
    onRow(row);
    return row;
  });
  return { seed, pool, spot: spotRows(seed) };
}
