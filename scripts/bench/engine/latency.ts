/**
 * From a committed mutation to its subscriber, with a hundred open subscriptions, through the real client, a real socket and the real
 * core on the disk of this machine. Prints `{name, value, unit, peer, ratio, goal, met}`, one a line.
 *
 * The clock starts when the core publishes the commit (after fsync) and stops in the subscriber's callback: what the machine's disk takes
 * is told apart, as the time from the call to its result.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { engineAround } from "../../../appliance/engine/engine.ts";
import { openCore } from "../../../appliance/engine/openCore.ts";

const subscriptions = 100;
const rounds = 300;
const warmup = 30;

const get = makeFunctionReference<"query", { slot: number }, { n: number } | null>("bench:get");
const put = makeFunctionReference<"mutation", { slot: number; n: number }, null>("bench:put");

const dir = await mkdtemp(join(tmpdir(), "latency-"));
const adminKey = "bench|00";
let url = "";
const core = await openCore({
  dir,
  functionsDir: join(import.meta.dirname, "_app"),
  env: {},
  origin: () => url,
  log: () => undefined,
});
const engine = await engineAround(core, { dir, adminKey, origin: () => url, log: () => undefined });
const server = createServer((request, response) => void engine.handle(request, response));
server.on("upgrade", (request, socket: Socket, head) => void engine.upgrade(request, socket, head));
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const reader = new ConvexClient(url, { logger: false });
const writer = new ConvexClient(url, { logger: false });
let onValue: (slot: number, n: number | undefined) => void = () => undefined;
await new Promise<void>((ready) => {
  let waiting = subscriptions;
  for (let slot = 0; slot < subscriptions; slot++)
    reader.onUpdate(get, { slot }, (value) => {
      onValue(slot, value?.n);
      if (value === null && --waiting === 0) ready();
    });
});

let committedAt = 0;
core.onCommit(() => (committedAt = performance.now()));
const pushes: number[] = [];
const calls: number[] = [];
for (let n = 0; n < rounds + warmup; n++) {
  const slot = n % subscriptions;
  const seen = new Promise<number>((resolve) => {
    onValue = (at, value) => {
      if (at === slot && value === n) resolve(performance.now());
    };
  });
  const startedAt = performance.now();
  await writer.mutation(put, { slot, n });
  const answeredAt = performance.now();
  const seenAt = await seen;
  if (n < warmup) continue;
  pushes.push(seenAt - committedAt);
  calls.push(answeredAt - startedAt);
}

const at = (values: readonly number[], share: number): number =>
  Math.round((values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0) * 100) / 100;
const print = (name: string, value: number, goalMs: number | null): void =>
  console.log(
    JSON.stringify({
      name,
      value,
      unit: "ms",
      peer: null,
      ratio: null,
      goal: goalMs === null ? null : `<= ${goalMs} ms`,
      met: goalMs === null ? null : value <= goalMs,
    }),
  );
print("commit to subscriber, 100 open, p50", at(pushes, 0.5), 5);
print("commit to subscriber, 100 open, p99", at(pushes, 0.99), 50);
print("mutation call to confirmed result, p50", at(calls, 0.5), null);
print("mutation call to confirmed result, p99", at(calls, 0.99), null);

// One query, a hundred sockets: it must run once a commit, and the last to hear must not wait for long.
const lasts: number[] = [];
let hear: (n: number) => void = () => undefined;
const listeners = await Promise.all(
  Array.from({ length: subscriptions }, async () => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/api/sync`);
    await new Promise((open) => socket.addEventListener("open", open));
    const ready = new Promise<void>((resolve) =>
      socket.addEventListener("message", ({ data }) => {
        const n = /"n":(\d+)/.exec(String(data))?.[1];
        resolve();
        if (n !== undefined) hear(Number(n));
      }),
    );
    socket.send(JSON.stringify({ type: "Connect", sessionId: crypto.randomUUID(), connectionCount: 0, clientTs: 0 }));
    const add = { type: "Add", queryId: 0, udfPath: "bench:get", args: [{ slot: 0 }] };
    socket.send(JSON.stringify({ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [add] }));
    await ready;
    return socket;
  }),
);
const runsBefore = engine.stats().runs;
const fanRounds = 100;
for (let n = 10_000; n < 10_000 + fanRounds; n++) {
  let waiting = subscriptions;
  const all = new Promise<void>((resolve) => {
    hear = (value) => {
      if (value === n && --waiting === 0) resolve();
    };
  });
  await writer.mutation(put, { slot: 0, n });
  await all;
  lasts.push(performance.now() - committedAt);
}
print("commit to the last of 100 sockets on one query, p50", at(lasts, 0.5), null);
print("commit to the last of 100 sockets on one query, p99", at(lasts, 0.99), null);
console.log(
  JSON.stringify({
    name: "query runs a commit, 101 sockets on one query",
    value: (engine.stats().runs - runsBefore) / fanRounds,
    unit: "runs",
    peer: null,
    ratio: null,
    goal: "1",
    met: engine.stats().runs - runsBefore === fanRounds,
  }),
);
for (const socket of listeners) socket.close();

await reader.close();
await writer.close();
await engine.close();
server.closeAllConnections();
await new Promise((done) => server.close(done));
await rm(dir, { recursive: true, force: true });
