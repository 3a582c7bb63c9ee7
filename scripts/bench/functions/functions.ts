/**
 * What a sandbox costs a function of the owner's: a call that finds none warm, and one that does, beside the same function as a bare process
 * under Node's permission model (the peer). Through the pool that the appliance uses, in turns, so that a busy moment hits both alike;
 * the control plane is left out of these, and then measured with everything else: warm calls over HTTP to a whole appliance.
 * `npm run bench -- functions [--cold N] [--warm N]`. Needs Docker; the first call of all, which makes the image, is not counted. Where the
 * engine has gVisor, that is what Nika chooses by itself, and it is measured as well; the goals speak of runc.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { dockerSandboxes } from "../../../appliance/docker/sandboxes.ts";
import { openOwned, type Owned } from "../../../appliance/owned/owned.ts";
import { api } from "../../../convex/_generated/api.js";
import type { RunFacts } from "../../../convex/model/userFunction.ts";
import type { Sandboxes } from "../../../functions/ports/sandboxes.ts";
import type { State } from "../../../functions/ports/state.ts";
import { startLab } from "../../lab/appliance.ts";
import { alternating, atMost, quantile, report, sizeOf } from "../engine/parts/figure.ts";

const colds = sizeOf("cold", 20);
const warms = sizeOf("warm", 1_000);
const blocks = 10;
const dir = mkdtempSync(join(tmpdir(), "nika-bench-functions-"));
const code = "export default async (input: { n: number }) => ({ n: input.n + 1 });";
const never = new AbortController().signal;

/** A control plane that lets both run and forgets what it is told: what it costs is measured below. */
const forgetful = {
  query: async () => ["cold", "warm"].map((name) => ({ name, isBareAllowed: true })),
  mutation: async () => null,
  watch: () => () => {},
} as unknown as State;

function put(dataDir: string, name: string, manifest: object): void {
  const folder = join(dataDir, "functions", name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "index.ts"), code);
  writeFileSync(join(folder, "function.json"), JSON.stringify(manifest));
}

async function open(name: string, make: (dataDir: string) => Sandboxes | undefined): Promise<Owned> {
  const dataDir = join(dir, name);
  put(dataDir, "warm", {});
  // Its sandbox ends with its call.
  put(dataDir, "cold", { idleMs: 0 });
  const sandboxes = make(dataDir);
  const log = (line: string): void => console.error(`${name}: ${line}`);
  return openOwned({ dataDir, state: forgetful, sandboxes, memoryMiBMax: 2_048, declare: async () => undefined, log });
}

async function call(owned: Owned, name: string): Promise<RunFacts> {
  const about = { id: "bench", attempt: 1, trigger: "call" };
  const reply = await owned.call({ name, input: '{"n":1}', about, signal: never, onLog: () => {}, onProgress: () => {} });
  if (reply.type !== "done") throw new Error(reply.message);
  return reply.facts;
}

/** Until the sandbox of the call before is gone, so that its end is no part of the next beginning. */
const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 500));

/** The engine's sandboxes, under one runtime and not the one that Nika would choose. */
function under(runtime: "runc" | "gvisor", dataDir: string): Sandboxes {
  const sandboxes = dockerSandboxes({ dataDir, mountRoots: [join(dataDir, "cache")] });
  return { ...sandboxes, open: (spec, signal) => sandboxes.open({ ...spec, runtime }, signal) };
}

const bare = await open("bare", () => undefined);
const docker = await open("runc", (dataDir) => under("runc", dataDir));
const attested = await dockerSandboxes({ dataDir: join(dir, "runc"), mountRoots: [] }).attestations();
const hasKernel = attested.some(({ runtime, isSufficient }) => runtime === "gvisor" && isSufficient);
const kernel = hasKernel ? await open("gvisor", (dataDir) => under("gvisor", dataDir)) : undefined;
try {
  console.error(
    `load before: ${loadavg()
      .map((one) => one.toFixed(1))
      .join(" ")}`,
  );
  const cold = (owned: Owned) => async (): Promise<number> => {
    await settle();
    const facts = await call(owned, "cold");
    if (facts.coldMs === undefined) throw new Error("a sandbox was still warm");
    return facts.tookMs;
  };
  const all = [docker, bare, ...(kernel ? [kernel] : [])];
  for (const owned of all) for (const name of ["cold", "warm"]) await call(owned, name);
  const [held = [], free = [], guarded = []] = await alternating(colds, all.map(cold));
  for (const [share, goal] of [
    [0.5, atMost(600)],
    [0.95, undefined],
  ] as const) {
    const name = `cold start of a function under runc, p${share * 100}`;
    const value = quantile(held, share);
    report({ name, value, unit: "ms", ...(goal && { goal }) });
    report({ name: `the same as a bare process, p${share * 100}`, value: quantile(free, share), unit: "ms" });
    if (kernel) report({ name: `the same under gVisor, p${share * 100}`, value: quantile(guarded, share), unit: "ms" });
  }

  const warm = (owned: Owned) => async (): Promise<number[]> => {
    const took: number[] = [];
    for (let i = 0; i < warms / blocks; i++) took.push((await call(owned, "warm")).tookMs);
    return took;
  };
  const [inside = [], outside = [], within = []] = await alternating(blocks, all.map(warm));
  for (const [share, goal] of [
    [0.5, atMost(5)],
    [0.99, undefined],
  ] as const) {
    report({
      name: `warm call under runc, p${share * 100}`,
      value: quantile(inside.flat(), share),
      unit: "ms",
      ...(goal && { goal }),
    });
    report({ name: `the same as a bare process, p${share * 100}`, value: quantile(outside.flat(), share), unit: "ms" });
    if (kernel) report({ name: `the same under gVisor, p${share * 100}`, value: quantile(within.flat(), share), unit: "ms" });
  }
} finally {
  await docker.close();
  await kernel?.close();
  await bare.close();
}

try {
  const dataDir = join(dir, "whole");
  put(dataDir, "warm", {});
  const lab = await startLab({ dataDir });
  const client = await lab.client();
  await new Promise<void>((done, fail) => {
    client.onUpdate(api.functions.get, { name: "warm" }, (f) => f?.state === "serving" && done(), fail);
  });
  const authorization = `Bearer ${await lab.token()}`;
  const ask = async (): Promise<number> => {
    const begun = performance.now();
    const body = JSON.stringify({ name: "warm", input: { n: 1 } });
    const response = await fetch(`${lab.url}/nika/functions/call`, { method: "POST", headers: { authorization }, body });
    if (!((await response.json()) as { ok: boolean }).ok) throw new Error("a call failed");
    return performance.now() - begun;
  };
  await ask();
  const took: number[] = [];
  for (let i = 0; i < warms / 2; i++) took.push(await ask());
  report({ name: "warm call over HTTP to a whole appliance, recorded, p50", value: quantile(took, 0.5), unit: "ms" });
  const job = async (): Promise<number> => {
    const begun = performance.now();
    const { id } = await client.mutation(api.functions.invoke, { name: "warm", input: '{"n":1}' });
    await new Promise<void>((done, fail) => {
      const stop = client.onUpdate(
        api.functions.invocation,
        { id },
        (run) => {
          if (run?.state === "open") return;
          stop();
          done();
        },
        fail,
      );
    });
    return performance.now() - begun;
  };
  const jobs: number[] = [];
  for (let i = 0; i < warms / 10; i++) jobs.push(await job());
  report({ name: "the same as a durable job, from asking to seeing its answer, p50", value: quantile(jobs, 0.5), unit: "ms" });
  await lab.stop();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
console.error(
  `load after: ${loadavg()
    .map((one) => one.toFixed(1))
    .join(" ")}`,
);
process.exit();
