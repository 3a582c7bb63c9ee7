/** Run by crash.test.ts in a process that is killed: writes batches for ever and says which ones were acknowledged. */
import { QdrantClient } from "@qdrant/js-client-rest";
import { startVectors } from "../../../appliance/vectors/vectors.ts";
import { batchSize, pointsOf } from "./crashData.ts";

const [dir, firstBatch] = process.argv.slice(2) as [string, string];
const store = await startVectors({ dir, apiKey: "k", host: "127.0.0.1", log: (line) => process.send!({ log: line }) });
const client = new QdrantClient({ url: store.url, headers: { "api-key": "k" }, checkCompatibility: false });
if (!(await client.collectionExists("c")).exists) {
  await client.createCollection("c", {
    vectors: { v: { size: 64, distance: "Cosine" } },
    sparse_vectors: { s: { modifier: "idf" } },
  });
}
await client.createPayloadIndex("c", { field_name: "batch", field_schema: "integer", wait: true });
process.send!({ started: true });
for (let batch = Number(firstBatch); ; batch++) {
  await client.upsert("c", { wait: true, points: pointsOf(batch, batchSize) });
  process.send!({ acknowledged: batch });
  const filter = { must: [{ key: "batch", match: { value: batch } }] };
  if (batch % 3 === 1) {
    await client.setPayload("c", { wait: true, payload: { mark: true }, filter });
    process.send!({ marked: batch });
  }
  // Now and then one of the last batches goes again, in one write: it must be there whole or not at all.
  if (batch % 5 === 4) {
    await client.delete("c", { wait: true, filter });
    process.send!({ deleted: batch });
  }
}
