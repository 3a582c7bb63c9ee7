/** `nika gpu sim`: the rules of scaling tried on simulated days, beside others. Nothing is rented and nobody is asked. */
import { report, poolSeeds, type PoolRow, type SpotRow } from "../../ml/simulate/report.ts";
import type { Terminal } from "./terminal.ts";
import { table } from "./text.ts";

type SimOptions = { readonly seed: number; readonly json: boolean };

const policyNames: Readonly<Record<string, string>> = {
  thresholds: "thresholds: +1 beyond 80 % or a queue, gone when idle",
  cooldowns: "thresholds with cooldowns of 5 and 10 min",
  backlog10: "backlog time, 10 min",
  backlog20: "backlog time, 20 min",
  nika: "Nika",
  spotOnly: "spot only",
  greedy: "greedy with a safety net",
};

export function runGpuSim(terminal: Terminal, { seed, json }: SimOptions): void {
  if (!json) terminal.note("Simulates three days of 10,000 jobs under five policies, three times; this takes some seconds.");
  const told = report(seed);
  if (json) return terminal.json(told);
  terminal.line(
    `10,000 jobs in 72 h, 24 bursts, 15 % of requests refused, two outages; simulated, seeds ${seed} to ${seed + poolSeeds - 1}:`,
  );
  for (const line of table(poolRows(told.pool), { width: terminal.width, give: [0], right: [1, 2, 3, 4, 5, 6, 7, 8] }))
    terminal.line(line);
  terminal.line("");
  terminal.line(
    "48 h of work with a deadline on spot machines, as a share of on-demand; simulated zones with the statistics of public traces:",
  );
  for (const line of table(spotRowsOf(told.spot), { width: terminal.width, give: [1], right: [2, 3, 4] })) terminal.line(line);
}

function poolRows(rows: readonly PoolRow[]): string[][] {
  const head = ["policy", "cost", "x work", "boot", "idle", "wait p50/p95/max", "boots", "flips", "study: x work, p95"];
  const usd = (value: number): string => `$${Math.round(value)}`;
  return [
    head,
    ...rows.map((row) => [
      policyNames[row.policy] ?? row.policy,
      usd(row.costUsd),
      row.ratio.toFixed(2),
      usd(row.bootUsd),
      usd(row.idleUsd),
      `${[row.p50Min, row.p95Min, row.maxMin].map((min) => min.toFixed(1)).join(" / ")} min`,
      String(Math.round(row.boots)),
      String(Math.round(row.flips)),
      row.study ? `${row.study.ratio.toFixed(2)}, ${row.study.p95Min} min` : "",
    ]),
  ];
}

function spotRowsOf(rows: readonly SpotRow[]): string[][] {
  const names = rows[0]?.cells.map(({ policy }) => policyNames[policy] ?? policy) ?? [];
  const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.01 ? 1 : 0)} %`;
  return [
    ["deadline", "zones", ...names],
    ...rows.map(({ slack, zones, cells }) => [
      `${slack} x`,
      zones,
      ...cells.map(({ cost, late }) => `${percent(cost)}, ${percent(late)} late`),
    ]),
  ];
}
