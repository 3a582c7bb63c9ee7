/**
 * Fund transfers: fifty clients, each with one transfer in flight between two of 100,000 accounts, drawn evenly or by Zipf 1.5 (four in
 * five touch the same few), answered once durable. Ours through the real client and isolated functions; beside it a Postgres stored
 * procedure behind a WebSocket server, and the same clients against a server that answers at once, which is the most they can do.
 * `--accounts N --ms N --rounds N --warm N`.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { startEngine, told } from "./parts/engineHost.ts";
import { alternating, atLeast, load, mean, quantile, report, reportBeside, sizeOf, type Load } from "./parts/figure.ts";
import { startPostgres } from "./parts/postgres.ts";

const lanes = 50;
const accounts = sizeOf("accounts", 100_000);
const ms = sizeOf("ms", 4000);
const rounds = sizeOf("rounds", 2);
/** V8 compiles what is new to it for some seconds; a server runs for weeks. */
const warmMs = sizeOf("warm", 6000);
const perFill = 4000; // A transaction may write 16,000 documents; smaller ones leave the thread room.

const open = makeFunctionReference<"mutation", { from: number; count: number }, string[]>("accounts:open");
const transfer = makeFunctionReference<"mutation", { from: string; to: string; amount: number }, boolean>("accounts:transfer");

const cumulative = new Float64Array(accounts);
let sum = 0;
for (let i = 0; i < accounts; i++) cumulative[i] = sum += 1 / (i + 1) ** 1.5;
const evenly = (): number => Math.floor(Math.random() * accounts);
const byZipf = (): number => {
  const x = Math.random() * sum;
  let low = 0;
  let high = accounts - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cumulative[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
};
const pair = (pick: () => number): { from: number; to: number } => {
  const from = pick();
  const to = pick();
  return { from, to: to === from ? (to + 1) % accounts : to };
};

await using engine = await startEngine();
const clients = Array.from({ length: lanes }, () => new ConvexClient(engine.url, { logger: false }));
const ids: string[] = [];
for (let from = 0; from < accounts; from += perFill)
  ids.push(...(await clients[0]!.mutation(open, { from, count: Math.min(perFill, accounts - from) })));
const ours =
  (pick: () => number, forMs = ms) =>
  (): Promise<Load> =>
    load(lanes, forMs, async (lane) => {
      const { from, to } = pair(pick);
      const isDone = await clients[lane]!.mutation(transfer, { from: ids[from]!, to: ids[to]!, amount: 1 });
      if (!isDone) throw new Error("A transfer was refused.");
    });

const postgres = await startPostgres(accounts);
const callers = postgres ? await Promise.all(Array.from({ length: lanes }, async () => openCaller(postgres.url))) : [];
const theirs =
  (pick: () => number, forMs = ms) =>
  async (): Promise<Load | undefined> =>
    postgres && load(lanes, forMs, (lane) => callers[lane]!.call({ ...pair(pick), amount: 1 }));

const nothing = fork(join(import.meta.dirname, "parts", "nullProcess.ts"));
const { url: nothingUrl } = (await told(nothing)) as { url: string };
const idlers = Array.from({ length: lanes }, () => new ConvexClient(nothingUrl, { logger: false }));
const most = (): Promise<Load> =>
  load(lanes, ms / 2, (lane) => idlers[lane]!.mutation(transfer, { from: ids[0]!, to: ids[1]!, amount: 1 }));

await most();
await ours(evenly, warmMs)();
await theirs(evenly, warmMs)();
const [even, evenPeer, zipf, zipfPeer, bound] = await alternating<Load | undefined>(rounds, [
  ours(evenly),
  theirs(evenly),
  ours(byZipf),
  theirs(byZipf),
  most,
]);
const rate = (loads: readonly (Load | undefined)[] | undefined): number => mean(loads!.map((one) => one?.perSecond ?? 0));
const peerRate = (loads: readonly (Load | undefined)[] | undefined): number | null => (postgres ? rate(loads) : null);
const unit = "/s";
reportBeside("Postgres", {
  name: "fund transfer, 50 clients, uniform",
  value: rate(even),
  unit,
  peer: peerRate(evenPeer),
  goal: atLeast(1.5),
});
reportBeside("Postgres", {
  name: "fund transfer, 50 clients, Zipf 1.5",
  value: rate(zipf),
  unit,
  peer: peerRate(zipfPeer),
  goal: atLeast(6),
});
report({
  name: "fund transfer, Zipf 1.5 beside our own uniform",
  value: rate(zipf),
  unit,
  peer: rate(even),
  goal: atLeast(0.9),
});
report({ name: "the same 50 clients against a server that answers at once", value: rate(bound), unit });
const times = even!.flatMap((one) => one?.timesMs ?? []);
report({ name: "fund transfer, uniform, p50", value: quantile(times, 0.5), unit: "ms" });
report({ name: "fund transfer, uniform, p99", value: quantile(times, 0.99), unit: "ms" });

for (const { close } of callers) close();
await postgres?.stop();
await Promise.all([...clients, ...idlers].map((one) => one.close()));
nothing.disconnect();

async function openCaller(url: string) {
  const socket = new WebSocket(url);
  await new Promise((done) => socket.addEventListener("open", done));
  let answered: () => void = () => undefined;
  let lastId = 0;
  socket.addEventListener("message", () => answered());
  return {
    call: async (transferred: { from: number; to: number; amount: number }): Promise<void> => {
      const done = new Promise<void>((resolve) => (answered = resolve));
      socket.send(JSON.stringify({ id: ++lastId, ...transferred }));
      await done;
    },
    close: () => socket.close(),
  };
}
