/**
 * Every fault of rented machines (docs/machines.md) at every emulated provider, with the lease engine as it is: at the end nothing is billed,
 * nothing lived unwanted for longer than the killers take, and nothing was spent that was not set aside before. Simulated clocks, emulated vendors; nothing is rented.
 * `node scripts/drills/gpuFaults.ts [PROVIDER…] [--only NUMBER]`
 */
import { parseArgs } from "node:util";
import { openFleet, type World } from "../../tests/fakes/gpu/fleet.ts";
import { play, scenarios, type Finding } from "../../tests/fakes/gpu/scenarios.ts";
import { worlds } from "../../tests/fakes/gpu/worlds.ts";

const { values, positionals } = parseArgs({ options: { only: { type: "string" } }, allowPositionals: true });
const chosen = Object.entries(worlds).filter(([name]) => positionals.length === 0 || positionals.includes(name));
const played = scenarios.filter(({ number }) => values.only === undefined || number === Number(values.only));
const problems: string[] = [];
const table = new Map<string, Map<string, string>>();
let [count, skipped, worst] = [0, 0, 0];
const startedAt = performance.now();

for (const [vendor, open] of chosen)
  for (const scenario of played) {
    const label = `${scenario.number} ${scenario.name}`;
    const cells = table.get(label) ?? new Map<string, string>();
    table.set(label, cells);
    const fleet = await openFleet(open);
    const [world] = fleet.worlds;
    const can = world?.lying.can ?? [];
    if (!world || scenario.takes?.some((fault) => !can.includes(fault))) {
      skipped += 1;
      cells.set(vendor, "–");
    } else {
      const found = await playOne(scenario, fleet, world);
      count += 1;
      worst = Math.max(worst, found.orphanMin - (scenario.blindMin ?? 0));
      cells.set(vendor, found.problems.length === 0 ? found.orphanMin.toFixed(1) : "FAILED");
      for (const problem of found.problems) {
        problems.push(`${vendor}: ${label}: ${problem}`);
        console.error(`${vendor}: ${label}: ${problem}`);
      }
    }
    await fleet.close();
  }

const names = chosen.map(([name]) => name);
const wide = Math.max(...[...table.keys()].map((label) => label.length));
console.log(`${"minutes that something lived unwanted".padEnd(wide)}  ${names.map((name) => name.padStart(9)).join(" ")}`);
for (const [label, cells] of table)
  console.log(`${label.padEnd(wide)}  ${names.map((name) => (cells.get(name) ?? "").padStart(9)).join(" ")}`);
console.log(
  `gpu faults: ${count} played at ${names.length} emulated providers in ${((performance.now() - startedAt) / 1_000).toFixed(0)} s ` +
    `(– ${skipped}: this vendor cannot do so), ${worst.toFixed(1)} min unwanted at most while it could be ended, ${problems.length} problems`,
);
process.exit(problems.length === 0 ? 0 : 1);

async function playOne(
  scenario: (typeof scenarios)[number],
  fleet: Awaited<ReturnType<typeof openFleet>>,
  world: World,
): Promise<Finding> {
  try {
    return await play(scenario, fleet, world);
  } catch (error) {
    const says = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    return { orphanMin: 0, boundMin: 0, billed: 0, problems: [says] };
  }
}
