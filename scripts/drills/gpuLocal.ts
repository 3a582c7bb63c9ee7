/**
 * The provider `local` end to end, for real: a training job in a container (or, without an engine or with --process, in processes), its output as it comes, the appliance
 * killed with SIGKILL in the middle and started again, the result brought by its hash, and nothing left running.
 *
 *     node scripts/drills/gpuLocal.ts [--process]
 *
 * Prints figures; fails when something is missing or left.
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const root = join(import.meta.dirname, "../..");
const work = mkdtempSync(join(tmpdir(), "nikaGpuDrill"));
const data = join(work, "data");
const payload = join(work, "payload");
const out = join(work, "out");
const isProcess = process.argv.includes("--process");
const environment = { ...process.env, NIKA_DATA: data, NIKA_PORT: "0" };
const problems: string[] = [];
const expect = (holds: boolean, what: string): void => {
  console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
  if (!holds) problems.push(what);
};
const since = (at: number): number => Math.round(performance.now() - at);
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

const nikaArgs = (...args: string[]): string[] => [join(root, "appliance/cli/nika.ts"), ...args];
const nika = (...args: string[]): string =>
  execFileSync(process.execPath, nikaArgs(...args), {
    env: environment,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 120_000,
  });
const pidOf = (): number => (JSON.parse(readFileSync(join(data, "run.json"), "utf8")) as { pid: number }).pid;
const containers = (): string[] => {
  try {
    return execFileSync(
      "docker",
      ["ps", "-aq", "--filter", "label=nika.gpu.machine", "--filter", `label=nika.gpu.folder=${join(data, "gpu/machines")}`],
      {
        encoding: "utf8",
      },
    )
      .split("\n")
      .filter(Boolean);
  } catch {
    return [];
  }
};
/** Processes of this machine that bear a machine's mark of this drill. */
const marked = (): number =>
  readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/environ`, "latin1").includes(data) &&
        readFileSync(`/proc/${pid}/environ`, "latin1").includes("NIKA_MACHINE=")
      );
    } catch {
      return false;
    }
  }).length;

/** Learns to tell two clouds of points apart: logistic regression by gradient descent, with checkpoints; a hundred steps of a tenth of a second. */
const training = `
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
let seed = 7;
const random = () => ((seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648);
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const points = Array.from({ length: 2000 }, (_, n) => { const y = n % 2; return { x: [normal() + 2 * y, normal() - y, 1], y }; });
let w = [0, 0, 0], from = 0;
if (process.env.NIKA_RESUME_FROM) ({ w, step: from } = JSON.parse(readFileSync(process.env.NIKA_RESUME_FROM, "utf8")));
const steps = 100;
for (let step = from + 1; step <= steps; step++) {
  let loss = 0; const g = [0, 0, 0];
  for (const { x, y } of points) {
    const p = 1 / (1 + Math.exp(-(w[0] * x[0] + w[1] * x[1] + w[2] * x[2])));
    loss -= y ? Math.log(p + 1e-12) : Math.log(1 - p + 1e-12);
    for (let i = 0; i < 3; i++) g[i] += (p - y) * x[i];
  }
  w = w.map((one, i) => one - 0.5 * g[i] / points.length);
  console.log(JSON.stringify({ type: "progress", step, steps, loss: +(loss / points.length).toFixed(5) }));
  if (step % 20 === 0) {
    const to = process.env.NIKA_CKPT_DIR + "/step" + step;
    writeFileSync(to + ".tmp", JSON.stringify({ w, step })); renameSync(to + ".tmp", to);
  }
  await new Promise((done) => setTimeout(done, 100));
}
const right = points.filter(({ x, y }) => (w[0] * x[0] + w[1] * x[1] + w[2] * x[2] > 0) === (y === 1)).length;
mkdirSync(process.env.NIKA_OUT + "/model", { recursive: true });
writeFileSync(process.env.NIKA_OUT + "/model/weights.json", JSON.stringify({ w, accuracy: right / points.length }));
console.log("accuracy", right / points.length);
`;

mkdirSync(payload, { recursive: true });
mkdirSync(join(data, "gpu"), { recursive: true });
writeFileSync(join(payload, "train.mjs"), training);
if (isProcess) writeFileSync(join(data, "gpu/local.json"), JSON.stringify({ backend: "process" }));
try {
  console.log(`load ${readFileSync("/proc/loadavg", "latin1").trim()}`);
  nika("up");
  const asked = performance.now();
  const { id } = JSON.parse(
    nika(
      "gpu",
      "run",
      payload,
      "--label",
      "drill",
      "--time",
      "10m",
      "--detach",
      "--json",
      "--",
      isProcess ? process.execPath : "node",
      "train.mjs",
    ),
  ) as { id: string };

  const stream = (): { lines: string[]; ended: Promise<unknown>; stop(): void } => {
    const lines: string[] = [];
    const child = spawn(process.execPath, nikaArgs("gpu", "logs", id, "--follow"), {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let rest = "";
    child.stdout.on("data", (piece: Buffer) => {
      const all = (rest + piece.toString()).split("\n");
      rest = all.pop() ?? "";
      lines.push(...all);
    });
    return { lines, ended: new Promise((resolve) => child.once("exit", resolve)), stop: () => child.kill() };
  };
  const before = stream();
  while (before.lines.length === 0) await delay(50);
  const firstLineMs = since(asked);
  while (before.lines.length < 25) await delay(50);
  const kept = containers();
  const kindOfMachine = isProcess || kept.length === 0 ? "processes" : "a container";
  const alive = marked();
  process.kill(pidOf(), "SIGKILL");
  const killed = performance.now();
  before.stop();
  const seenBefore = before.lines.length;
  await delay(2_000);
  expect(
    isProcess ? marked() >= alive - 1 && alive > 0 : containers().length === 1,
    `with the appliance killed at line ${seenBefore}, the work goes on in ${kindOfMachine}`,
  );
  nika("up");
  const upMs = since(killed);
  const after = stream();
  await after.ended;
  const doneMs = since(killed);
  const view = (
    JSON.parse(nika("gpu", "list", "--json")) as {
      jobs: { id: string; state: string; attempt: number; files: number; logBytes: number }[];
    }
  ).jobs.find((one) => one.id === id);
  expect(view?.state === "succeeded", `the job is ${view?.state ?? "lost"}`);
  expect(view?.attempt === 1, `it took ${view?.attempt} machine`);
  const steps = after.lines.filter((line) => line.startsWith("{")).map((line) => (JSON.parse(line) as { step: number }).step);
  expect(
    steps.length === 100 && steps.every((step, n) => step === n + 1),
    `its output is whole: ${steps.length} steps, each once, in order`,
  );
  nika("gpu", "fetch", id, "--out", out);
  const result = readFileSync(join(out, "model/weights.json"));
  const { accuracy } = JSON.parse(result.toString()) as { accuracy: number };
  expect(
    accuracy > 0.85,
    `the model came back: ${result.length} bytes, sha256 ${createHash("sha256").update(result).digest("hex").slice(0, 16)}, accuracy ${accuracy}`,
  );
  const clearing = performance.now();
  const isClear = (): boolean =>
    containers().length === 0 && marked() === 0 && readdirSync(join(data, "gpu/machines")).length === 0;
  while (!isClear() && since(clearing) < 60_000) await delay(100);
  expect(
    isClear(),
    `nothing is left: ${containers().length} containers, ${marked()} processes, ${readdirSync(join(data, "gpu/machines")).length} folders, ${seconds(since(clearing))} after its end was seen`,
  );
  while (since(clearing) < 90_000 && (JSON.parse(nika("gpu", "list", "--json")) as { machines: unknown[] }).machines.length > 0)
    await delay(1_000);
  const { machines } = JSON.parse(nika("gpu", "list", "--json")) as { machines: unknown[] };
  expect(machines.length === 0, `and that is proven after ${seconds(since(clearing))}: ${machines.length} machines open`);
  console.log(
    `first line after ${seconds(firstLineMs)}; killed at step ${seenBefore}, answering again ${seconds(upMs)} after that, done after ${seconds(doneMs)}; load ${readFileSync("/proc/loadavg", "latin1").trim()}`,
  );
} finally {
  try {
    nika("stop");
  } catch {
    // It may not run any more.
  }
  for (const id of containers()) execFileSync("docker", ["rm", "-f", id], { stdio: "ignore" });
  rmSync(work, { recursive: true, force: true });
}
if (problems.length > 0) process.exitCode = 1;
