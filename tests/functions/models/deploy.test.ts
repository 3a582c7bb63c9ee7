/** A vault that moves to another model, through the control plane and the vector store, with writes and questions all the while. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { qdrantVectors } from "../../../appliance/qdrant/vectors.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import { ownerTenant } from "../../../convex/model/tenant.ts";
import { deployModel } from "../../../functions/models/deploy.ts";
import { dropModel } from "../../../functions/models/drop.ts";
import { rollBackModel } from "../../../functions/models/rollback.ts";
import type { Embedder } from "../../../functions/ports/embedder.ts";
import type { Spaces } from "../../../functions/ports/spaces.ts";
import type { PassagePoint, Vectors } from "../../../functions/ports/vectors.ts";
import { findPassages } from "../../../functions/vault/find.ts";
import { textToEmbed } from "../../../ml/embed/textToEmbed.ts";
import { indexed } from "../../../ml/retrieve/terms.ts";
import { apiKey, openStore } from "../../appliance/vectors/openStore.ts";
import { madeEmbedders, recordOf } from "../../fakes/embedders.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const never = new AbortController().signal;
const tenantId = ownerTenant;
const store = await openStore();
after(() => store[Symbol.asyncDispose]());

async function passages(documentId: string, texts: readonly string[], embedder: Embedder): Promise<PassagePoint[]> {
  const title = `About ${documentId}`;
  const made = texts.map((text) => textToEmbed({ title, place: {}, text }));
  const vectors = await embedder.passages(made, never);
  return texts.map((text, ordinal) => ({
    documentId,
    ordinal,
    vector: vectors[ordinal]!,
    embedderId: embedder.id,
    ...indexed(made[ordinal]!),
    documentName: `${documentId}.md`,
    title,
    text,
    place: {},
    language: "en",
    format: "markdown",
  }));
}

const textsOf = (documentId: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `Paragraph ${at} of ${documentId} speaks of boat${at} and harbour ${at * 7}.`);

async function openVault() {
  const { collections } = await store.client.getCollections();
  for (const { name } of collections) await store.client.deleteCollection(name);
  const state = openFakeState();
  const modelId = await trained(state);
  const embedders = madeEmbedders(modelId);
  const open = () => {
    const vault = qdrantVectors({
      url: store.url,
      apiKey,
      embedderId: embedders.old.id,
      record: recordOf(state, embedders),
    });
    return { vectors: vault as Vectors, spaces: { ...vault.spaces, find: embedders.find } satisfies Spaces };
  };
  const vault = open();
  const put = async (documentId: string, count: number, vectors = vault.vectors): Promise<void> => {
    const points = await passages(documentId, textsOf(documentId, count), embedders.old);
    await vectors.replace({ tenantId, documentId }, points, never);
  };
  const find = async (question: string, vectors = vault.vectors) => {
    const ports = { vectors, embedder: embedders.old, embedders, reranker: undefined };
    return await findPassages({ tenantId, question, limit: 5 }, ports, never);
  };
  return { state, modelId, embedders, open, ...vault, put, find };
}

/** A model that the gate called better. */
function trained(state: FakeState, against = "nika-baseline-made") {
  return state.run((ctx) =>
    ctx.db.insert("models", {
      at: 0,
      seed: 1,
      isScrubbed: true,
      result: {
        verdict: "better",
        says: "Better.",
        checks: [],
        dataSha256: "d",
        trainingPairs: 1,
        askedPairs: 1,
        testQuestions: 1,
        madeTestQuestions: 0,
        documents: 1,
        against,
        trained: {
          sha256: "f",
          sizeBytes: 1,
          fusion: { method: "scores", k: 0, dense: 3, lexical: 1 },
          temperature: 0.1,
          rate: 0.1,
          negatives: 0,
          epochs: 1,
          share: 1,
          gain: 0.2,
          denseDifference: { mean: 0.1, from: 0.05, to: 0.2 },
          hybridDifference: { mean: 0.1, from: 0.05, to: 0.2 },
        },
      },
    }),
  );
}

type Vault = Awaited<ReturnType<typeof openVault>>;

async function deploy({ state, spaces, modelId }: Pick<Vault, "state" | "spaces" | "modelId">, signal = never) {
  const generationId = await state.owner.mutation(api.generations.deploy, { modelId });
  return resume({ state, spaces }, generationId, signal);
}

async function resume(
  { state, spaces }: Pick<Vault, "state" | "spaces">,
  generationId: Awaited<ReturnType<FakeState["mutation"]>>,
  signal = never,
) {
  const call = { jobId: "j", args: { generationId }, attempt: 1, signal, progress: () => undefined };
  return deployModel.run(call, { state, spaces });
}

async function collectionsOf(): Promise<{ names: string[]; alias: string | undefined }> {
  const { collections } = await store.client.getCollections();
  const names = collections.map(({ name }) => name).filter((name) => name.startsWith("nika_vault"));
  const { aliases } = await store.client.getAliases();
  return { names: names.sort(), alias: aliases.find(({ alias_name }) => alias_name === "nika_vault")?.collection_name };
}

/** Both spaces, point by point: the same payload in both, and in each the vectors of its own embedder. */
async function assertAlike({ state, embedders }: Vault): Promise<number> {
  const { live, beside } = await state.query(internal.generations.spaces, {});
  assert(live && beside);
  const [first, second] = await Promise.all(
    [live, beside].map(async ({ collection, embedderId }) => {
      const { points } = await store.client.scroll(collection, { limit: 10_000, with_payload: true, with_vector: ["text"] });
      const embedder = await embedders.of(embedderId);
      const texts = points.map(({ payload }) => textToEmbed(payload as never));
      for (const [at, fresh] of (await embedder!.passages(texts, never)).entries()) {
        const stored = (points[at]!.vector as { text: number[] }).text;
        assert.ok(stored.reduce((sum, value, d) => sum + value * fresh[d]!, 0) > 0.999, "a vector of its own embedder");
      }
      return points.map(({ id, payload }) => [id, payload]);
    }),
  );
  assert.deepEqual(first, second);
  return first!.length;
}

test("a vault moves to another model while it is written and asked, and goes back at once with all that was written", async () => {
  const vault = await openVault();
  const { state, spaces, vectors, put, find, embedders } = vault;
  for (let at = 0; at < 20; at += 1) await put(`d${at}`, 10);
  const hold = { batchId: "b", folder: "in" };
  const held = (await passages("held", textsOf("held", 3), embedders.old)).map((point) => ({ ...point, hold }));
  await vectors.replace({ tenantId, documentId: "held" }, held, never);
  const asked = { ended: false, count: 0 };
  const asking = (async () => {
    while (!asked.ended) {
      const { passages: hits } = await find(`harbour ${7 * (asked.count % 10)}`);
      assert.ok(hits.length > 0, "no search comes back empty");
      asked.count += 1;
    }
  })();
  const moving = deploy(vault);
  await put("late", 5);
  await put("d3", 4);
  await vectors.remove({ tenantId, documentId: "d4" });
  await vectors.label({ tenantId, documentId: "d5" }, { domain: "boats" });
  await vectors.release({ tenantId, batchId: "b" });
  assert.deepEqual(await moving, { type: "done", result: { type: "said", text: "Searches go by the new model." } });
  asked.ended = true;
  await asking;
  assert.ok(asked.count > 0);

  assert.equal(await assertAlike(vault), 20 * 10 - 6 - 10 + 5 + 3);
  const { live, kept } = await state.owner.query(api.generations.current, {});
  assert.deepEqual([live?.embedderId, live?.by, live?.fusion.method], [embedders.fresh.id, "owner", "scores"]);
  assert.equal(kept?.embedderId, embedders.old.id);
  assert.equal((await collectionsOf()).alias, (await state.query(internal.generations.spaces, {})).live?.collection);
  assert.equal((await find("boat3")).embedder.id, embedders.fresh.id);

  await put("after", 5);
  await vectors.remove({ tenantId, documentId: "d6" });
  const { embedderId } = await state.owner.mutation(api.generations.rollback, {});
  assert.equal(embedderId, embedders.old.id);
  await rollBackModel.run({ jobId: "r", args: {}, attempt: 1, signal: never, progress: () => undefined }, { spaces });
  const { passages: hits, embedder } = await find("boat2 of after");
  assert.deepEqual([hits[0]?.documentId, embedder.id], ["after", embedders.old.id]);
  assert.equal((await collectionsOf()).alias, "nika_vault__g0001");
  assert.equal(await vectors.count({ tenantId, documentId: "d6" }), 0);

  const { past } = await state.owner.query(api.generations.current, {});
  const call = { jobId: "x", args: { generationId: past[0]!.id }, attempt: 1, signal: never, progress: () => undefined };
  await dropModel.run(call, { state, spaces });
  assert.deepEqual((await collectionsOf()).names, ["nika_vault__g0001"]);
  await assert.rejects(state.owner.mutation(api.generations.rollback, {}), /no earlier model/);
});

test("a move that was cut off goes on where it was, in another life of the appliance, with what was written in between", async () => {
  const vault = await openVault();
  const { state, put, modelId } = vault;
  for (let at = 0; at < 12; at += 1) await put(`d${at}`, 30);
  const stopping = new AbortController();
  let pages = 0;
  const spaces: Spaces = {
    ...vault.spaces,
    copy: async (cursor, signal) => {
      if ((pages += 1) === 3) stopping.abort(new Error("stopped"));
      return vault.spaces.copy(cursor, signal);
    },
  };
  await assert.rejects(deploy({ state, spaces, modelId }, stopping.signal), /stopped|abort/u);
  const { moving } = await state.owner.query(api.generations.current, {});
  assert.equal(moving?.state, "copying");
  // Two pages, however large they were.
  assert.ok(moving.done! > 0 && moving.done! < 12 * 30, String(moving.done));

  const next = vault.open();
  await put("between", 7, next.vectors);
  await next.vectors.remove({ tenantId, documentId: "d1" });
  // A crash between the two writes of one passage: it is in one space only.
  const { live } = await state.query(internal.generations.spaces, {});
  await store.client.delete(live!.collection, {
    wait: true,
    filter: { must: [{ key: "document_id", match: { value: "d2" } }] },
  });
  const outcome = await resume({ state, spaces: next.spaces }, moving.id);
  assert.equal(outcome.type, "done");
  assert.equal(await assertAlike({ ...vault, ...next }), 12 * 30 + 7 - 60);
});

test("a question in flight at the swap is answered by the model that it began with", async () => {
  const vault = await openVault();
  const { state, embedders, vectors, put } = vault;
  await put("d", 10);
  const generation = await vectors.generation();
  await deploy(vault);
  const vector = await (await embedders.of(generation.embedderId!))!.query("harbour 21", never);
  const branches = [{ name: "dense", weight: 1, vector }];

  const before = await vectors.search({ tenantId, branches, limit: 1, generation }, never);

  assert.notEqual((await vectors.generation()).collection, generation.collection);
  assert.match(before[0]!.text, /Paragraph 3 /u);
  assert.equal((await state.owner.query(api.generations.current, {})).live?.embedderId, embedders.fresh.id);
});

test("a vault whose embedder is gone is searched by words, takes no documents, and is moved to one that is there", async () => {
  const vault = await openVault();
  const { state, embedders, put, modelId } = vault;
  await put("d", 10);
  const without = { ...embedders, of: async (id: string) => (id === embedders.old.id ? undefined : embedders.of(id)) };
  const { spaces, ...vectors } = qdrantVectors({
    url: store.url,
    apiKey,
    embedderId: embedders.fresh.id,
    record: recordOf(state, without),
  });
  const ports = { vectors, embedder: embedders.fresh, embedders: without, reranker: undefined };
  const find = () => findPassages({ tenantId, question: "boat3", limit: 5 }, ports, never);
  const write = async (documentId: string) => {
    const points = await passages(documentId, textsOf(documentId, 2), embedders.fresh);
    await vectors.replace({ tenantId, documentId }, points, never);
  };
  assert.deepEqual((await find()).passages[0]?.ordinal, 3);
  await assert.rejects(write("e"), /nika model deploy/u);

  await deploy({ state, spaces: { ...spaces, find: embedders.find }, modelId });

  const { passages: hits, embedder } = await find();
  assert.deepEqual([hits[0]?.ordinal, embedder.id], [3, embedders.fresh.id]);
  await write("e");
  // The old space cannot be written any more, so there is no way back to it.
  assert.equal((await state.owner.query(api.generations.current, {})).kept, null);
  assert.equal(await vectors.count({ tenantId }), 12);
});

test("a model whose stored vectors are not what it gives is not put in force, and leaves nothing", async () => {
  const vault = await openVault();
  const { state, put } = vault;
  await put("d", 5);
  const spaces: Spaces = { ...vault.spaces, sample: async () => 0.4 };

  await assert.rejects(deploy({ ...vault, spaces }), /stays in force/u);

  const { live, moving, past } = await state.owner.query(api.generations.current, {});
  assert.deepEqual([live?.wanted, moving, past[0]?.state], ["baseline", null, "leaving"]);
  assert.match(past[0]?.problem ?? "", /not what it gives now/u);
});

test("what may be put in force is what was judged better, against what is in force, and is not there already", async () => {
  const vault = await openVault();
  const { state, put, modelId } = vault;
  await put("d", 5);
  const deployed = (id: string, anyway?: string) =>
    state.owner.mutation(api.generations.deploy, { modelId: id, ...(anyway !== undefined && { anyway }) });
  const older = await trained(state, "nika-baseline-1");
  const worse = await trained(state);
  await state.run(async (ctx) => {
    const row = await ctx.db.get(worse);
    await ctx.db.patch(worse, { result: { ...row!.result!, verdict: "rejected", says: "Not better: words, lost." } });
  });

  await assert.rejects(deployed("nothing"), /no such model/u);
  await assert.rejects(deployed("baseline"), /in force already/u);
  await assert.rejects(deployed(worse), /Not better: words, lost/u);
  await assert.rejects(deployed(worse, "I want it"), /Not better/u);
  await assert.rejects(deployed(older), /compared with nika-baseline-1/u);
  await deployed(older, "the two are the same");
  await assert.rejects(deployed(modelId), /being moved/u);
  const gaveUp = await state.owner.mutation(api.generations.rollback, {});
  assert.deepEqual(gaveUp, { embedderId: "nika-baseline-made", gaveUp: true });
  await state.mutation(internal.generations.propose, { modelId });
  const { moving } = await state.owner.query(api.generations.current, {});
  assert.deepEqual([moving?.by, moving?.wanted, moving?.isWorkedOn], ["schedule", modelId, true]);
});
