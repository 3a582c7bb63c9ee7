/** One measurement of a peer in a process of its own: `peerProcess.ts PACKAGES NAME URL MODE CONCURRENCY JOBS`. Same loads as ours. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { quantile } from "./figure.ts";

const [packages = "", name = "", url = "", mode = "", ...numbers] = process.argv.slice(2);
const [concurrency = 10, jobs = 1_000] = numbers.map(Number);
const producers = 20;
const perSecond = 20;

type Data = { readonly n: number };
type Queue = {
  add(data: Data): Promise<unknown>;
  addMany(data: readonly Data[]): Promise<unknown>;
  start(onJob: (data: Data) => void): Promise<() => Promise<unknown>>;
};
// The packages are not the project's, and so are not their types.
// oxlint-disable-next-line typescript/no-explicit-any
const load = async (word: string): Promise<any> =>
  import(pathToFileURL(createRequire(join(packages, "package.json")).resolve(word)).href);

async function bullmq(): Promise<Queue> {
  const module = await load("bullmq");
  const { Queue: Jobs, Worker } = module.default ?? module;
  const connection = { host: "127.0.0.1", port: Number(new URL(url).port) };
  const queue = new Jobs("bench", { connection, defaultJobOptions: { removeOnComplete: true, removeOnFail: true } });
  await queue.waitUntilReady();
  await queue.obliterate({ force: true }).catch(() => undefined);
  return {
    add: (data) => queue.add("j", data),
    addMany: (list) => queue.addBulk(list.map((data) => ({ name: "j", data }))),
    async start(onJob) {
      const worker = new Worker("bench", async (job: { data: Data }) => onJob(job.data), { connection, concurrency });
      await worker.waitUntilReady();
      return () => worker.close();
    },
  };
}

async function graphile(): Promise<Queue> {
  const { run, makeWorkerUtils, Logger } = await load("graphile-worker");
  const { default: pg } = await load("pg");
  const pool = new pg.Pool({ connectionString: url, max: 24 });
  pool.on("error", () => undefined);
  const logger = new Logger(() => () => undefined);
  const utils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  await pool.query("delete from graphile_worker._private_jobs");
  return {
    add: (data) => utils.addJob("j", data),
    addMany: (list) => Promise.all(list.map((data) => utils.addJob("j", data))),
    async start(onJob) {
      const taskList = { j: async (data: Data) => onJob(data) };
      const runner = await run({ pgPool: pool, concurrency, taskList, logger, noHandleSignals: true });
      return () => runner.stop();
    },
  };
}

async function pgBoss(): Promise<Queue> {
  const { PgBoss } = await load("pg-boss");
  const boss = new PgBoss({ connectionString: url, max: 24, useListenNotify: true });
  boss.on("error", (error: Error) => console.error(error.message));
  await boss.start();
  const queue = `q${Date.now()}`;
  await boss.createQueue(queue, { notify: true });
  const options = {
    batchSize: Math.max(2, concurrency),
    pollingIntervalSeconds: 0.5,
    notifyPollingIntervalSeconds: 0.5,
    burstWhenBatchFull: true,
  };
  return {
    add: (data) => boss.send(queue, data),
    addMany: (list) =>
      boss.insert(
        queue,
        list.map((data) => ({ data })),
      ),
    async start(onJob) {
      await boss.work(queue, options, async (list: { data: Data }[]) => {
        for (const { data } of list) onJob(data);
      });
      return () => boss.offWork(queue, { wait: true });
    },
  };
}

const queue = await (name.startsWith("bullmq") ? bullmq() : name === "pg-boss" ? pgBoss() : graphile());
const all = Promise.withResolvers<void>();
let ended = 0;
const onJob = (): void => {
  if ((ended += 1) === jobs) all.resolve();
};

const modes: Record<string, () => Promise<object>> = {
  async throughput() {
    const stop = await queue.start(onJob);
    const startedAt = performance.now();
    let next = 0;
    const produce = async (): Promise<void> => {
      while (next < jobs) await queue.add({ n: next++ });
    };
    await Promise.all(Array.from({ length: producers }, produce));
    await all.promise;
    const ms = performance.now() - startedAt;
    void stop;
    return { perSecond: (jobs / ms) * 1_000 };
  },
  async drain() {
    for (let n = 0; n < jobs; n += 500)
      await queue.addMany(Array.from({ length: Math.min(500, jobs - n) }, (_, i) => ({ n: n + i })));
    const startedAt = performance.now();
    await queue.start(onJob);
    await all.promise;
    return { perSecond: (jobs / (performance.now() - startedAt)) * 1_000 };
  },
  async latency() {
    const addedAt = new Float64Array(jobs);
    const startMs: number[] = [];
    await queue.start(({ n }) => {
      startMs.push(performance.now() - (addedAt[n] ?? 0));
      onJob();
    });
    await delay(500);
    for (let n = 0; n < jobs; n++) {
      const at = (addedAt[n] = performance.now());
      await queue.add({ n });
      await delay(Math.max(0, 1_000 / perSecond - (performance.now() - at)));
    }
    await all.promise;
    return { p50: quantile(startMs, 0.5), p99: quantile(startMs, 0.99) };
  },
};
process.send?.((await modes[mode]?.()) ?? {}, () => process.exit());
