/** An appliance of its own for the drills of work on this machine, a job that learns, and what both leave behind. */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { GpuJobDetail } from "../../convex/model/gpuDetail.ts";
import type { GpuJobView } from "../../convex/model/gpuJob.ts";
import type { MachineView } from "../../convex/model/machine.ts";

export type Listed = { readonly jobs: readonly GpuJobView[]; readonly machines: readonly MachineView[] };
export type Stream = { readonly lines: string[]; readonly ended: Promise<unknown>; stop(): void };
export type Place = Awaited<ReturnType<typeof openPlace>>;

export const since = (at: number): number => Math.round(performance.now() - at);
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
export const load = (): string => readFileSync("/proc/loadavg", "latin1").trim();

/**
 * Learns to tell two clouds of points apart: logistic regression by gradient descent, a hundred steps of a tenth of a second. A checkpoint each
 * twenty, and one when it is told that it is taken away.
 */
const training = `
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
let seed = 7;
const random = () => ((seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648);
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const points = Array.from({ length: 2000 }, (_, n) => { const y = n % 2; return { x: [normal() + 2 * y, normal() - y, 1], y }; });
let w = [0, 0, 0], from = 0, isTaken = false;
if (process.env.NIKA_RESUME_FROM) ({ w, step: from } = JSON.parse(readFileSync(process.env.NIKA_RESUME_FROM, "utf8")));
process.on("SIGTERM", () => (isTaken = true));
const save = (step) => {
  const to = process.env.NIKA_CKPT_DIR + "/step" + step;
  writeFileSync(to + ".tmp", JSON.stringify({ w, step })); renameSync(to + ".tmp", to);
};
const steps = Number(process.argv[2] ?? 100);
for (let step = from + 1; step <= steps; step++) {
  let loss = 0; const g = [0, 0, 0];
  for (const { x, y } of points) {
    const p = 1 / (1 + Math.exp(-(w[0] * x[0] + w[1] * x[1] + w[2] * x[2])));
    loss -= y ? Math.log(p + 1e-12) : Math.log(1 - p + 1e-12);
    for (let i = 0; i < 3; i++) g[i] += (p - y) * x[i];
  }
  w = w.map((one, i) => one - 0.5 * g[i] / points.length);
  console.log(JSON.stringify({ type: "progress", step, steps, loss: +(loss / points.length).toFixed(5) }));
  if (step % 20 === 0 || isTaken) save(step);
  if (isTaken) process.exit(75);
  await new Promise((done) => setTimeout(done, 100));
}
const right = points.filter(({ x, y }) => (w[0] * x[0] + w[1] * x[1] + w[2] * x[2] > 0) === (y === 1)).length;
mkdirSync(process.env.NIKA_OUT + "/model", { recursive: true });
writeFileSync(process.env.NIKA_OUT + "/model/weights.json", JSON.stringify({ w, accuracy: right / points.length }));
console.log("accuracy", right / points.length);
`;

/** `setting`: gpu/local.json, when it is to be there. */
export async function openPlace({ setting }: { readonly setting?: object }) {
  const root = join(import.meta.dirname, "../..");
  const work = mkdtempSync(join(tmpdir(), "nikaGpuDrill"));
  const data = join(work, "data");
  const payload = join(work, "payload");
  const environment = { ...process.env, NIKA_DATA: data, NIKA_PORT: "0" };
  const problems: string[] = [];
  mkdirSync(payload, { recursive: true });
  mkdirSync(join(data, "gpu"), { recursive: true });
  writeFileSync(join(payload, "train.mjs"), training);
  if (setting) writeFileSync(join(data, "gpu/local.json"), JSON.stringify(setting));

  const nikaArgs = (...args: string[]): string[] => [join(root, "appliance/cli/nika.ts"), ...args];
  const nika = (...args: string[]): string =>
    execFileSync(process.execPath, nikaArgs(...args), {
      env: environment,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 120_000,
    });
  const containers = (): string[] => {
    const ours = ["--filter", "label=nika.gpu.machine", "--filter", `label=nika.gpu.folder=${join(data, "gpu/machines")}`];
    try {
      return execFileSync("docker", ["ps", "-aq", ...ours], { encoding: "utf8" })
        .split("\n")
        .filter(Boolean);
    } catch {
      return [];
    }
  };
  /** Processes that bear the mark of a machine of this drill, or of that one. */
  const marked = (name = ""): number[] =>
    readdirSync("/proc").flatMap((pid) => {
      try {
        if (!/^\d+$/.test(pid)) return [];
        const its = readFileSync(`/proc/${pid}/environ`, "latin1");
        return its.includes(data) && its.includes(`NIKA_MACHINE=${name}`) ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });
  const list = (): Listed => JSON.parse(nika("gpu", "list", "--json")) as Listed;
  const folders = (): number => readdirSync(join(data, "gpu/machines")).length;
  const expect = (holds: boolean, what: string): void => {
    console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
    if (!holds) problems.push(what);
  };

  return {
    data,
    out: join(work, "out"),
    payload,
    problems,
    expect,
    nika,
    list,
    containers,
    marked,
    show: (id: string): GpuJobDetail => JSON.parse(nika("gpu", "show", id, "--json")) as GpuJobDetail,
    pid: (): number => (JSON.parse(readFileSync(join(data, "run.json"), "utf8")) as { pid: number }).pid,
    follow(id: string): Stream {
      const lines: string[] = [];
      const stdio = ["ignore", "pipe", "pipe"] as const;
      const child = spawn(process.execPath, nikaArgs("gpu", "logs", id, "--follow"), {
        env: environment,
        stdio: [...stdio],
      });
      let rest = "";
      child.stdout?.on("data", (piece: Buffer) => {
        const all = (rest + piece.toString()).split("\n");
        rest = all.pop() ?? "";
        lines.push(...all);
      });
      return { lines, ended: new Promise((resolve) => child.once("exit", resolve)), stop: () => child.kill() };
    },
    /** No container, process or folder is left, and the control plane knows it. */
    async expectNothingLeft(): Promise<void> {
      const at = performance.now();
      const isClear = (): boolean => containers().length === 0 && marked().length === 0 && folders() === 0;
      while (!isClear() && since(at) < 60_000) await delay(100);
      expect(
        isClear(),
        `nothing is left: ${containers().length} containers, ${marked().length} processes, ${folders()} folders, ${seconds(since(at))} after its end was seen`,
      );
      while (since(at) < 90_000 && list().machines.length > 0) await delay(1_000);
      const { length } = list().machines;
      expect(length === 0, `and that is proven after ${seconds(since(at))}: ${length} machines open`);
    },
    close(): void {
      try {
        nika("stop");
      } catch {
        // It may not run any more.
      }
      for (const id of containers()) execFileSync("docker", ["rm", "-f", id], { stdio: "ignore" });
      rmSync(work, { recursive: true, force: true });
      if (problems.length > 0) process.exitCode = 1;
    },
  };
}
