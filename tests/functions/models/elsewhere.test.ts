/** A vault that moves while workers on other machines write to it, each in its own time. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { followingVault } from "../../../appliance/workerSpaces.ts";
import { qdrantVectors } from "../../../appliance/qdrant/vectors.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import { workerSubject } from "../../../convex/model/joined.ts";
import { ownerTenant } from "../../../convex/model/tenant.ts";
import { deployModel } from "../../../functions/models/deploy.ts";
import type { Embedder } from "../../../functions/ports/embedder.ts";
import type { Spaces } from "../../../functions/ports/spaces.ts";
import type { Vectors } from "../../../functions/ports/vectors.ts";
import { textToEmbed } from "../../../ml/embed/textToEmbed.ts";
import { indexed } from "../../../ml/retrieve/terms.ts";
import { apiKey, openStore } from "../../appliance/vectors/openStore.ts";
import { addText, only } from "../../contracts/lab.ts";
import { madeEmbedders, recordOf } from "../../fakes/embedders.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const never = new AbortController().signal;
const tenantId = ownerTenant;
const store = await openStore();
after(() => store[Symbol.asyncDispose]());

async function open() {
  for (const { name } of (await store.client.getCollections()).collections) await store.client.deleteCollection(name);
  const state = openFakeState();
  const embedders = madeEmbedders();
  const at = { url: store.url, apiKey, embedderId: embedders.old.id };
  const home = qdrantVectors({ ...at, record: recordOf(state, embedders) });
  const spaces: Spaces = { ...home.spaces, find: embedders.find };
  await home.count({ tenantId });
  const { read, embedder, watch } = recordOf(state, embedders);
  /** `hears` false: no word of a change reaches it, so it learns of one when it asks. */
  const worker = (hears = true): Vectors =>
    followingVault(qdrantVectors({ ...at, record: { read, embedder, watch: hears ? watch : () => undefined } }));
  return { state, embedders, home, spaces, worker };
}

/** As reading a document does it: by whatever is in force when it begins. */
async function put(vectors: Vectors, documentId: string, count: number, of: (id: string) => Promise<Embedder | undefined>) {
  const title = `About ${documentId}`;
  async function* passages() {
    const embedder = (await of((await vectors.generation()).embedderId!))!;
    for (let ordinal = 0; ordinal < count; ordinal += 1) {
      const text = `Paragraph ${ordinal} of ${documentId} speaks of boat${ordinal} and harbour ${ordinal * 7}.`;
      const made = textToEmbed({ title, place: {}, text });
      const [vector] = await embedder.passages([made], never);
      const about = { documentName: `${documentId}.md`, title, text, place: {}, language: "en", format: "markdown" };
      yield { documentId, ordinal, vector: vector!, embedderId: embedder.id, ...indexed(made), ...about };
    }
  }
  await vectors.replace({ tenantId, documentId }, passages(), never);
}

/** Every document of `counts` is whole in both spaces, with nothing else, each in the numbers of that space's own embedder. */
async function assertBoth({ state, embedders }: Awaited<ReturnType<typeof open>>, counts: Readonly<Record<string, number>>) {
  const { live, beside } = await state.query(internal.generations.spaces, {});
  assert(live && beside);
  for (const { collection, embedderId } of [live, beside]) {
    const { points } = await store.client.scroll(collection, { limit: 10_000, with_payload: true, with_vector: ["text"] });
    const fresh = await (await embedders.of(embedderId))!.passages(
      points.map(({ payload }) => textToEmbed(payload as never)),
      never,
    );
    const found: Record<string, number> = {};
    for (const [at, { payload, vector }] of points.entries()) {
      const stored = (vector as { text: number[] }).text;
      assert.ok(stored.reduce((sum, value, d) => sum + value * fresh[at]![d]!, 0) > 0.999, `a vector of ${embedderId}`);
      assert.equal(payload?.["held"], "");
      const name = String(payload?.["document_id"]);
      found[name] = (found[name] ?? 0) + 1;
    }
    assert.deepEqual(found, counts, collection);
  }
}

const deploy = async (state: FakeState, spaces: Spaces) => {
  const generationId = await state.owner.mutation(api.generations.deploy, { modelId: "bge" });
  const call = { jobId: "j", args: { generationId }, attempt: 1, signal: never, progress: () => undefined };
  return deployModel.run(call, { state, spaces });
};

test("documents that another machine reads before, during and after a move are in both spaces", async () => {
  const vault = await open();
  const { state, spaces, embedders, worker } = vault;
  const [prompt, late] = [worker(), worker(false)];
  const counts: Record<string, number> = {};
  const read = async (vectors: Vectors, name: string, count: number): Promise<void> => {
    await put(vectors, name, count, embedders.of);
    counts[name] = count;
  };
  for (let at = 0; at < 6; at += 1) await read(prompt, `before${at}`, 20);
  await read(late, "changed", 9);
  let pages = 0;
  const writing: Spaces = {
    ...spaces,
    copy: async (cursor, signal) => {
      const page = await spaces.copy(cursor, signal);
      if ((pages += 1) === 1) {
        await read(prompt, "during", 70);
        await read(late, "later", 5);
        await read(prompt, "changed", 4);
        await late.remove({ tenantId, documentId: "before0" });
        delete counts["before0"];
      }
      return page;
    },
  };
  await deploy(state, writing);
  await read(late, "after", 6);
  await read(prompt, "changed", 2);
  await assertBoth(vault, counts);
  assert.equal((await state.query(internal.generations.spaces, {})).live?.embedderId, "bge-made");
});

test("nothing changes places while another machine has a document in hand, and what that wrote to one space alone gets to both", async () => {
  const vault = await open();
  const { state, spaces, embedders, home } = vault;
  await put(home, "d", 10, embedders.of);
  const hash = "0".repeat(64);
  await state.owner.mutation(api.workers.addToken, { name: "far", hash });
  const token = await state.query(internal.workers.findToken, { hash });
  const far = state.as(`${workerSubject}${token!.id}`);
  const about = { host: "h", version: "1", lanes: { now: 1, work: 1, bulk: 1 }, kinds: ["documents.ingest"] };
  const { workerId, epoch } = await far.mutation(api.joined.hello, { slots: 2, about });
  const me = { workerId, epoch };
  const head = () => far.query(api.joined.head, { lane: "bulk", limit: 8, kinds: ["documents.ingest"] });
  await addText(state, "a.txt", "a");
  const claim = { token: "t", jobIds: await head() };
  const { jobId } = only((await far.mutation(api.joined.exchange, { ...me, settle: [], claim })).claimed);
  await addText(state, "b.txt", "b");

  const moving = deploy(state, spaces);
  const stateOf = async () => (await state.owner.query(api.generations.current, {})).moving?.state;
  while ((await stateOf()) !== "checking") await new Promise((done) => setTimeout(done, 5));
  assert.deepEqual(await head(), [], "it is given no other document now");
  // It began when there was one space, and never heard of the other.
  const { collection } = await home.generation();
  const { points } = await store.client.scroll(collection, { limit: 1, with_payload: true, with_vector: true });
  const point = { ...points[0]!, id: "00000000-0000-4000-8000-000000000000" };
  const payload = { ...point.payload, document_id: "a", ordinal: 0 };
  await store.client.upsert(collection, { wait: true, points: [{ id: point.id, vector: point.vector as never, payload }] });
  assert.equal(await stateOf(), "checking");
  const outcome = { type: "done" as const, result: { type: "unreadable" as const, problem: "noText" as const } };
  await far.mutation(api.joined.exchange, { ...me, settle: [{ jobId, token: "t", outcome }], claim: { token: "u", jobIds: [] } });

  await moving;
  await assertBoth(vault, { d: 10, a: 1 });
  assert.equal((await head()).length, 1, "and now it reads again, although two are kept");
});
