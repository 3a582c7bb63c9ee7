/** Whether long queries hold mutations up: mutations one after another, in quiet and while one reader scans flat out. `--ms N --rounds N`. */
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { startEngine } from "./parts/engineHost.ts";
import { alternating, atMost, load, quantile, report, sizeOf, type Load } from "./parts/figure.ts";
import { caller } from "./parts/pocketbase.ts";

const ms = sizeOf("ms", 3000);
const rounds = sizeOf("rounds", 2);
const rows = 8000;
const note = makeFunctionReference<"mutation", { text: string }, string>("rows:note");
const fill = makeFunctionReference<"mutation", { size: number; from: number; count: number; chars: number }, null>("rows:fill");

await using engine = await startEngine();
const client = new ConvexClient(engine.url, { logger: false });
await client.mutation(fill, { size: 1, from: 0, count: rows, chars: 200 });
const call = caller(Number(new URL(engine.url).port));
let scans = 0;

const quiet = (): Promise<Load> => load(1, ms, () => client.mutation(note, { text: "a note" }));
const busy = async (): Promise<Load> => {
  const over = new AbortController();
  const reading = (async () => {
    // A number of its own makes each a question that was never asked.
    while (!over.signal.aborted)
      await call("POST", "/api/query", { path: "rows:scan", format: "json", args: [{ size: 1, count: rows, salt: ++scans }] });
  })();
  const result = await quiet();
  over.abort();
  await reading;
  return result;
};

await quiet();
const [alone, beside] = await alternating(rounds, [quiet, busy]);
const times = (loads: readonly Load[] | undefined): number[] => loads!.flatMap((one) => [...one.timesMs]);
for (const share of [0.5, 0.99])
  report({
    name: `mutation beside a reader that scans, p${share * 100}`,
    value: quantile(times(beside), share),
    unit: "ms",
    peer: quantile(times(alone), share),
    ...(share === 0.99 && { goal: atMost(2) }),
  });
report({ name: "scans of 8,000 rows meanwhile", value: scans / ((rounds * ms) / 1000), unit: "/s" });
await client.close();
