/**
 * Checkpointed steps of durable runs through the function runtime on the embedded engine, as the appliance runs them: a step counts when
 * what came of it is on disk. `--runs N --steps N --rounds N`.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import { nodeEnvironment, nodeFlags } from "../../../appliance/nodeFlags.ts";
import { atLeast, report, sizeOf } from "./parts/figure.ts";

type Measured = { readonly perSecond: number; readonly cpuUs: number };

const steps = sizeOf("steps", 100);
const rounds = sizeOf("rounds", 2);
const script = join(import.meta.dirname, "parts/stepsProcess.ts");

for (const runs of [1, sizeOf("runs", 50)]) {
  const measured: Measured[] = [];
  for (let round = 0; round < rounds; round++) measured.push(await alone(runs, runs === 1 ? steps * 10 : steps));
  const at = runs === 1 ? "of one run, one after the other" : `of ${runs} runs at a time`;
  const perSecond = Math.max(...measured.map((one) => one.perSecond));
  report({ name: `checkpointed steps ${at}`, value: perSecond, unit: "steps/s", ...(runs > 1 && { goal: atLeast(1_000) }) });
  report({ name: `processor time a step ${at}, all threads`, value: Math.min(...measured.map((one) => one.cpuUs)), unit: "us" });
}

function alone(runs: number, stepsEach: number): Promise<Measured> {
  const child = fork(script, [String(runs), String(stepsEach)], {
    execArgv: [...process.execArgv, ...nodeFlags],
    env: { ...process.env, ...nodeEnvironment },
  });
  return new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as Measured));
    child.once("exit", (code) => reject(new Error(`it ended with ${code} before it said what it measured`)));
  });
}
