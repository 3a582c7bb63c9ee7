/**
 * From a mutation to its subscribers. First a thousand and ten thousand live subscriptions on a hundred sockets, one in a hundred touched;
 * what a write costs that touches none or always ten; memory, with what the
 * engine's threads take once. Then one query that all sockets watch, beside a bare `ws` broadcast.
 * `--most N` subscriptions, `--sockets N` on the one query (`--full`: the 10,000 that the goal speaks of), `--rounds N`.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import type { WebSocket } from "ws";
import { startEngine, told, type Host } from "./parts/engineHost.ts";
import { atMost, quantile, report, sizeOf } from "./parts/figure.ts";
import { connectAll, subscribe, updatesIn } from "./parts/listeners.ts";

const most = sizeOf("most", 10_000);
const fanSockets = sizeOf("sockets", 2000, 10_000);
const rounds = sizeOf("rounds", 40);
const warmup = 5;
const sockets = 100;
const putMany = makeFunctionReference<"mutation", { from: number; count: number; n: number }, null>("bench:putMany");

for (const open of [100, 1000, most]) await manyQueries(open);
await oneQuery();

async function manyQueries(open: number): Promise<void> {
  await using engine = await startEngine();
  const writer = new ConvexClient(engine.url, { logger: false });
  for (let from = 0; from < open; from += 2000)
    await writer.mutation(putMany, { from, count: Math.min(2000, open - from), n: 0 });
  let heard: (updates: number) => void = () => undefined;
  const before = await engine.stats();
  const listeners = await connectAll(socketUrl(engine), Math.min(sockets, open), (text) => heard(updatesIn(text)));
  const ready = received(open);
  // Slots that lie together are watched by different sockets.
  for (const [i, socket] of listeners.entries())
    subscribe(
      socket,
      Array.from({ length: open / listeners.length }, (_, k) => k * listeners.length + i),
    );
  await ready;
  const after = await engine.stats();

  function received(count: number, times: number[] = [], startedAt = 0): Promise<void> {
    let left = count;
    return new Promise((resolve) => {
      heard = (updates) => {
        for (let i = 0; i < updates; i++) times.push(performance.now() - startedAt);
        left -= updates;
        if (left <= 0) resolve();
      };
    });
  }
  let version = 0;
  const writes = async (count: number): Promise<number[]> => {
    const all: number[] = [];
    for (let n = 1; n <= rounds + warmup; n++) {
      const times: number[] = [];
      const from = (n * count) % open;
      const done = received(count, times, performance.now());
      await writer.mutation(putMany, { from: from + count > open ? 0 : from, count, n: ++version });
      await done;
      if (n > warmup) all.push(...times);
    }
    return all;
  };
  const ten = await writes(10);
  report({ name: `mutation to 10 subscribers, ${open} open, p50`, value: quantile(ten, 0.5), unit: "ms" });
  if (open >= 1000) {
    const times = await writes(open / 100);
    const goals = open >= 10_000 ? { p99: { goal: atMost(100) } } : { p50: { goal: atMost(5) } };
    const name = `mutation to subscriber, ${open} open, 1 % touched`;
    report({ name: `${name}, p50`, value: quantile(times, 0.5), unit: "ms", ...goals.p50 });
    report({ name: `${name}, p99`, value: quantile(times, 0.99), unit: "ms", ...goals.p99 });
    const kb = (after.rss - before.rss) / 1024 / open;
    report({
      name: `memory a subscription, ${open} open on ${listeners.length} sockets`,
      value: kb,
      unit: "KB",
      ...(open >= 10_000 && { goal: atMost(25) }),
    });
    const { runs } = await engine.stats();
    for (let n = 0; n < 20; n++) await writer.mutation(putMany, { from: open + n, count: 1, n });
    const more = (await engine.stats()).runs - runs;
    report({ name: `queries run again by 20 writes that touch none of ${open}`, value: more, unit: "runs", goal: atMost(0) });
  }
  for (const socket of listeners) socket.terminate();
  await writer.close();
}

async function oneQuery(): Promise<void> {
  await using engine = await startEngine();
  const writer = new ConvexClient(engine.url, { logger: false });
  await writer.mutation(putMany, { from: 0, count: 1, n: 0 });
  let left = 0;
  let done: (at: bigint) => void = () => undefined;
  const lastOf = (count: number): Promise<bigint> => {
    left = count;
    return new Promise((resolve) => (done = resolve));
  };
  const heard = (text: string): void => {
    if (text.includes('"n":') && --left === 0) done(process.hrtime.bigint());
  };
  const bare = fork(join(import.meta.dirname, "parts", "broadcastProcess.ts"));
  const { url: bareUrl } = (await told(bare)) as { url: string };
  const ready = lastOf(fanSockets);
  const watching: readonly WebSocket[] = await connectAll(socketUrl(engine), fanSockets, heard);
  for (const socket of watching) subscribe(socket, [0]);
  await ready;
  const listening = fork(join(import.meta.dirname, "parts", "listenerProcess.ts"), [bareUrl, String(fanSockets)]);
  await told(listening);

  const ours: number[] = [];
  const theirs: number[] = [];
  for (let n = 1; n <= rounds + warmup; n++) {
    const seen = lastOf(fanSockets);
    await writer.mutation(putMany, { from: 0, count: 1, n });
    const at = await seen;
    const committedAt = await engine.committedAt();
    const seenBare = told(listening) as Promise<{ at: string }>;
    bare.send(JSON.stringify({ n, type: "Transition", padding: "x".repeat(300) }));
    const { startedAt } = (await told(bare)) as { startedAt: string };
    const { at: bareAt } = await seenBare;
    if (n <= warmup) continue;
    ours.push(Number(at - committedAt) / 1e6);
    theirs.push(Number(BigInt(bareAt) - BigInt(startedAt)) / 1e6);
  }
  for (const share of [0.5, 0.99])
    report({
      name: `commit to the last of ${fanSockets} sockets on one query, p${share * 100}`,
      value: quantile(ours, share),
      unit: "ms",
      peer: quantile(theirs, share),
      ...(share === 0.99 && fanSockets >= 10_000 && { goal: atMost(1.5) }),
    });
  for (const socket of watching) socket.terminate();
  listening.disconnect();
  bare.disconnect();
  await writer.close();
}

function socketUrl({ url }: Host): string {
  return `${url.replace("http", "ws")}/api/sync`;
}
