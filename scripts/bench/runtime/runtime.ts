/**
 * Durable no-op jobs through the function runtime on the embedded engine, as the appliance runs them: each is added by its own call, is on
 * disk before that call is answered, runs under a lease, and its outcome is on disk before it counts. Beside it BullMQ, graphile-worker and
 * pg-boss on a Redis and a Postgres of this run. Producers and worker share one process, as everywhere in this bench.
 * Each figure is the median of the rounds, in which all sides take turns; the machine's own load is said beside it.
 * `--jobs N --rounds N --burst N --seconds N --no-peer --only throughput,drain,latency,burst`.
 */
import { fork, type ChildProcess } from "node:child_process";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { nodeEnvironment, nodeFlags } from "../../../appliance/nodeFlags.ts";
import { atLeast, atMost, report, reportBeside, sizeOf } from "./parts/figure.ts";
import type { Measured } from "./parts/measured.ts";
import { startPeers, type PeerName } from "./parts/peers.ts";

const jobs = sizeOf("jobs", 10_000);
const rounds = sizeOf("rounds", 3);
const seconds = sizeOf("seconds", 8);
const burst = sizeOf("burst", 100_000);
const ours = join(import.meta.dirname, "parts/oursProcess.ts");

const { only } = parseArgs({ options: { only: { type: "string" } }, strict: false, allowPositionals: true }).values;
const isAsked = (part: string): boolean => typeof only !== "string" || only.split(",").includes(part);
const peers = process.argv.includes("--no-peer") ? undefined : await startPeers();
try {
  for (const concurrency of [10, 100]) {
    const at = `at concurrency ${concurrency}`;
    if (!isAsked("throughput")) break;
    const fast = await sides("throughput", { concurrency, jobs }, rounds);
    for (const [name, goal] of [
      ["bullmq-always", 2],
      ["bullmq-everysec", 1],
      ["graphile-worker", 10],
      ["pg-boss", 10],
    ] as const)
      reportBeside(name, {
        name: `jobs end to end ${at}, beside ${name}`,
        value: median(fast.ours, "perSecond"),
        unit: "jobs/s",
        peer: fast[name] ? median(fast[name], "perSecond") : null,
        goal: atLeast(goal),
      });
    report({
      name: `processor time a job ${at}, all threads`,
      value: median(fast.ours, "cpuUs"),
      unit: "us",
    });
  }
  for (const concurrency of [10, 100]) {
    if (!isAsked("drain")) break;
    const at = `at concurrency ${concurrency}`;
    const drained = await sides("drain", { concurrency, jobs }, rounds);
    for (const name of ["bullmq-always", "bullmq-everysec"] as const)
      reportBeside(name, {
        name: `drain ${at}, beside ${name}`,
        value: median(drained.ours, "perSecond"),
        unit: "jobs/s",
        peer: drained[name] ? median(drained[name], "perSecond") : null,
      });
  }
  if (isAsked("latency")) await latency();
  if (isAsked("burst")) await flooded();
} finally {
  await peers?.stop();
}
process.exit();

async function latency(): Promise<void> {
  const quiet = await sides("latency", { concurrency: 10, jobs: seconds * 20 }, rounds);
  const p50 = median(quiet.ours, "p50");
  reportBeside("bullmq-everysec", {
    name: "add to start at 20 jobs/s, p50",
    value: p50,
    unit: "ms",
    peer: quiet["bullmq-everysec"] ? median(quiet["bullmq-everysec"], "p50") : null,
    goal: atMost(1),
  });
  report({ name: "add to start at 20 jobs/s, p50", value: p50, unit: "ms", goal: atMost(5) });
  reportBeside("bullmq-always", {
    name: "add to start at 20 jobs/s, p99",
    value: median(quiet.ours, "p99"),
    unit: "ms",
    peer: quiet["bullmq-always"] ? median(quiet["bullmq-always"], "p99") : null,
    goal: atMost(0.5),
  });
  const elsewhere = await alone("elsewhere", { concurrency: 10, jobs: seconds * 20 });
  report({ name: "add to start at 20 jobs/s, added by a mutation elsewhere, p50", value: elsewhere.p50 ?? 0, unit: "ms" });
}

async function flooded(): Promise<void> {
  const flood = await alone("burst", { concurrency: 10, jobs: burst });
  report({ name: `a burst of ${burst} jobs, throughput`, value: flood.perSecond ?? 0, unit: "jobs/s" });
  report({ name: `a burst of ${burst} jobs, memory at most`, value: flood.rssMb ?? 0, unit: "MB", goal: atMost(400) });
  for (const [lane, waitMs] of Object.entries(flood.waitMs ?? {}))
    report({ name: `longest wait in lane ${lane} during the burst`, value: waitMs, unit: "ms", goal: atMost(1_000) });
}

type Load = { readonly concurrency: number; readonly jobs: number };
type Sides = { readonly ours: Measured[] } & { readonly [P in PeerName]?: Measured[] };

/** Ours and each peer in turn, round by round, so that a busy moment of the machine hits all alike. */
async function sides(mode: string, load: Load, times: number): Promise<Sides> {
  const results: Record<string, Measured[]> = { ours: [] };
  for (let round = 0; round < times; round++) {
    console.error(`${mode} at ${load.concurrency}, round ${round + 1}: load ${loadavg()[0]?.toFixed(1)}`);
    results["ours"]?.push(await alone(mode, load));
    for (const name of peers?.names ?? []) (results[name] ??= []).push((await peers?.measure(name, mode, load)) ?? {});
  }
  return results as Sides;
}

async function alone(mode: string, { concurrency, jobs: count }: Load): Promise<Measured> {
  const child = fork(ours, [mode, String(concurrency), String(count)], {
    execArgv: [...process.execArgv, ...nodeFlags],
    env: { ...process.env, ...nodeEnvironment },
  });
  return told(child);
}

function told(child: ChildProcess): Promise<Measured> {
  return new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as Measured));
    child.once("exit", (code) => reject(new Error(`it ended with ${code} before it said what it measured`)));
  });
}

/** The middle one: a lucky round counts for no more than an unlucky one. */
function median(of: readonly Measured[], key: "perSecond" | "p50" | "p99" | "cpuUs"): number {
  const sorted = of.map((one) => one[key] ?? Number.NaN).toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
