/**
 * Every fault of rented machines (docs/machines.md) at every emulated provider, with the lease engine as it is: at the end nothing is billed,
 * nothing lived unwanted for longer than the killers take, and nothing was spent that was not set aside before. Simulated clocks, emulated vendors; nothing is rented.
 * `node scripts/drills/gpuFaults.ts [PROVIDER…] [--only NUMBER] [--short]`; `--short`: a few of them, at machines only, in under a minute.
 */
import { parseArgs } from "node:util";
import { openFleet, type World } from "../../tests/fakes/gpu/fleet.ts";
import { play, scenarios, type Finding, type Scenario } from "../../tests/fakes/gpu/scenarios.ts";
import { worlds } from "../../tests/fakes/gpu/worlds.ts";

const { values, positionals } = parseArgs({
  options: { only: { type: "string" }, short: { type: "boolean", default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !(name in worlds));
if (unknown.length > 0) {
  console.error(`There is no emulated ${unknown.join(", ")}; there are ${Object.keys(worlds).join(", ")}.`);
  process.exit(2);
}
const chosen = Object.entries(worlds).filter(([name]) =>
  positionals.length === 0 ? !values.short || !name.endsWith("Managed") : positionals.includes(name),
);
const played = scenarios.filter(
  ({ number, isShort }) => (values.only === undefined || number === Number(values.only)) && (!values.short || isShort === true),
);

/** What came of one provider. `worst` in minutes, while what lived could be ended. */
type Sum = { played: number; impossible: number; problems: number; worst: number; onBill: number; unseen: number; ms: number };
const sums = new Map<string, Sum>();
const table = new Map<string, string[]>();

for (const [vendor, open] of chosen) {
  const sum: Sum = { played: 0, impossible: 0, problems: 0, worst: 0, onBill: 0, unseen: 0, ms: 0 };
  sums.set(vendor, sum);
  const startedAt = performance.now();
  for (const scenario of played) {
    const label = `${scenario.number} ${scenario.name}`;
    const fleet = await openFleet(open);
    const [world] = fleet.worlds;
    const can = world?.lying.can ?? [];
    let cell = "–";
    if (!world || scenario.takes?.some((fault) => !can.includes(fault))) sum.impossible += 1;
    else {
      const { orphanMin, problems, overMicros, isOnBill } = await playOne(scenario, fleet, world);
      sum.played += 1;
      sum.problems += problems.length;
      sum.worst = Math.max(sum.worst, orphanMin - (scenario.blindMin ?? 0));
      const isOver = problems.length === 0 && overMicros > 0;
      if (isOver && isOnBill) sum.onBill += 1;
      else if (isOver) sum.unseen += 1;
      cell = problems.length > 0 ? "FAILED" : `${orphanMin.toFixed(1)}${isOver ? (isOnBill ? "+" : "*") : " "}`;
      for (const problem of problems) console.error(`${vendor}: ${label}: ${problem}`);
    }
    table.set(label, [...(table.get(label) ?? []), cell]);
    await fleet.close();
  }
  sum.ms = performance.now() - startedAt;
}

const wide = Math.max(...[...table.keys()].map((label) => label.length));
const row = (label: string, cells: readonly (string | number)[]): void =>
  console.log(`${label.padEnd(wide)}  ${cells.map((cell) => String(cell).padStart(13)).join(" ")}`);
const rowOf = (label: string, tell: (sum: Sum) => string | number): void => row(label, [...sums.values()].map(tell));

row("minutes that something lived unwanted", [...sums.keys()]);
for (const [label, cells] of table) row(label, cells);
console.log();
row("in all", [...sums.keys()]);
rowOf("played", (sum) => sum.played);
rowOf("– not played: this vendor cannot do so", (sum) => sum.impossible);
rowOf("problems", (sum) => sum.problems);
rowOf("minutes unwanted at most, while it could be ended", (sum) => sum.worst.toFixed(1));
rowOf("+ billed beyond what was set aside, and told by the bill", (sum) => sum.onBill);
rowOf("* the same where no program can read the bill", (sum) => sum.unseen);
rowOf("seconds that the drill took", (sum) => (sum.ms / 1_000).toFixed(0));

const total = (tell: (sum: Sum) => number): number => [...sums.values()].reduce((all, sum) => all + tell(sum), 0);
const problems = total((sum) => sum.problems);
console.log(
  `gpu faults: ${total((sum) => sum.played)} played at ${sums.size} emulated providers in ${(total((sum) => sum.ms) / 1_000).toFixed(0)} s, ${problems} problems`,
);
process.exit(problems === 0 ? 0 : 1);

async function playOne(scenario: Scenario, fleet: Awaited<ReturnType<typeof openFleet>>, world: World): Promise<Finding> {
  try {
    return await play(scenario, fleet, world);
  } catch (error) {
    const says = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    return { orphanMin: 0, boundMin: 0, overMicros: 0, problems: [says] };
  }
}
