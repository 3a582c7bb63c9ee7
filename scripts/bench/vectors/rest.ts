/** Through Qdrant's client on loopback: what an answer costs beyond the client itself, and how fast passages go in for good. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { QdrantClient } from "@qdrant/js-client-rest";
import { startVectors } from "../../../appliance/vectors/vectors.ts";
import { collection, dimensions, indexes, passages } from "./parts/data.ts";
import { atLeast, atMost, median, report, timed } from "./parts/figure.ts";

const [count, batch, questions] = [20_000, 256, 300];
const onTheWay = 4;
const dir = mkdtempSync(join(tmpdir(), "nika-bench-"));
const apiKey = "bench";
const connect = (url: string) => new QdrantClient({ url, headers: { "api-key": apiKey }, checkCompatibility: false });

const store = await startVectors({ dir, apiKey, host: "127.0.0.1", log: console.error });
const client = connect(store.url);
await client.createCollection("c", collection);
for (const [field_name, field_schema] of Object.entries(indexes)) {
  await client.createPayloadIndex("c", { field_name, field_schema, wait: true });
}

const { point, question } = passages(12);
const batches = Array.from({ length: Math.ceil(count / batch) }, (_, b) =>
  Array.from({ length: Math.min(batch, count - b * batch) }, (_, i) => point(b * batch + i)),
);
const put = (points: (typeof batches)[number]): Promise<unknown> => client.upsert("c", { wait: true, points });
const what = `durable inserts, batches of ${batch}, ${dimensions} floats + words + 1 KB`;
// One at a time the client writes JSON while the store waits, and the other way round; who loads much keeps several on the way.
const half = batches.length >> 1;
const [serialMs] = await timed(1, async () => {
  for (const points of batches.slice(0, half)) await put(points);
});
report({ name: `${what}, one batch on the way`, value: (half * batch) / (serialMs! / 1000), unit: "points/s" });
const waiting = batches.slice(half);
const [loadedMs] = await timed(1, () =>
  Promise.all(
    Array.from({ length: onTheWay }, async () => {
      for (let points = waiting.shift(); points; points = waiting.shift()) await put(points);
    }),
  ),
);
report(
  {
    name: `${what}, ${onTheWay} batches on the way`,
    value: (count - half * batch) / (loadedMs! / 1000),
    unit: "points/s",
  },
  atLeast(5_000),
);

// The client's own floor: the same requests to a server, in a thread as the store is, that has the answer ready.
const canned = JSON.stringify({ result: await client.query("c", question()), status: "ok", time: 0.001 });
const empty = new Worker(new URL("./parts/emptyServer.ts", import.meta.url), { workerData: canned });
const [floorPort] = (await once(empty, "message")) as [number];
const floor = connect(`http://127.0.0.1:${floorPort}`);

const asked = Array.from({ length: questions }, () => question());
const all = asked.map(({ prefetch: [text], limit }) => ({ ...text!, limit, with_payload: true }));
const few = all.map((body, i) => ({ ...body, filter: { must: [{ key: "domain", match: { value: `domain ${i % 100}` } }] } }));
const rows = [
  { name: "hybrid question of one tenant", bodies: asked, ratioMax: 3 },
  { name: "vector query of one tenant", bodies: all, ratioMax: 3 },
  { name: "vector query, 1 % filter", bodies: few, ratioMax: 1.5 },
].map((row) => ({ ...row, ours: [] as number[], floor: [] as number[] }));
for (const warmUp of asked.slice(0, 100)) await Promise.all([client.query("c", warmUp), floor.query("c", warmUp)]);
// Taken in turns, so that whatever else the machine does hits all alike.
for (let i = 0; i < questions; i++) {
  for (const row of rows) {
    row.ours.push(...(await timed(1, () => client.query("c", row.bodies[i]!))));
    row.floor.push(...(await timed(1, () => floor.query("c", row.bodies[i]!))));
  }
}
for (const { name, ratioMax, ours, floor } of rows) {
  const full = `${name}, ${count} passages, p50 (peer: the client alone)`;
  report({ name: full, value: median(ours), unit: "ms", peer: median(floor) }, atMost(ratioMax));
}

await empty.terminate();
await store.close();
rmSync(dir, { recursive: true, force: true });
process.exit();
