/** Our side in a process of its own: `oursProcess.ts MODE CONCURRENCY JOBS`. Says what it measured and ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openEngine } from "../../../../appliance/engine/engine.ts";
import { openKeys } from "../../../../appliance/secrets/keys.ts";
import { openState } from "../../../../appliance/state.ts";
import { internal } from "../../../../convex/_generated/api.js";
import { lanes, type Lane } from "../../../../convex/model/lane.ts";
import { defineFunction, type Ports } from "../../../../functions/define.ts";
import { startRuntime } from "../../../../functions/runtime/runtime.ts";
import { quantile } from "./figure.ts";

const [mode = "", ...numbers] = process.argv.slice(2);
const [concurrency = 10, jobs = 1_000] = numbers.map(Number);
const producers = 20;
const perSecond = 20;

const dir = mkdtempSync(join(tmpdir(), "bench-runtime-"));
const keys = openKeys(dir);
const server = createServer();
let url = "";
const engine = await openEngine({
  dir: join(dir, "engine"),
  functionsDir: fileURLToPath(new URL("../../../../convex", import.meta.url)),
  env: { NIKA_JWKS: keys.jwksUrl },
  adminKey: keys.adminKey,
  origin: () => url,
  log: () => {},
});
server.on("request", (request, response) => void engine.handle(request, response));
server.on("upgrade", (request, socket, head) => void engine.upgrade(request, socket, head));
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const state = openState({ url, adminKey: keys.adminKey, near: engine });

const seen = new Uint8Array(jobs);
let ended = 0;
let twice = 0;
let onStart: (n: number) => void = () => {};
const all = Promise.withResolvers<void>();
const check = defineFunction({
  kind: "jobs.check",
  needs: [],
  run: async ({ args: { n } }) => {
    onStart(n);
    if (seen[n] === 1) twice += 1;
    seen[n] = 1;
    if ((ended += 1) === jobs) all.resolve();
    return { type: "done" };
  },
});
const runtime = startRuntime({
  state,
  ports: {} as Ports,
  functions: [check],
  workerName: "bench",
  slots: concurrency,
  log: (line) => console.error(line),
});
const work = (n: number, lane: Lane = "now") => ({ kind: "jobs.check" as const, args: { n }, label: "", lane });

const modes: Record<string, () => Promise<object>> = {
  /** Twenty producers add one at a time while the worker works. */
  async throughput() {
    await runtime.start();
    const [startedAt, cpu] = [performance.now(), process.cpuUsage()];
    let next = 0;
    const produce = async (): Promise<void> => {
      while (next < jobs) await runtime.add(work(next++));
    };
    await Promise.all(Array.from({ length: producers }, produce));
    await all.promise;
    await runtime.stop({ graceMs: 60_000 });
    const ms = performance.now() - startedAt;
    const { user, system } = process.cpuUsage(cpu);
    return { perSecond: (jobs / ms) * 1_000, cpuUs: (user + system) / jobs };
  },
  /** All is there before the worker starts. */
  async drain() {
    await fill(() => "now");
    const [startedAt, cpu] = [performance.now(), process.cpuUsage()];
    await runtime.start();
    await all.promise;
    await runtime.stop({ graceMs: 60_000 });
    const { user, system } = process.cpuUsage(cpu);
    return { perSecond: (jobs / (performance.now() - startedAt)) * 1_000, cpuUs: (user + system) / jobs };
  },
  async latency() {
    return paced((n) => runtime.add(work(n)));
  },
  async elsewhere() {
    const other = openState({ url, adminKey: keys.adminKey });
    const measured = await paced((n) => other.mutation(internal.work.add, { work: [work(n)] }));
    await other.close();
    return measured;
  },
  /** Everything at once in the lane `bulk`, and meanwhile a little in each of the others. */
  async burst() {
    const addedAt = new Map<number, { at: number; lane: Lane }>();
    const waitMs: Record<string, number> = { now: 0, work: 0 };
    onStart = (n) => {
      const added = addedAt.get(n);
      if (added) waitMs[added.lane] = Math.max(waitMs[added.lane] ?? 0, performance.now() - added.at);
    };
    const probes = Math.min(400, Math.floor(jobs / 10));
    await fill(() => "bulk", jobs - probes);
    let rssMax = 0;
    const timer = setInterval(() => (rssMax = Math.max(rssMax, process.memoryUsage.rss())), 50);
    const startedAt = performance.now();
    await runtime.start();
    for (let n = jobs - probes; n < jobs; n++) {
      const lane = lanes[n % 2] as Lane;
      addedAt.set(n, { at: performance.now(), lane });
      await runtime.add(work(n, lane));
      await delay(5);
    }
    await all.promise;
    await runtime.stop({ graceMs: 60_000 });
    clearInterval(timer);
    return { perSecond: (jobs / (performance.now() - startedAt)) * 1_000, rssMb: rssMax / 2 ** 20, waitMs };
  },
};

async function fill(laneOf: () => Lane, count = jobs): Promise<void> {
  for (let n = 0; n < count; n += 200) {
    const batch = Array.from({ length: Math.min(200, count - n) }, (_, i) => work(n + i, laneOf()));
    await state.mutation(internal.work.add, { work: batch });
  }
}

async function paced(add: (n: number) => Promise<unknown>): Promise<object> {
  await runtime.start();
  const addedAt = new Float64Array(jobs);
  const startMs: number[] = [];
  const addMs: number[] = [];
  onStart = (n) => startMs.push(performance.now() - (addedAt[n] ?? 0));
  await delay(500);
  for (let n = 0; n < jobs; n++) {
    const at = (addedAt[n] = performance.now());
    await add(n);
    addMs.push(performance.now() - at);
    await delay(Math.max(0, 1_000 / perSecond - (performance.now() - at)));
  }
  await all.promise;
  await runtime.stop({ graceMs: 60_000 });
  return { p50: quantile(startMs, 0.5), p99: quantile(startMs, 0.99), addP50: quantile(addMs, 0.5) };
}

const measured = await modes[mode]?.();
if (twice > 0) throw new Error(`${twice} jobs ran twice`);
await state.close();
server.close();
await engine.close();
rmSync(dir, { recursive: true, force: true });
if (process.send) process.send(measured ?? {}, () => process.exit());
else {
  console.log(JSON.stringify(measured));
  process.exit();
}
