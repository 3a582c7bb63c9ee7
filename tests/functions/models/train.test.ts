/** The whole way from what was remembered to a verdict, through the control plane, the vault and the trainer's own process. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openBaseline } from "../../../appliance/embedder/baseline.ts";
import { openEmbedders } from "../../../appliance/embedder/embedders.ts";
import { qdrantVectors } from "../../../appliance/qdrant/vectors.ts";
import { openTrainer, type TrainerOptions } from "../../../appliance/trainer/trainer.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { modelCard } from "../../../convex/model/modelCard.ts";
import { fusionDefault, type LoraWish } from "../../../convex/model/model.ts";
import { ownerTenant } from "../../../convex/model/tenant.ts";
import { compareModels } from "../../../functions/models/compare.ts";
import { deployModel } from "../../../functions/models/deploy.ts";
import { rollBackModel } from "../../../functions/models/rollback.ts";
import { runSchedule } from "../../../functions/schedules/run.ts";
import type { Embedder } from "../../../functions/ports/embedder.ts";
import type { Vectors } from "../../../functions/ports/vectors.ts";
import { findPassages } from "../../../functions/vault/find.ts";
import { textToEmbed } from "../../../ml/embed/textToEmbed.ts";
import { indexed } from "../../../ml/retrieve/terms.ts";
import { apiKey, openStore } from "../../appliance/vectors/openStore.ts";
import { recordOf } from "../../fakes/embedders.ts";
import { trainModel } from "../../../functions/models/train.ts";
import { addText, joinWorker, only } from "../../contracts/lab.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";
import { fakeVectors } from "../../fakes/vectors.ts";
import { madeFirm, wordOf } from "../../ml/dataset/firm.ts";

const never = new AbortController().signal;
const baseline = "nika-baseline-2";
/** What searches go by: the embedder that every machine has, in this process. */
const served = (embedderId = baseline): Omit<TrainerOptions, "modelsDir"> => ({
  live: async () => ({ embedderId, fusion: fusionDefault }),
  embedders: { of: async () => openBaseline(), find: async () => ({ embedderId: baseline }) },
});

/** A vault of made papers, each asked about three times. */
async function fill(
  state: FakeState,
  vectors: Pick<Vectors, "replace">,
  documents: number,
  embedder?: Embedder,
): Promise<Map<string, string>> {
  const { passages, pairs } = madeFirm({ documents });
  const ids = new Map<string, string>();
  for (const { documentId: name, title, body, language } of passages) {
    const documentId = await addText(state, `${name}.txt`, body);
    ids.set(name, documentId);
    await state.run((ctx) => ctx.db.insert("profiles", { documentId, language, vector: new ArrayBuffer(0), terms: [] }));
    const made = textToEmbed({ title, place: {}, text: body });
    const vector = (await embedder?.passages([made], never))?.[0] ?? new Float32Array(384);
    const point = { documentId, ordinal: 0, vector, embedderId: embedder?.id ?? baseline, ...indexed(made) };
    const about = { documentName: `${name}.txt`, title, text: body, place: {}, language, format: "text" };
    await vectors.replace({ tenantId: ownerTenant, documentId }, [{ ...point, ...about }], never);
  }
  for (const [at, { query, passage, session }] of pairs.entries()) {
    const shown = { documentId: ids.get(passage.documentId)!, ordinal: 0 };
    await state.mutation(internal.uses.record, { key: `k${at}`, session: `${session} ${at}`, question: query, shown: [shown] });
    await state.owner.mutation(api.uses.react, { key: `k${at}`, type: "cited", ...shown });
  }
  return ids;
}

async function train(documents: number) {
  const modelsDir = mkdtempSync(join(tmpdir(), "nika-models-"));
  const trainer = openTrainer({ modelsDir, ...served() });
  try {
    const [state, vectors] = [openFakeState(), fakeVectors()];
    await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
    await fill(state, vectors, documents);
    const worker = await joinWorker(state);
    await withoutJobs(state);
    const modelId = await state.owner.mutation(api.models.train, { seed: 7 });
    await assert.rejects(state.owner.mutation(api.models.train, {}), /being trained already/);
    const job = only(await worker.claim());
    assert.equal(job.kind, "models.train");
    assert.equal(only(await state.owner.query(api.models.list, {})).state, "running");
    await trainModel.run(callOf(job.jobId, { modelId }), { state, vectors, trainer });
    const model = only(await state.owner.query(api.models.list, {}));
    return { model, hasFiles: existsSync(join(modelsDir, "nika", modelId, "onnx/model_quantized.onnx")) };
  } finally {
    await trainer.close();
    rmSync(modelsDir, { recursive: true, force: true });
  }
}

const withoutJobs = (state: FakeState): Promise<void> =>
  state.run(async (ctx) => {
    for (const job of await ctx.db.query("jobs").collect()) await ctx.db.delete(job._id);
  });

const callOf = <Args>(jobId: string, args: Args) => ({ jobId, args, attempt: 1, signal: never, progress: () => {} });

test("by its schedule a model is trained on what was remembered, judged, put in force and taken back, and made again the same", async () => {
  const modelsDir = mkdtempSync(join(tmpdir(), "nika-models-"));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(modelsDir, { recursive: true, force: true }));
  const store = await openStore();
  opened.defer(() => store[Symbol.asyncDispose]());
  const own = openBaseline();
  opened.defer(() => own.close());
  const embedders = openEmbedders({ modelsDir, own, log: () => {} });
  opened.defer(() => embedders.close());
  const state = openFakeState();
  const vault = qdrantVectors({ url: store.url, apiKey, embedderId: own.id, record: recordOf(state, embedders) });
  const inForce = async () => (await state.query(internal.generations.spaces, {})).live;
  const live = async () => (await inForce()) ?? { embedderId: own.id, fusion: fusionDefault };
  const trainer = openTrainer({ modelsDir, embedders, live });
  opened.defer(() => trainer.close());
  const spaces = { ...vault.spaces, find: embedders.find };

  await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
  const ids = await fill(state, vault, 84, own);
  const asked = `${wordOf(40)} n0`;
  await state.owner.mutation(api.comparisons.pin, { question: asked, documentId: ids.get("d0")! });
  const worker = await joinWorker(state);
  await withoutJobs(state);
  const occurrenceId = await dueSchedule(state);
  const answers = { ask: async () => undefined, call: async () => "" };
  const begun = await runSchedule.run(callOf("due", { occurrenceId }), { state, answers });
  assert.match(JSON.stringify(begun), /is being trained/);

  const training = only(await worker.claim());
  assert.equal(training.kind, "models.train");
  const modelId = only(await state.owner.query(api.models.list, {})).id;
  // What an earlier life of this machine left behind.
  for (const name of ["other", "other.checkpoint"]) mkdirSync(join(modelsDir, "nika", name), { recursive: true });
  await trainModel.run(callOf(training.jobId, { modelId }), { state, vectors: vault, trainer });
  assert.deepEqual(readdirSync(join(modelsDir, "nika")), [modelId]);
  const model = only(await state.owner.query(api.models.list, {}));
  assert.deepEqual([model.state, model.result?.verdict, model.result?.against], ["done", "better", own.id]);
  assert.match(JSON.stringify(model.result!.checks), /0 of 1 no longer answered/);
  assert.match(modelCard(model, { isInForce: false }), /trained, and better[^]*## Conditions/u);

  const find = async () => {
    const found = await findPassages(
      { tenantId: ownerTenant, question: asked, limit: 1 },
      { vectors: vault, embedder: own, embedders, reranker: undefined },
      never,
    );
    return found.passages[0]?.documentId;
  };
  const moving = (await state.owner.query(api.generations.current, {})).moving!;
  assert.deepEqual([moving.wanted, moving.by, moving.fusion], [modelId, "schedule", model.result!.trained!.fusion]);
  await deployModel.run(callOf("move", { generationId: moving.id }), { state, spaces });
  assert.match((await inForce())!.embedderId, new RegExp(modelId));
  assert.equal(await find(), ids.get("d0"));
  assert.deepEqual(
    (await state.owner.query(api.events.list, { limit: 5 })).filter(({ type }) => type === "modelTrained").length,
    1,
  );

  const comparisonId = await state.owner.mutation(api.comparisons.begin, { one: "baseline", other: "live" });
  const told: number[] = [];
  const compared = { ...callOf("compare", { comparisonId }), progress: (done: number, total: number) => told.push(done / total) };
  await compareModels.run(compared, { state, vectors: vault, trainer });
  assert.ok(told.length > 0 && told.every((share) => share > 0 && share <= 1), "how far it is can be seen");
  const { result } = only(await state.owner.query(api.comparisons.list, {}));
  assert.ok(result!.other!.dense.ndcg.mean > result!.one!.dense.ndcg.mean && result!.denseDifference!.from > 0);
  assert.deepEqual([result!.one!.name, result!.other!.name], [own.id, (await inForce())!.embedderId]);
  assert.ok(result!.moved.length > 0 && result!.slices.length > 0 && result!.pinned[0]!.other);

  await state.owner.mutation(api.generations.rollback, {});
  await rollBackModel.run(callOf("back", {}), { spaces });
  assert.equal((await inForce())!.embedderId, own.id);

  await withoutJobs(state);
  const againId = await state.owner.mutation(api.models.trainAgain, { modelId });
  await trainModel.run(callOf("again", { modelId: againId }), { state, vectors: vault, trainer });
  const [again] = await state.owner.query(api.models.list, {});
  assert.match(again!.result!.says, /^The same model, byte for byte\./);
  assert.deepEqual(again!.result!.trained!.sha256, model.result!.trained!.sha256);

  await state.owner.mutation(api.uses.erase, {});
  await state.mutation(internal.uses.eraseSome, {});
  assert.deepEqual(await state.owner.query(api.comparisons.list, {}), []);
});

/** A time of a schedule that trains, and puts a better one in force. */
const dueSchedule = (state: FakeState, more: { readonly lora?: LoraWish } = {}): Promise<Id<"occurrences">> =>
  state.run(async (ctx) => {
    const scheduleId = await ctx.db.insert("schedules", {
      name: "Training",
      prompt: "",
      rule: { type: "once", at: 0, zone: "UTC" },
      action: { type: "learn", deploys: true, ...more },
      backend: "persistent",
      overlap: "skip",
      misfire: "coalesce",
      isEnabled: true,
      version: 1,
      nextAts: [],
      fired: 1,
      createdAt: 0,
    });
    return ctx.db.insert("occurrences", { scheduleId, version: 1, at: 0, state: "open", isLate: false });
  });

test("too little to learn from is a verdict with its reason, and leaves no model", async () => {
  const { model, hasFiles } = await train(20);
  assert.deepEqual([model.state, model.result?.verdict, hasFiles], ["done", "refused", false]);
  assert.match(model.result!.says, /documents to learn from/);
});

test("nothing is trained before the owner allowed it, and not where a model that knows meanings is installed", async () => {
  const state = openFakeState();
  await assert.rejects(state.owner.mutation(api.models.train, {}), /Nothing of your use is remembered/);
  const trainer = openTrainer({ modelsDir: tmpdir(), ...served("bge-small-en-v1.5-0") });
  const training = { modelId: "m", passages: [], uses: [], scopes: [], seed: 1, isScrubbed: true };
  await assert.rejects(trainer.train(training, { signal: never, progress: () => {} }), /would not be better/);
  await trainer.close();
});

test("while a model that knows meanings is in force, a schedule says once that nothing could better it, and trains beside a base where told to", async () => {
  const state = openFakeState();
  await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
  const live = (wanted: string): Promise<Id<"generations">> =>
    state.run((ctx) => {
      const more = { fusion: fusionDefault, state: "live", by: "start", at: 0 } as const;
      return ctx.db.insert("generations", { number: 1, wanted, collection: wanted, ...more });
    });
  const bge = await live("bge");
  const due = async (more: { readonly lora?: LoraWish } = {}) => {
    const occurrenceId = await dueSchedule(state, more);
    const done = await runSchedule.run(callOf(occurrenceId, { occurrenceId }), { state, answers: undefined as never });
    return done.type === "done" && done.result?.type === "said" ? done.result.text : undefined;
  };
  assert.deepEqual(await state.owner.query(api.models.outlook, {}), { knowsMeanings: true });
  assert.match((await due()) ?? "", /^No model is trained by itself while bge is in force.*--with lora/u);
  assert.equal(await due(), undefined);
  assert.deepEqual(await state.owner.query(api.models.list, {}), []);

  const lora = { costMax: { micros: 5_000_000, currency: "EUR" } } as const;
  assert.match((await due({ lora })) ?? "", /is being trained/u);
  const tuned = only(await state.run((ctx) => ctx.db.query("models").collect()));
  assert.deepEqual(tuned.lora, lora);

  // Another one that knows meanings is told of anew; of a table the schedule trains again.
  await withoutJobs(state);
  await state.run((ctx) => ctx.db.patch(bge, { state: "kept" }));
  const learned = await live(tuned._id);
  assert.match((await due()) ?? "", /while this model is in force/u);
  await state.run((ctx) => ctx.db.patch(learned, { wanted: "baseline" }));
  assert.match((await due()) ?? "", /is being trained/u);
});
