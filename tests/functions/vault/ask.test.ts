import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ports } from "../../../functions/define.ts";
import { runCall } from "../../../functions/runtime/call.ts";
import { askVault } from "../../../functions/vault/ask.ts";
import type { PassagePoint } from "../../../functions/ports/vectors.ts";
import { documentTerms } from "../../../ml/retrieve/terms.ts";
import { fakeEmbedder } from "../../fakes/embedder.ts";
import { fakeVectors } from "../../fakes/vectors.ts";

const tenantId = "owner";
const signal = new AbortController().signal;

async function vault(...texts: string[]): Promise<Pick<Ports, "embedder" | "vectors">> {
  const embedder = fakeEmbedder();
  const vectors = fakeVectors();
  const embedded = await embedder.passages(texts, signal);
  const points = texts.map((text, ordinal): PassagePoint => ({
    documentId: "d",
    ordinal,
    vector: embedded[ordinal]!,
    terms: documentTerms(text),
    documentName: "work/d.txt",
    title: "D",
    text,
    place: { lines: { from: ordinal + 1, to: ordinal + 1 } },
    language: "en",
    format: "text",
  }));
  await vectors.replace({ tenantId, documentId: "d" }, points, signal);
  return { embedder, vectors };
}

test("an answer quotes the passages that bear on the question, with the place and the sentence", async () => {
  const ports = await vault(
    "The invoice was paid in March. Nothing else happened.",
    "Cats sleep all day.",
    "Dogs bark at night.",
  );
  const answer = await askVault.run({ tenantId, question: "  When was the invoice paid?  ", limit: 3 }, ports, signal);

  assert.equal(answer.question, "When was the invoice paid?");
  assert.equal(answer.language, "en");
  assert.equal(answer.embedder.isBaseline, true);
  const [best] = answer.passages;
  assert(best);
  assert.equal(best.ordinal, 0);
  assert(best.score > 0.7);
  assert.equal(best.placeLabel, "line 1");
  assert.deepEqual(
    best.highlights.map(({ from, to }) => best.text.slice(from, to)),
    ["The invoice was paid in March."],
  );
  for (const { score } of answer.passages) assert(score >= 0 && score <= 1);
});

test("a question in French is answered with French places", async () => {
  const ports = await vault("La facture est payée.");
  const answer = await askVault.run({ tenantId, question: "Quand est-ce que la facture est payée ?", limit: 1 }, ports, signal);
  assert.equal(answer.language, "fr");
  assert.equal(answer.passages[0]?.placeLabel, "ligne 1");
});

test("an empty vault answers with nothing, not with an error", async () => {
  const answer = await askVault.run({ tenantId, question: "Anything?", limit: 5 }, await vault(), signal);
  assert.deepEqual(answer.passages, []);
});

test("a question that is empty or too long, or a limit out of range, is refused with a sentence", async () => {
  const ports = await vault();
  for (const args of [
    { question: " ", limit: 5 },
    { question: "x".repeat(2_001), limit: 5 },
    { question: "x", limit: 0 },
    { question: "x", limit: 51 },
    { question: "x", limit: 1.5 },
  ]) {
    await assert.rejects(askVault.run({ tenantId, ...args }, ports, signal), { code: "invalid" });
  }
});

test("who asks is not kept waiting past the deadline, and the function is told", async () => {
  const told = Promise.withResolvers<void>();
  const slow = {
    name: "slow",
    needs: [],
    deadlineMs: 1,
    run: (_args: null, _ports: object, stop: AbortSignal) => {
      stop.addEventListener("abort", () => told.resolve());
      return new Promise<never>(() => {});
    },
  };
  await assert.rejects(runCall(slow, { args: null, ports: {}, signal }), { code: "timeout" });
  await told.promise;
});

test("a question withdrawn is not answered", async () => {
  const asker = new AbortController();
  const ports = await vault("x");
  const call = { ...askVault, needs: ["vectors"] as const, run: () => new Promise<never>(() => {}) };
  const answer = runCall(call, { args: { tenantId, question: "x", limit: 1 }, ports, signal: asker.signal });
  asker.abort();
  await assert.rejects(answer, { code: "cancelled" });
  await assert.rejects(runCall(call, { args: { tenantId, question: "x", limit: 1 }, ports, signal: asker.signal }), {
    code: "cancelled",
  });
});

test("a call gets the ports it asked for and no others", async () => {
  const seen = {
    name: "seen",
    needs: ["vectors"] as const,
    deadlineMs: 1_000,
    run: async (_args: null, ports: object) => Object.keys(ports),
  };
  assert.deepEqual(await runCall(seen, { args: null, ports: await vault(), signal }), ["vectors"]);
});
