import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ConvexClient } from "convex/browser";
import { ConvexHttpClient } from "convex/browser";
import { api, internal } from "../../convex/_generated/api.js";
import { startLab, type LabAppliance } from "../../scripts/lab/appliance.ts";
import { handOver, settled } from "../../scripts/lab/ingest.ts";

const dir = mkdtempSync(join(tmpdir(), "nika-e2e-"));
const dataDir = join(dir, "data");
let appliance: LabAppliance;
let client: ConvexClient;

before(async () => {
  writeFileSync(
    join(dir, "lease.md"),
    "# Lease\n\n## Term\n\nThe lease of the workshop ends on 30 June 2031. Notice is six months.\n",
  );
  writeFileSync(join(dir, "boat.txt"), "The blue boat is moored at berth 14. Its engine was serviced in March.\n");
  writeFileSync(join(dir, "prices.csv"), "item,price\nrope,12\nanchor,340\n");
  writeFileSync(join(dir, "empty.txt"), "");
  writeFileSync(join(dir, "broken.pdf"), "%PDF-1.7\nnot much of one");
  appliance = await startLab({ dataDir });
  client = await appliance.client();
});
after(async () => {
  await appliance?.stop();
  rmSync(dir, { recursive: true, force: true });
});

test("a folder handed over is read, and each bad file keeps its reason", async () => {
  await handOver(client, dir, ["lease.md", "boat.txt", "prices.csv", "empty.txt", "broken.pdf"]);
  const counts = await settled(client);

  assert.equal(counts.ready, 3);
  assert.equal(counts.unreadable, 2);
  const documents = await client.query(api.documents.list, {});
  const problems = new Map(documents.map((document) => [document.name, document.problem?.problem]));
  assert.equal(problems.get("empty.txt"), "empty");
  assert.equal(problems.get("broken.pdf"), "damaged");
});

test("a question is answered by the passage that says so, with its place and the sentence marked", async () => {
  const { passages, embedder } = await appliance.ask("when does the workshop lease end?");
  const best = passages[0];

  assert.equal(best?.documentName, "lease.md");
  assert.match(best?.placeLabel ?? "", /Lease › Term/);
  const marked = best?.highlights.map(({ from, to }) => best.text.slice(from, to)).join(" ") ?? "";
  assert.match(marked, /30 June 2031/);
  assert.equal(embedder.isBaseline, true);
  assert.equal((await appliance.ask("what does an anchor cost?")).passages[0]?.documentName, "prices.csv");
});

test("a question leaves one line behind, and an unreadable file tells its job why", async () => {
  const question = "who owns the anchor?";
  const kept = new Promise<void>((done) => {
    const stop = client.onUpdate(api.events.list, {}, (events) => {
      if (!events.some(({ type, name }) => type === "asked" && name === question)) return;
      stop();
      done();
    });
  });
  await appliance.ask(question);
  await kept;
  const jobs = await client.query(api.jobs.list, {});
  assert.equal(jobs.find(({ label }) => label === "empty.txt")?.error?.code, "unreadable");
});

test("the same bytes under another name are the same document", async () => {
  writeFileSync(join(dir, "copy of boat.txt"), "The blue boat is moored at berth 14. Its engine was serviced in March.\n");
  const before = await client.query(api.documents.counts, {});
  await handOver(client, dir, ["copy of boat.txt"]);
  assert.deepEqual(await settled(client), before);
});

test("nobody but the owner may look, and an owner's token does not reach what is internal", async () => {
  const stranger = new ConvexHttpClient(appliance.url);
  await assert.rejects(stranger.query(api.documents.list, {}), /denied|owner/i);
  const owner = new ConvexHttpClient(appliance.url);
  owner.setAuth(await appliance.token());
  assert.equal((await owner.query(api.documents.list, {})).length, 5);
  // The types do not allow it either; a stranger does not use our types.
  await assert.rejects(owner.mutation(internal.workers.hello as never, {}), /Could not find public function/);
});

test("a forgotten document answers nothing any more, and its bytes are gone", async () => {
  const [boat] = await client.query(api.documents.find, { name: "boat.txt" });
  assert(boat);
  const gone = new Promise<void>((done) => {
    const stop = client.onUpdate(api.documents.get, { id: boat.id }, (document) => {
      if (document !== null) return;
      stop();
      done();
    });
  });
  await client.mutation(api.documents.forget, { id: boat.id });
  await gone;
  const { passages } = await appliance.ask("where is the blue boat moored?");
  assert.equal(
    passages.some((passage) => passage.documentName === "boat.txt"),
    false,
  );
});

test("a second appliance on the same data is refused with a sentence", async () => {
  await assert.rejects(startLab({ dataDir }), /Another Nika is running/);
});

test("after kill -9 everything acknowledged is still there", async () => {
  const before = await client.query(api.documents.counts, {});
  await appliance.kill();
  appliance = await startLab({ dataDir });
  client = await appliance.client();

  assert.deepEqual(await settled(client), before);
  assert.equal((await appliance.ask("when does the workshop lease end?")).passages[0]?.documentName, "lease.md");
});

test("a stopped appliance leaves no run file behind", async () => {
  assert.equal(existsSync(join(dataDir, "run.json")), true);
  await appliance.stop();
  assert.equal(existsSync(join(dataDir, "run.json")), false);
  appliance = await startLab({ dataDir });
});
