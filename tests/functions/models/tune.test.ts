/** The whole way of a model that is trained elsewhere: packed, run as a job, read back, served, judged and written down. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { openBaseline } from "../../../appliance/embedder/baseline.ts";
import { findLearned, modelCard } from "../../../appliance/embedder/model.ts";
import { openTuning } from "../../../appliance/tuning.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import { fusionDefault, type LoraWish } from "../../../convex/model/model.ts";
import { ownerTenant } from "../../../convex/model/tenant.ts";
import { tuneModel } from "../../../functions/models/tune.ts";
import type { Gpu, Payload } from "../../../functions/ports/gpu.ts";
import { servedFiles, type Base } from "../../../ml/train/lora/base.ts";
import { addText, joinWorker, only } from "../../contracts/lab.ts";
import { openFakeState } from "../../fakes/state.ts";
import { fakeVectors } from "../../fakes/vectors.ts";
import { madeFirm } from "../../ml/dataset/firm.ts";
import { madeBack } from "../../ml/train/lora/back.ts";

const never = new AbortController().signal;
const text = (path: string): string => readFileSync(path, "utf8");

/** A vault of made papers, each asked about three times, and a model that is to be trained beside a base. */
async function asked(wish: LoraWish, documents: number) {
  const [state, vectors] = [openFakeState(), fakeVectors()];
  await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
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
  const worker = await joinWorker(state);
  await state.run(async (ctx) => {
    for (const job of await ctx.db.query("jobs").collect()) await ctx.db.delete(job._id);
  });
  const modelId = await state.owner.mutation(api.models.train, { seed: 7, lora: wish });
  const job = only(await worker.claim());
  assert.equal(job.kind, "models.tune");
  const told: number[][] = [];
  const progress = (...far: number[]): void => void told.push(far);
  return { state, vectors, modelId, told, call: { jobId: job.jobId, args: { modelId }, attempt: 1, signal: never, progress } };
}

const baseline = openBaseline();
const generations = {
  live: async () => ({ embedderId: baseline.id, fusion: fusionDefault }),
  embedders: { of: async () => baseline },
};

function rooms() {
  const dir = mkdtempSync(join(tmpdir(), "nika-tune-"));
  const modelsDir = join(dir, "models");
  mkdirSync(modelsDir);
  const tuner = openTuning({ dataDir: dir, modelsDir, generations, log: () => undefined });
  return {
    dir,
    modelsDir,
    tuner,
    close: async () => {
      await tuner.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Runs nothing: gives back what a machine would that was handed the folder. */
function jobs(dir: string, change?: Parameters<typeof madeBack>[1]["change"]): Gpu & { readonly payloads: Payload[] } {
  const payloads: Payload[] = [];
  return {
    payloads,
    run: async (payload, { output }) => {
      payloads.push(payload);
      const files = new Map(servedFiles.map((path) => [path, readFileSync(join(payload.folder, "base", path))]));
      const base: Base = { name: "random", weights: "random", pooling: "mean", files };
      const { seed } = JSON.parse(text(join(payload.folder, "job.json"))) as { seed: number };
      output("a word of somebody's library");
      output('{"type":"progress","step":3,"steps":9,"loss":1}');
      const folder = join(dir, "back");
      for (const [path, bytes] of madeBack(base, { seed, ...(change && { change }) })) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), bytes);
      }
      return { folder, facts: ["a machine made for this test"] };
    },
  };
}

test("a model beside a base is packed without what it is judged by, refused when it comes back spoilt, and else served and kept", async () => {
  const costMax = { micros: 2_000_000, currency: "USD" } as const;
  const { state, vectors, modelId, told, call } = await asked({ base: "random", costMax }, 100);
  const { dir, modelsDir, tuner, close } = rooms();
  try {
    const spoilt = jobs(dir, (_, parity) => (parity["maxAbsDifference"] = 0.5));
    await assert.rejects(tuneModel.run(call, { state, vectors, trainer: undefined, tuner, gpu: spoilt }), {
      code: "invalid",
      message: /differs from what was trained by 0\.5/,
    });
    assert.deepEqual([only(spoilt.payloads).need.gpu?.count, only(spoilt.payloads).costMax], [1, costMax]);
    assert.deepEqual(readdirSync(modelsDir), []);
    told.length = 0;

    // Who says nothing of money gets what costs none.
    await state.run((ctx) => ctx.db.patch(modelId, { lora: { base: "random" } }));
    const gpu = jobs(dir);
    let seen: { files: string[]; pairs: string; exam: string } | undefined;
    const looking: Gpu = {
      run: async (payload, watching) => {
        const { folder } = payload;
        seen = {
          files: readdirSync(folder).toSorted(),
          pairs: text(join(folder, "pairs.jsonl")),
          exam: text(join(folder, "eval.jsonl")),
        };
        return await gpu.run(payload, watching);
      },
    };
    await tuneModel.run(call, { state, vectors, trainer: undefined, tuner, gpu: looking });
    const { key, command, need, folder, costMax: most } = only(gpu.payloads);
    // Packed once: tried again, the same is sent.
    assert.equal(folder, only(spoilt.payloads).folder);
    assert.deepEqual([key, command, most], [`models.tune ${modelId}`, ["python3", "start.py"], { micros: 0, currency: "EUR" }]);
    assert.equal(need.gpu, undefined);
    assert.deepEqual(told, [[3, 9]]);
    for (const name of ["base", "job.json", "pairs.jsonl", "eval.jsonl", "start.py", "run.py", "requirements.txt"])
      assert.ok(seen!.files.includes(name), name);

    const { state: stands, result } = only(await state.owner.query(api.models.list, {}));
    assert.equal(stands, "done");
    assert(result?.trained?.lora);
    const { lora, sha256 } = result.trained;
    assert.deepEqual([lora.base, lora.firstLoss, lora.lastLoss, lora.device], ["random", 3, 2, "cpu"]);
    assert.ok(lora.servedCosine > 0.999, `served ${lora.servedCosine}`);
    assert.deepEqual(lora.facts, ["a machine made for this test"]);
    assert.ok(sha256.length === 64 && result.checks.length >= 10 && result.testQuestions >= 50);
    assert.ok(existsSync(join(modelsDir, "nika", modelId, "onnx/model_quantized.onnx")));
    assert.deepEqual(readdirSync(join(modelsDir, "nika")), [modelId]);
    const { label, queryPrefix } = await modelCard((await findLearned(modelsDir, modelId))!);
    assert.match(label, /beside a model of the BERT family/);
    assert.equal(queryPrefix, "");
    assert.deepEqual(readdirSync(join(dir, "cache/tuning")), []);

    // What went out knows as many pairs as the record says, and of the vault's questions fewer than were asked.
    assert.equal(seen!.pairs.trim().split("\n").length, result.trainingPairs);
    const asks = await state.query(internal.uses.page, { paginationOpts: { cursor: null, numItems: 500 } });
    const kept = asks.uses.filter(({ question }) => !`${seen!.pairs}${seen!.exam}`.includes(JSON.stringify(question)));
    assert.ok(new Set(kept.map(({ question }) => question)).size >= 50, `${kept.length} stay`);
  } finally {
    await close();
  }
});

test("a base that is not there is named, and nothing is sent", async () => {
  const { state, vectors, call } = await asked({}, 2);
  const { dir, tuner, close } = rooms();
  try {
    const gpu = jobs(dir);
    await assert.rejects(tuneModel.run(call, { state, vectors, trainer: undefined, tuner, gpu }), {
      code: "missing",
      message: /no BAAI\/bge-small-en-v1\.5 with model\.safetensors/,
    });
    assert.equal(gpu.payloads.length, 0);
  } finally {
    await close();
  }
});
