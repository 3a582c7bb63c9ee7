/** What scaling costs and how long work waits, in the simulated days of the study; and work with a deadline on spot machines. */
import { poolRow, spotRows } from "../../../ml/simulate/report.ts";
import { ours } from "../../../ml/simulate/poolPolicies.ts";
import { studied } from "../../../ml/simulate/poolWorlds.ts";

const rounded = (value: number, digits = 2): number => Number(value.toFixed(digits));

type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly peer: number;
  readonly goal?: [string, boolean];
};

function tell({ name, value, unit, peer, goal }: Figure): void {
  const [words = null, met = null] = goal ?? [];
  const ratio = peer === 0 ? null : rounded(value / peer);
  console.log(JSON.stringify({ name, value: rounded(value), unit, peer, ratio, goal: words, met }));
}

const row = poolRow(ours(), 1);
tell({ name: "pool cost, 10,000 jobs", value: row.ratio, unit: "x pure work", peer: 1.42, goal: ["<= 1.35", row.ratio <= 1.35] });
tell({ name: "pool wait p95", value: row.p95Min, unit: "min", peer: 6.6, goal: ["<= 6", row.p95Min <= 6] });
const unseen = poolRow(ours(), 101);
tell({
  name: "pool cost, seeds not tuned on",
  value: unseen.ratio,
  unit: "x pure work",
  peer: 1.42,
  goal: ["<= 1.35", unseen.ratio <= 1.35],
});
tell({
  name: "pool wait p95, seeds not tuned on",
  value: unseen.p95Min,
  unit: "min",
  peer: 6.6,
  goal: ["<= 6", unseen.p95Min <= 6],
});
const hourly = poolRow(ours(), 1, { ...studied, quantumMs: 3_600_000 });
tell({ name: "pool cost, billed by the hour", value: hourly.ratio, unit: "x pure work", peer: 1.42 });
for (const { slack, zones, cells } of spotRows(1)) {
  const own = cells.find(({ policy }) => policy === "nika");
  const greedy = cells.find(({ policy }) => policy === "greedy");
  if (!own || !greedy) continue;
  const isGoal = slack === 1.15 && zones.startsWith("9 ");
  const name = `spot, deadline ${slack}x, ${zones}`;
  const percent = own.cost * 100;
  const late = own.late * 100;
  tell({
    name,
    value: percent,
    unit: "% of on-demand",
    peer: rounded(greedy.cost * 100),
    ...(isGoal && { goal: ["<= 35", percent <= 35] }),
  });
  tell({
    name: `${name}, late`,
    value: late,
    unit: "%",
    peer: rounded(greedy.late * 100),
    ...(isGoal && { goal: ["0", late === 0] }),
  });
}
