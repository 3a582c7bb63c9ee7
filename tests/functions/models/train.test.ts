/** The whole way from what was remembered to a verdict, through the control plane, the vault and the trainer's own process. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openBaseline } from "../../../appliance/embedder/baseline.ts";
import { openTrainer, type TrainerOptions } from "../../../appliance/trainer/trainer.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import { fusionDefault } from "../../../convex/model/model.ts";
import { ownerTenant } from "../../../convex/model/tenant.ts";
import { trainModel } from "../../../functions/models/train.ts";
import { addText, joinWorker, only } from "../../contracts/lab.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";
import { fakeVectors } from "../../fakes/vectors.ts";
import { madeFirm } from "../../ml/dataset/firm.ts";

const never = new AbortController().signal;
const baseline = "nika-baseline-2";
/** What searches go by: the embedder that every machine has, in this process. */
const served = (embedderId = baseline): Omit<TrainerOptions, "modelsDir"> => ({
  live: async () => ({ embedderId, fusion: fusionDefault }),
  embedders: { of: async () => openBaseline(), find: async () => ({ embedderId: baseline }) },
});

/** A vault of made papers, each asked about three times. */
async function fill(state: FakeState, vectors: ReturnType<typeof fakeVectors>, documents: number): Promise<void> {
  const { passages, pairs } = madeFirm({ documents });
  const ids = new Map<string, string>();
  for (const { documentId: name, title, body, language } of passages) {
    const documentId = await addText(state, `${name}.txt`, body);
    ids.set(name, documentId);
    await state.run((ctx) => ctx.db.insert("profiles", { documentId, language, vector: new ArrayBuffer(0), terms: [] }));
    const point = { documentId, ordinal: 0, vector: new Float32Array(384), terms: { indices: [1], values: [1] } };
    const about = { documentName: `${name}.txt`, title, text: body, place: {}, language, format: "text" };
    await vectors.replace({ tenantId: ownerTenant, documentId }, [{ ...point, ...about }], never);
  }
  for (const [at, { query, passage, session }] of pairs.entries()) {
    const shown = { documentId: ids.get(passage.documentId)!, ordinal: 0 };
    await state.mutation(internal.uses.record, { key: `k${at}`, session: `${session} ${at}`, question: query, shown: [shown] });
    await state.owner.mutation(api.uses.react, { key: `k${at}`, type: "cited", ...shown });
  }
}

async function train(documents: number) {
  const modelsDir = mkdtempSync(join(tmpdir(), "nika-models-"));
  const trainer = openTrainer({ modelsDir, ...served() });
  try {
    const [state, vectors] = [openFakeState(), fakeVectors()];
    await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
    await fill(state, vectors, documents);
    const worker = await joinWorker(state);
    await state.run(async (ctx) => {
      for (const job of await ctx.db.query("jobs").collect()) await ctx.db.delete(job._id);
    });
    const modelId = await state.owner.mutation(api.models.train, { seed: 7 });
    await assert.rejects(state.owner.mutation(api.models.train, {}), /being trained already/);
    const job = only(await worker.claim());
    assert.equal(job.kind, "models.train");
    assert.equal(only(await state.owner.query(api.models.list, {})).state, "running");
    const told: number[] = [];
    const call = {
      jobId: job.jobId,
      args: { modelId },
      attempt: 1,
      signal: never,
      progress: (done: number) => void told.push(done),
    };
    const outcome = await trainModel.run(call, { state, vectors, trainer });
    assert.equal(outcome.type, "done");
    const model = only(await state.owner.query(api.models.list, {}));
    return { model, told, hasFiles: existsSync(join(modelsDir, "nika", modelId, "onnx/model_quantized.onnx")) };
  } finally {
    await trainer.close();
    rmSync(modelsDir, { recursive: true, force: true });
  }
}

test("a model is trained on what was remembered, judged, and written down with all that it takes to make it again", async () => {
  const { model, told, hasFiles } = await train(84);
  assert.equal(model.state, "done");
  const { result } = model;
  assert(result?.trained);
  assert.ok(["better", "rejected"].includes(result.verdict) && result.says !== "");
  assert.ok(result.askedPairs > 100 && result.testQuestions >= 50 && result.madeTestQuestions === 0);
  assert.deepEqual([model.seed, result.against, hasFiles], [7, "nika-baseline-2", true]);
  assert.ok(result.checks.length > 8 && told.length > 0);
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
