/**
 * The crash drill: hand over a folder, kill the appliance at random moments, start it again, and at the end count: every document ready
 * exactly once, no passage missing or doubled, no job stuck. `node scripts/crash.ts [KILLS] [DOCUMENTS] [SEED]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QdrantClient } from "@qdrant/js-client-rest";
import { startVectors } from "../appliance/vectors/vectors.ts";
import { api } from "../convex/_generated/api.js";
import { makeCorpus } from "../tests/fixtures/corpus.ts";
import { startLab } from "./lab/appliance.ts";
import { everyDocument } from "./lab/documents.ts";
import { handOver, settled } from "./lab/ingest.ts";

const [kills = 20, documentCount = 1_000, seed = 7] = process.argv.slice(2).map(Number);
const dir = mkdtempSync(join(tmpdir(), "nika-crash-"));
const random = lcg(seed);

try {
  const corpus = makeCorpus(join(dir, "corpus"), documentCount, seed);
  const expected = await undisturbed(corpus.files);

  const dataDir = join(dir, "data");
  let appliance = await startLab({ dataDir });
  await handOver(await appliance.client(), join(dir, "corpus"), corpus.files);
  for (let kill = 1; kill <= kills; kill++) {
    await new Promise((done) => setTimeout(done, 50 + random() * 700));
    await appliance.kill();
    appliance = await startLab({ dataDir });
    console.log(`kill ${kill}: up again after ${appliance.startMs.toFixed(0)} ms`);
  }
  const client = await appliance.client();
  const counts = await settled(client);
  const jobs = await client.query(api.jobs.counts, {});
  const documents = new Map((await everyDocument(client)).map(({ id, reading }) => [id as string, reading?.passages ?? 0]));
  await appliance.stop();
  const store = await inspect(dataDir, documents);

  const problems = [
    counts.ready === expected.ready ? "" : `${counts.ready} documents are ready, not ${expected.ready}`,
    counts.passages === expected.passages ? "" : `the documents say ${counts.passages} passages, not ${expected.passages}`,
    store.passages === expected.passages ? "" : `the store holds ${store.passages} passages, not ${expected.passages}`,
    store.wrong === 0 ? "" : `${store.wrong} documents have missing or doubled passages in the store`,
    jobs.ready + jobs.leased === 0 ? "" : `${jobs.ready + jobs.leased} jobs are still open`,
    jobs.dead === 0 ? "" : `${jobs.dead} jobs died`,
  ].filter((problem) => problem !== "");
  for (const problem of problems) console.error(problem);
  console.log(`crash drill: ${kills} kills, ${counts.ready} documents, ${store.passages} passages, ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

/** The same folder without a kill: what must come out. */
async function undisturbed(files: readonly string[]): Promise<{ ready: number; passages: number }> {
  const appliance = await startLab({ dataDir: join(dir, "calm") });
  const client = await appliance.client();
  await handOver(client, join(dir, "corpus"), files);
  const counts = await settled(client);
  await appliance.stop();
  return counts;
}

/** Opens the store of a stopped appliance and reads every point: how many passages, and how many are doubled, missing or nobody's. */
async function inspect(dataDir: string, documents: ReadonlyMap<string, number>): Promise<{ passages: number; wrong: number }> {
  const store = await startVectors({ dir: join(dataDir, "vectors"), apiKey: "drill", host: "127.0.0.1", log: () => {} });
  const qdrant = new QdrantClient({ url: store.url, apiKey: "drill", checkCompatibility: false });
  const held = new Map<string, number[]>();
  let passages = 0;
  for (let offset: string | number | undefined; ;) {
    const page = await qdrant.scroll("nika_vault", {
      limit: 1_000,
      with_payload: ["document_id", "ordinal"],
      ...(offset !== undefined && { offset }),
    });
    for (const { payload } of page.points) {
      const id = String(payload?.["document_id"]);
      held.set(id, [...(held.get(id) ?? []), Number(payload?.["ordinal"])]);
      passages++;
    }
    if (page.next_page_offset === null || page.next_page_offset === undefined) break;
    offset = page.next_page_offset as string | number;
  }
  await store.close();
  let wrong = [...held.keys()].filter((id) => !documents.has(id)).length;
  for (const [id, count] of documents) {
    const ordinals = (held.get(id) ?? []).toSorted((a, b) => a - b);
    if (ordinals.length !== count || ordinals.some((ordinal, at) => ordinal !== at)) wrong++;
  }
  return { passages, wrong };
}

function lcg(start: number): () => number {
  let state = start;
  return () => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
}
