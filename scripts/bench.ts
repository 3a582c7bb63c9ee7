/**
 * `npm run bench -- AREA [--json]`: runs every script in scripts/bench/AREA and prints a line a figure:
 * `{name, value, unit, peer, ratio, goal, met}`. Without an area, lists them. Figures are measured, never asserted in a test.
 */
import { spawn } from "node:child_process";
import { existsSync, globSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";

type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly peer?: number | null;
  readonly ratio?: number | null;
  readonly goal?: string | null;
  readonly met?: boolean | null;
};

const areas = readdirSync("scripts/bench", { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const [area, ...rest] = process.argv.slice(2).filter((word) => word !== "--json");
const isJson = process.argv.includes("--json");

if (!area || !existsSync(`scripts/bench/${area}`)) {
  console.error(`Usage: npm run bench -- AREA [--json]\nAreas: ${areas.join(", ")}`);
  process.exit(64);
}
// A file that starts with an underscore is a part of another, not a script of its own.
for (const script of globSync(`scripts/bench/${area}/*.ts`).toSorted()) if (!/\/_/.test(script)) await run(script);

async function run(script: string): Promise<void> {
  const child = spawn(process.execPath, ["--expose-gc", script, ...rest], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("{")) console.error(line);
    else console.log(isJson ? line : sentence(JSON.parse(line) as Figure));
  }
  if (child.exitCode === null) await new Promise((done) => child.once("close", done));
  if (child.exitCode !== 0) process.exitCode = 1;
}

function sentence(figure: Figure): string {
  const peer = figure.peer === undefined || figure.peer === null ? "" : `, peer ${figure.peer} ${figure.unit}`;
  const ratio = figure.ratio === undefined || figure.ratio === null ? "" : ` (${figure.ratio}x)`;
  const goal = figure.goal ? `, goal ${figure.goal}: ${figure.met ? "met" : "NOT met"}` : "";
  return `${figure.name}: ${figure.value} ${figure.unit}${peer}${ratio}${goal}`;
}
