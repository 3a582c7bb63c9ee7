/** Through Qdrant's client on loopback: what an answer costs beyond the client itself, and how fast passages go in for good. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QdrantClient } from "@qdrant/js-client-rest";
import { startVectors } from "../../../appliance/vectors/vectors.ts";
import { collection, dimensions, indexes, passages } from "./parts/data.ts";
import { atLeast, atMost, median, report, timed } from "./parts/figure.ts";

const [count, batch, questions] = [20_000, 256, 300];
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
let insertMs = 0;
for (let from = 0; from < count; from += batch) {
  const points = Array.from({ length: Math.min(batch, count - from) }, (_, i) => point(from + i));
  const [ms] = await timed(1, () => client.upsert("c", { wait: true, points }));
  insertMs += ms!;
}
const rate = count / (insertMs / 1000);
report(
  { name: `durable inserts, batches of ${batch}, ${dimensions} floats + words + 1 KB`, value: rate, unit: "points/s" },
  atLeast(5_000),
);

// The client's own floor: the same requests to a server that has the answer ready.
const canned = JSON.stringify({ result: await client.query("c", question()), status: "ok", time: 0.001 });
const empty = createServer((request, response) => {
  request.resume().on("end", () => {
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(canned) }).end(canned);
  });
});
await new Promise<void>((done) => empty.listen(0, "127.0.0.1", done));
const floor = connect(`http://127.0.0.1:${(empty.address() as AddressInfo).port}`);

const asked = Array.from({ length: questions }, () => question());
const dense = asked.map(({ prefetch: [text], filter, limit }) => ({ ...text!, filter, limit, with_payload: true }));
for (const warmUp of asked.slice(0, 100)) await Promise.all([client.query("c", warmUp), floor.query("c", warmUp)]);
const figures: Record<string, number[]> = { hybrid: [], hybridFloor: [], dense: [], denseFloor: [] };
// Taken in turns, so that whatever else the machine does hits all alike.
for (let i = 0; i < questions; i++) {
  figures["hybrid"]!.push(...(await timed(1, () => client.query("c", asked[i]!))));
  figures["hybridFloor"]!.push(...(await timed(1, () => floor.query("c", asked[i]!))));
  figures["dense"]!.push(...(await timed(1, () => client.query("c", dense[i]!))));
  figures["denseFloor"]!.push(...(await timed(1, () => floor.query("c", dense[i]!))));
}
const p50 = (name: string): number => median(figures[name]!);
const peer = "(peer: the client alone)";
report(
  { name: `hybrid question, ${count} passages, p50 ${peer}`, value: p50("hybrid"), unit: "ms", peer: p50("hybridFloor") },
  atMost(3),
);
report(
  { name: `filtered vector query, ${count} passages, p50 ${peer}`, value: p50("dense"), unit: "ms", peer: p50("denseFloor") },
  atMost(1.5),
);

empty.close();
empty.closeAllConnections();
await store.close();
rmSync(dir, { recursive: true, force: true });
process.exit();
