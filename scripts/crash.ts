/**
 * The crash drill: hand over a folder with archives in it and documents with pictures, part of it to be reviewed; kill the appliance at
 * random moments, start it again, accept, and at the end count: every document ready exactly once, no passage, entry or picture missing or
 * doubled, nothing held back, no job stuck, and the batches say so. `node scripts/crash.ts [KILLS] [DOCUMENTS] [SEED]`
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QdrantClient } from "@qdrant/js-client-rest";
import { startVectors } from "../appliance/vectors/vectors.ts";
import { api } from "../convex/_generated/api.js";
import type { Id } from "../convex/_generated/dataModel.js";
import type { ConvexClient } from "convex/browser";
import { makeCorpus } from "../tests/fixtures/corpus.ts";
import { makeDocx } from "../tests/fixtures/makeDocx.ts";
import { makePng } from "../tests/fixtures/makePng.ts";
import { makeZip } from "../tests/fixtures/makeZip.ts";
import { startLab } from "./lab/appliance.ts";
import { everyDocument } from "./lab/documents.ts";
import { handOver, idle, settled } from "./lab/ingest.ts";

const [kills = 20, documentCount = 1_000, seed = 7] = process.argv.slice(2).map(Number);
const dir = mkdtempSync(join(tmpdir(), "nika-crash-"));
const random = lcg(seed);
/** Crashes are to meet work in progress, whatever else this machine does. */
const environment = { NIKA_POLITE: "no" };
const picturesMax = 10_000;
const isFound = { must: [{ key: "held", match: { value: "" } }] };

try {
  const corpus = makeCorpus(join(dir, "corpus"), documentCount, seed);
  const extras = makeExtras(join(dir, "extras"), Math.max(4, Math.round(documentCount / 25)));
  const expected = await undisturbed(corpus.files, extras);

  const dataDir = join(dir, "data");
  let appliance = await startLab({ dataDir, environment });
  const batchId = await handOverAll(await appliance.client(), corpus.files, extras);
  for (let kill = 1; kill <= kills; kill++) {
    await new Promise((done) => setTimeout(done, 50 + random() * 700));
    await appliance.kill();
    appliance = await startLab({ dataDir, environment });
    console.log(`kill ${kill}: up again after ${appliance.startMs.toFixed(0)} ms`);
  }
  let client = await appliance.client();
  await settled(client);
  await client.mutation(api.batches.decide, { id: batchId, isAccepted: true });
  // The owner's word, too, must survive: killed while it is carried out.
  await new Promise((done) => setTimeout(done, random() * 60));
  await appliance.kill();
  appliance = await startLab({ dataDir, environment });
  client = await appliance.client();
  const counts = await decided(client, batchId);
  const pictures = await picturesOf(client);
  const jobs = await client.query(api.jobs.counts, {});
  const batches = await client.query(api.batches.list, {});
  const documents = new Map((await everyDocument(client)).map(({ id, reading }) => [id as string, reading?.passages ?? 0]));
  await appliance.stop();
  const store = await inspect(dataDir, documents);
  const inBatches = batches.reduce((sum, { sums }) => sum + sums.ready, 0);
  const open = batches.filter(({ sums }) => sums.waiting + sums.reading + sums.staged + sums.forgetting > 0).length;

  const problems = [
    counts.ready === expected.ready ? "" : `${counts.ready} documents are ready, not ${expected.ready}`,
    counts.passages === expected.passages ? "" : `the documents say ${counts.passages} passages, not ${expected.passages}`,
    store.passages === expected.passages ? "" : `the store holds ${store.passages} passages, not ${expected.passages}`,
    pictures === expected.pictures ? "" : `${pictures} pictures are kept, not ${expected.pictures}`,
    store.pictures === expected.pictures ? "" : `${store.pictures} pictures are found, not ${expected.pictures}`,
    store.pictureTwins === 0 ? "" : `${store.pictureTwins} pictures are held back or doubled in the store`,
    inBatches === counts.ready ? "" : `the batches say ${inBatches} documents are ready, not ${counts.ready}`,
    open === 0 ? "" : `${open} batches still count documents that are not done`,
    store.held === 0 ? "" : `${store.held} passages are held back from searches`,
    store.wrong === 0 ? "" : `${store.wrong} documents have missing or doubled passages in the store`,
    jobs.ready + jobs.leased === 0 ? "" : `${jobs.ready + jobs.leased} jobs are still open`,
    jobs.dead === 0 ? "" : `${jobs.dead} jobs died`,
  ].filter((problem) => problem !== "");
  for (const problem of problems) console.error(problem);
  console.log(
    `crash drill: ${kills} kills, ${counts.ready} documents, ${store.passages} passages, ${pictures} pictures, ${problems.length} problems`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

/** The same files without a kill: what must come out. */
async function undisturbed(
  files: readonly string[],
  extras: readonly string[],
): Promise<{ ready: number; passages: number; pictures: number }> {
  const appliance = await startLab({ dataDir: join(dir, "calm"), environment });
  const client = await appliance.client();
  const batchId = await handOverAll(client, files, extras);
  await settled(client);
  await client.mutation(api.batches.decide, { id: batchId, isAccepted: true });
  const counts = { ...(await decided(client, batchId)), pictures: await picturesOf(client) };
  await appliance.stop();
  return counts;
}

/** The corpus in one batch, what holds files and pictures in another that is to be reviewed. */
async function handOverAll(client: ConvexClient, files: readonly string[], extras: readonly string[]): Promise<Id<"batches">> {
  const open = (label: string, isReviewed: boolean): Promise<Id<"batches">> =>
    client.mutation(api.batches.open, { label, origin: "command", isReviewed });
  const [plain, reviewed] = [await open("corpus", false), await open("extras", true)];
  await handOver(client, join(dir, "extras"), extras, { batchId: reviewed });
  await handOver(client, join(dir, "corpus"), files, { batchId: plain });
  return reviewed;
}

/** Documents with two pictures each, and archives of texts, one in another. */
function makeExtras(folder: string, count: number): string[] {
  mkdirSync(folder, { recursive: true });
  const names: string[] = [];
  const write = (name: string, bytes: Uint8Array): void => {
    writeFileSync(join(folder, name), bytes);
    names.push(name);
  };
  const texts = (of: string): Record<string, string> =>
    Object.fromEntries(
      Array.from({ length: 6 }, (_, at) => [`in/${at}.txt`, `Note ${at} of ${of} tells of berth ${at * 7} at the quay.\n`]),
    );
  for (let at = 0; at < count; at++) {
    const pictures = [0, 1].map((one) => ({ picture: makePng(160 + at, 120 + one, 0x1020 * (at + 1) + one) }));
    write(`drawn ${at}.docx`, makeDocx({ title: `Drawn ${at}`, blocks: [{ text: `Two drawings of boat ${at}.` }, ...pictures] }));
    const inner = makeZip(texts(`inner ${at}`));
    write(`packed ${at}.zip`, makeZip({ ...texts(`packed ${at}`), "more/inner.zip": inner }));
  }
  return names;
}

async function picturesOf(client: ConvexClient): Promise<number> {
  let pictures = 0;
  for (const { id } of await everyDocument(client))
    pictures += (await client.query(api.pictures.ofDocument, { documentId: id })).length;
  return pictures;
}

/** Resolves when the owner's word was carried out, with the counts of then. */
async function decided(client: ConvexClient, id: Id<"batches">): Promise<{ ready: number; passages: number }> {
  await new Promise<void>((resolve, reject) => {
    const stop = client.onUpdate(
      api.batches.summary,
      { id },
      (summary) => {
        if (summary?.batch.state === "deciding") return;
        stop();
        resolve();
      },
      reject,
    );
  });
  const counts = await settled(client);
  await idle(client);
  return counts;
}

/** Opens the store of a stopped appliance and reads every point: how many, how many no search finds, and how many documents have wrong ones. */
async function inspect(
  dataDir: string,
  documents: ReadonlyMap<string, number>,
): Promise<{ passages: number; held: number; wrong: number; pictures: number; pictureTwins: number }> {
  const store = await startVectors({ dir: join(dataDir, "vectors"), apiKey: "drill", host: "127.0.0.1", log: () => {} });
  const qdrant = new QdrantClient({ url: store.url, apiKey: "drill", checkCompatibility: false });
  const held = new Map<string, number[]>();
  let [passages, withheld] = [0, 0];
  const pictures = new Set<string>();
  const gallery = await qdrant.scroll("nika_multimodal", { limit: picturesMax, with_payload: true, filter: isFound });
  for (const { payload } of gallery.points) pictures.add(`${String(payload?.["document_id"])} ${String(payload?.["ordinal"])}`);
  const { count: inGallery } = await qdrant.count("nika_multimodal", { exact: true });
  for (let offset: string | number | undefined; ;) {
    const page = await qdrant.scroll("nika_vault", {
      limit: 1_000,
      with_payload: ["document_id", "ordinal", "held"],
      ...(offset !== undefined && { offset }),
    });
    for (const { payload } of page.points) {
      const id = String(payload?.["document_id"]);
      held.set(id, [...(held.get(id) ?? []), Number(payload?.["ordinal"])]);
      passages++;
      if ((payload?.["held"] ?? "") !== "") withheld++;
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
  return { passages, held: withheld, wrong, pictures: pictures.size, pictureTwins: inGallery - pictures.size };
}

function lcg(start: number): () => number {
  let state = start;
  return () => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
}
