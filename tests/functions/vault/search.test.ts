import assert from "node:assert/strict";
import { test } from "node:test";
import { entityTypes } from "../../../convex/model/document.ts";
import { NikaError } from "../../../convex/model/error.ts";
import type { SearchFilter } from "../../../convex/model/answer.ts";
import type { Reranker } from "../../../functions/ports/reranker.ts";
import type { PassagePoint, Vectors } from "../../../functions/ports/vectors.ts";
import { askVault } from "../../../functions/vault/ask.ts";
import { openVault } from "../../../functions/vault/open.ts";
import { searchVault } from "../../../functions/vault/search.ts";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { indexed } from "../../../ml/retrieve/terms.ts";
import { randomOf } from "../../fixtures/collection/papers.ts";
import { fakeVectors } from "../../fakes/vectors.ts";

const signal = new AbortController().signal;
const tenantId = "owner";
const baseline = baselineEmbedder();
const embedder = {
  ...baseline,
  isBaseline: true,
  passages: async (texts: readonly string[]) => baseline.embed(texts),
  query: async (text: string) => baseline.embed([text])[0]!,
};

type Given = Partial<PassagePoint> & { readonly text: string };

async function put(vectors: Vectors, tenant: string, documentId: string, given: readonly Given[]): Promise<void> {
  const made = given.map((one, ordinal): PassagePoint => ({
    documentId,
    ordinal,
    vector: baseline.embed([one.text])[0]!,
    documentName: `${documentId}.txt`,
    title: documentId,
    place: {},
    language: "en",
    format: "text",
    ...indexed(one.text),
    ...one,
  }));
  await vectors.replace({ tenantId: tenant, documentId }, made, signal);
}

async function vault(documents: Readonly<Record<string, Given | readonly Given[]>>) {
  const vectors = fakeVectors();
  for (const [id, given] of Object.entries(documents)) await put(vectors, tenantId, id, "text" in given ? [given] : given);
  return { vectors, embedder };
}

const found = async (ports: Awaited<ReturnType<typeof vault>>, question: string, more: object = {}): Promise<string[]> =>
  (await searchVault.run({ tenantId, question, limit: 10, ...more }, ports, signal)).passages.map(({ documentId }) => documentId);

test("a type and a period in the question move passages up, and hide none when the guess is wrong", async () => {
  const march = Date.UTC(2025, 2, 5);
  const ports = await vault({
    old: { text: "Invoice for the boiler of the school.", entityType: "invoice", writtenAt: Date.UTC(2020, 2, 5) },
    wanted: { text: "Amount due for a boiler and its flue.", entityType: "invoice", writtenAt: march },
    mail: { text: "The boiler invoice is a mystery to me.", entityType: "email", writtenAt: march },
  });
  assert.equal((await found(ports, "boiler invoices of March 2025"))[0], "wanted");
  assert.deepEqual((await found(ports, "boiler contracts of 1999")).length > 0, true);
});

test("a question for a type alone lists its documents although they do not say the word", async () => {
  const ports = await vault({
    one: { text: "To pay: 120 for a hinge.", entityType: "invoice" },
    two: { text: "Dear all, the picnic is on Friday.", entityType: "email" },
  });
  assert.deepEqual(await found(ports, "toutes les factures"), ["one"]);
});

test("a filter given is kept to, and what was understood is said", async () => {
  const ports = await vault({
    en: { text: "The key is under the mat." },
    fr: { text: "The key, la clé, est chez le voisin.", language: "fr" },
  });
  const answer = await searchVault.run(
    { tenantId, question: 'the "key" NK-1234', limit: 5, filter: { languages: ["fr"] } },
    ports,
    signal,
  );
  assert.deepEqual(
    answer.passages.map(({ documentId }) => documentId),
    ["fr"],
  );
  assert.deepEqual(answer.understood, { filter: {}, phrases: ["key"], codes: ["NK-1234"], corrections: [] });
});

test("a phrase and a code come first wherever they stand", async () => {
  const filler = Array.from(
    { length: 70 },
    (_, at) => [`filler${at}`, { text: `The total of part ${at} and the net of part ${at}: totals, nets, total, net.` }] as const,
  );
  const ports = await vault({
    ...Object.fromEntries(filler),
    phrase: {
      text: "In the annex, after long words about other things, one reads that the net total is 12 euros and nothing else is owed.",
    },
    code: {
      text: "A long story about a delivery in which the number NK-4471-B was mentioned once, between other things of no interest.",
    },
  });
  assert.equal((await found(ports, '"net total"'))[0], "phrase");
  assert.equal((await found(ports, "total net nk4471b"))[0], "code");
  assert.equal((await found(ports, "NK-4471-B total"))[0], "code");
});

test("a misspelt word is read as one of the vault's, and that is said", async () => {
  const ports = await vault({ one: { text: "The insurance covers storms." }, two: { text: "The ferry leaves at six." } });
  const answer = await searchVault.run({ tenantId, question: "insurrance", limit: 5 }, ports, signal);
  assert.deepEqual(
    answer.passages.map(({ documentId }) => documentId),
    ["one"],
  );
  assert.deepEqual(answer.understood.corrections, [{ word: "insurrance", read: ["insurance"] }]);
  assert.deepEqual(
    (await searchVault.run({ tenantId, question: "insurances", limit: 5 }, ports, signal)).understood.corrections,
    [],
  );
});

test("copies are folded into the best of them and named", async () => {
  const text = "The lease of the workshop runs until the end of June and is renewed unless one side gives notice before.";
  const ports = await vault({ a: { text }, b: { text }, c: { text: "The workshop has a lease and a stove." } });
  const { passages } = await searchVault.run({ tenantId, question: "lease of the workshop", limit: 5 }, ports, signal);
  assert.equal(passages.length, 2);
  const folded = passages.find(({ alike }) => alike);
  const names = [folded?.documentId, ...(folded?.alike ?? []).map(({ documentId }) => documentId)];
  assert.deepEqual(new Set(names), new Set(["a", "b"]));
});

test("newer documents come first when asked for", async () => {
  const text = "The rent of the shed is due on the first.";
  const ports = await vault({
    old: { text: `${text} Forty.`, writtenAt: Date.UTC(2001) },
    new: { text: `${text} Sixty.`, writtenAt: Date.now() },
  });
  assert.equal((await found(ports, "rent of the shed", { weights: { recency: 1 } }))[0], "new");
});

test("a search explains itself when asked, and not otherwise", async () => {
  const ports = await vault({ one: { text: "The gate opens at eight." } });
  const ask = async (explain: boolean) =>
    (await askVault.run({ tenantId, question: "gate opens", limit: 1, explain }, ports, signal)).passages[0];
  const explanation = (await ask(true))?.explanation;
  assert.deepEqual(
    explanation?.branches.map(({ name, rank }) => [name, rank]),
    [
      ["dense", 1],
      ["lexical", 1],
    ],
  );
  assert.deepEqual(explanation?.terms.length, 2);
  assert.equal((await ask(false))?.explanation, undefined);
});

test("a reranker has the last word, and its silence takes nothing away", async () => {
  const ports = await vault({
    a: { text: "The gate opens at eight on Monday." },
    b: { text: "The gate is painted green; it opens." },
  });
  const order = async (score: Reranker["score"]) => {
    const answer = await searchVault.run(
      { tenantId, question: "when does the gate open on Monday", limit: 2 },
      { ...ports, reranker: { id: "judge", score } },
      signal,
    );
    assert.equal(answer.reranker, "judge");
    return answer.passages.map(({ documentId }) => documentId);
  };
  assert.deepEqual(await order(async (_, texts) => texts.map((text) => (text.includes("green") ? 9 : -9))), ["b", "a"]);
  assert.deepEqual(await order(async () => Promise.reject(new NikaError("unavailable", "gone"))), ["a", "b"]);
});

test("a passage is opened with those of its section, in order", async () => {
  const some = Array.from({ length: 30 }, (_, at) => ({ text: `passage ${at}`, section: at < 10 ? 1 : 2 }));
  const ports = await vault({ long: some });
  const opened = await openVault.run({ tenantId, documentId: "long", ordinal: 11 }, ports, signal);
  assert.deepEqual(
    opened.passages.map(({ ordinal }) => ordinal),
    Array.from({ length: 14 }, (_, at) => at + 10),
  );
  assert.deepEqual([opened.hasBefore, opened.hasAfter], [true, true]);
  await assert.rejects(openVault.run({ tenantId, documentId: "long", ordinal: 99 }, ports, signal), { code: "missing" });
  await assert.rejects(openVault.run({ tenantId, documentId: "long", ordinal: -1 }, ports, signal), { code: "invalid" });
});

test("no call with another tenant's id finds, opens or changes anything, whatever it is limited to", async () => {
  const vectors = fakeVectors();
  const tenants = ["ada", "basil", "clara"];
  const text = "The secret recipe of the mill is kept in drawer NK-4471.";
  for (const tenant of tenants)
    for (let at = 0; at < 4; at += 1)
      await put(vectors, tenant, `doc${at}`, [
        {
          text: `${text} Known to ${tenant} in ${2020 + at}.`,
          entityType: entityTypes[at % 3]!,
          language: at % 2 ? "fr" : "en",
          writtenAt: Date.UTC(2020 + at),
        },
      ]);
  await put(vectors, "ada", "private", [{ text: "Only ada knows the zanzibar code QX-9." }]);
  const random = randomOf(17);
  const ports = { vectors, embedder };
  for (let run = 0; run < 150; run += 1) {
    const tenant = random.pick([...tenants, "nobody", "", "ada'", "*"]);
    const filter: SearchFilter = {
      ...(random.below(3) === 0 && { types: [random.pick(entityTypes)] }),
      ...(random.below(3) === 0 && { languages: [random.pick(["en", "fr"])] }),
      ...(random.below(4) === 0 && { documentIds: ["doc1", "private"] }),
      ...(random.below(4) === 0 && { from: Date.UTC(2019 + random.below(5)) }),
    };
    const question = random.pick([
      "secret recipe",
      "zanzibar",
      '"only ada knows"',
      "QX-9",
      "zanzibra",
      "documents of 2021",
      "letters",
    ]);
    const call = random.pick([askVault, searchVault]);
    const { passages, understood } = await call.run(
      { tenantId: tenant, question, limit: 20, filter, explain: true },
      ports,
      signal,
    );
    const said = JSON.stringify([passages, understood.corrections]);
    for (const other of tenants) if (other !== tenant) assert.ok(!said.includes(`Known to ${other}`), `${tenant} ${question}`);
    if (tenant !== "ada")
      assert.ok(!said.includes("zanzibar code") && !said.includes('"read":["zanzibar"'), `${tenant} ${question}`);
    if (!tenants.includes(tenant)) {
      assert.equal(passages.length, 0);
      await assert.rejects(openVault.run({ tenantId: tenant, documentId: "doc1", ordinal: 0 }, ports, signal), {
        code: "missing",
      });
    }
  }
  await assert.rejects(openVault.run({ tenantId: "basil", documentId: "private", ordinal: 0 }, ports, signal), {
    code: "missing",
  });
});
