/**
 * Point queries: one document of 10,000, through HTTP with 16 connections and through the real client's socket; beside them PocketBase's
 * view of one record. Then the first row of a long index beside that of a short one. `--ms N --rounds N --warm N --rows N` (`--full`: a million).
 */
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { startEngine } from "./parts/engineHost.ts";
import { alternating, atLeast, atMost, load, mean, quantile, report, reportBeside, sizeOf, type Load } from "./parts/figure.ts";
import { caller, startPocketBase } from "./parts/pocketbase.ts";

const lanes = 16;
const documents = 10_000;
const ms = sizeOf("ms", 1500);
/** V8 compiles what is new to it for some seconds; a server runs for weeks. */
const warmMs = sizeOf("warm", 4000);
const rounds = sizeOf("rounds", 2);
const longRows = sizeOf("rows", 100_000, 1_000_000);
const shortRows = 1000;
const perFill = 4000;

const open = makeFunctionReference<"mutation", { from: number; count: number }, string[]>("accounts:open");
const get = makeFunctionReference<"query", { id: string }, object>("accounts:get");
const fill = makeFunctionReference<"mutation", { size: number; from: number; count: number; chars: number }, null>("rows:fill");

await using engine = await startEngine();
const clients = Array.from({ length: lanes }, () => new ConvexClient(engine.url, { logger: false }));
const client = clients[0]!;
const call = caller(Number(new URL(engine.url).port));
const ids: string[] = [];
for (let from = 0; from < documents; from += perFill)
  ids.push(...(await client.mutation(open, { from, count: Math.min(perFill, documents - from) })));
for (const size of [shortRows, longRows])
  for (let from = 0; from < size; from += perFill)
    await client.mutation(fill, { size, from, count: Math.min(perFill, size - from), chars: 20 });

const pocketBase = await startPocketBase();
const records: string[] = [];
if (pocketBase)
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let i = lane; i < documents; i += lanes) records[i] = (await pocketBase.create({ slot: i, n: i })).id;
    }),
  );

const any = (of: readonly string[]): string => of[Math.floor(Math.random() * of.length)]!;
const overHttp = (forMs = ms): Promise<Load> =>
  load(lanes, forMs, () => call("POST", "/api/query", { path: "accounts:get", format: "json", args: [{ id: any(ids) }] }));
const overSocket = (forMs = ms): Promise<Load> => load(lanes, forMs, (lane) => clients[lane]!.query(get, { id: any(ids) }));
const theirs = async (forMs = ms): Promise<Load | undefined> =>
  pocketBase && load(lanes, forMs, () => pocketBase.get(any(records)));
// Each question is a new one, or the answer would come from memory.
const takeOne = (size: number) => (): Promise<Load> =>
  load(1, ms / 3, () =>
    call("POST", "/api/query", { path: "rows:first", format: "json", args: [{ size, salt: Math.random() }] }),
  );

for (const warm of [overHttp, overSocket, theirs]) await warm(warmMs);
const [http, socket, peer, short, long] = await alternating<Load | undefined>(rounds, [
  () => overHttp(),
  () => overSocket(),
  () => theirs(),
  takeOne(shortRows),
  takeOne(longRows),
]);
const rate = (loads: readonly (Load | undefined)[] | undefined): number => mean(loads!.map((one) => one?.perSecond ?? 0));
const p50 = (loads: readonly (Load | undefined)[] | undefined): number =>
  quantile(
    loads!.flatMap((one) => [...(one?.timesMs ?? [])]),
    0.5,
  );
const peerRate = pocketBase ? rate(peer) : null;
const unit = "/s";
reportBeside("PocketBase", { name: "point query over HTTP", value: rate(http), unit, peer: peerRate, goal: atLeast(2) });
reportBeside("PocketBase", { name: "point query over a socket", value: rate(socket), unit, peer: peerRate, goal: atLeast(2) });
report({
  name: `take(1) of ${longRows} rows beside ${shortRows}, p50`,
  value: p50(long),
  unit: "ms",
  peer: p50(short),
  goal: atMost(2),
});

await pocketBase?.stop();
await Promise.all(clients.map((one) => one.close()));
