/**
 * Durable mutations: one insert each, from 1, 10 and 100 clients with one call in flight. Beside them PocketBase creating the same
 * record, and what the disk itself takes to make a small append durable. `--ms N --rounds N`.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { scratch, startEngine } from "./parts/engineHost.ts";
import { alternating, atLeast, atMost, load, mean, quantile, report, reportBeside, sizeOf, type Load } from "./parts/figure.ts";
import { startPocketBase } from "./parts/pocketbase.ts";

const ms = sizeOf("ms", 2000);
const rounds = sizeOf("rounds", 2);
const insert = makeFunctionReference<"mutation", { slot: number; n: number }, null>("bench:add");

await using engine = await startEngine();
const clients = Array.from({ length: 100 }, () => new ConvexClient(engine.url, { logger: false }));
const pocketBase = await startPocketBase();
const scratchDir = await scratch("sync");
const file = openSync(join(scratchDir, "append"), "w");
const page = Buffer.alloc(4096, 1);

const ours = (lanes: number) => (): Promise<Load> =>
  load(lanes, ms, (lane) => clients[lane]!.mutation(insert, { slot: lane, n: 1 }));
const theirs = (lanes: number) => async (): Promise<Load | undefined> =>
  pocketBase && load(lanes, ms, (lane) => pocketBase.create({ slot: lane, n: 1 }));
const disk = (): Promise<Load> =>
  load(1, ms / 2, async () => {
    writeSync(file, page);
    fdatasyncSync(file);
  });

await ours(100)();
const [sync, ...both] = await alternating<Load | undefined>(rounds, [
  disk,
  ours(1),
  theirs(1),
  ours(10),
  theirs(10),
  ours(100),
  theirs(100),
]);
const all = (loads: readonly (Load | undefined)[] | undefined): number[] => loads!.flatMap((one) => [...(one?.timesMs ?? [])]);
const rate = (loads: readonly (Load | undefined)[] | undefined): number => mean(loads!.map((one) => one?.perSecond ?? 0));

for (const [i, lanes] of [1, 10, 100].entries()) {
  const goal = lanes === 100 ? { goal: atLeast(3) } : {};
  const peer = pocketBase ? rate(both[i * 2 + 1]) : null;
  reportBeside("PocketBase", {
    name: `durable mutations, ${lanes} clients`,
    value: rate(both[i * 2]),
    unit: "/s",
    peer,
    ...goal,
  });
}
const alone = all(both[0]);
const syncP50 = quantile(all(sync), 0.5);
const syncP99 = quantile(all(sync), 0.99);
report({ name: "fdatasync of one page, p50", value: syncP50, unit: "ms" });
report({ name: "fdatasync of one page, p99", value: syncP99, unit: "ms" });
report({ name: "one mutation alone, p50", value: quantile(alone, 0.5), unit: "ms", goal: atMost(2 * syncP50 + 0.5) });
report({ name: "one mutation alone, p99", value: quantile(alone, 0.99), unit: "ms", goal: atMost(5 * syncP99 + 2) });

closeSync(file);
await rm(scratchDir, { recursive: true, force: true });
await pocketBase?.stop();
await Promise.all(clients.map((one) => one.close()));
