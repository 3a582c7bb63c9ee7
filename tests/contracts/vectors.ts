import assert from "node:assert/strict";
import { test } from "node:test";
import { isNikaError } from "../../convex/model/error.ts";
import type { SearchFilter } from "../../convex/model/answer.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { indexed } from "../../ml/retrieve/terms.ts";
import type { PassageHit, PassagePoint, Terms, Vectors } from "../../functions/ports/vectors.ts";

const dimensions = 384;
const never = new AbortController().signal;

/** A unit vector that points mostly along one axis. */
export function pointing(axis: number, also = axis): Float32Array {
  const vector = new Float32Array(dimensions);
  vector[axis] = also === axis ? 1 : 0.8;
  if (also !== axis) vector[also] = 0.6;
  return vector;
}

export function terms(...indices: number[]): Terms {
  return { indices, values: indices.map(() => 1) };
}

export function passage(documentId: string, ordinal: number, changes: Partial<PassagePoint> = {}): PassagePoint {
  return {
    documentId,
    ordinal,
    vector: pointing(ordinal),
    terms: terms(1, 1000 + ordinal),
    documentName: `${documentId}.md`,
    title: `About ${documentId}`,
    text: `passage ${ordinal} of ${documentId}`,
    place: { page: ordinal + 1, headings: ["Start", "Middle"] },
    language: "en",
    format: "markdown",
    ...changes,
  };
}

const tenantId = "owner";

/** By nearness and by words, as `ask` does. */
export function hybrid(
  vectors: Vectors,
  { vector, terms, ...query }: { vector: Float32Array; terms: Terms; limit: number; tenantId?: string; filter?: SearchFilter },
  signal = never,
): Promise<readonly PassageHit[]> {
  const branches = [
    { name: "dense", weight: 1, vector },
    { name: "lexical", weight: 2, terms },
  ];
  return vectors.search({ tenantId, branches, ...query }, signal);
}

const passages = (documentId: string, count: number): PassagePoint[] =>
  Array.from({ length: count }, (_, ordinal) => passage(documentId, ordinal));

/** What every vault of passages promises. `open` gives an empty one. */
export function vectorsContract(name: string, open: () => Promise<Vectors>): void {
  test(`${name}: an empty vault answers with nothing`, async () => {
    const vectors = await open();

    assert.equal(await vectors.count({ tenantId }), 0);
    assert.deepEqual(await hybrid(vectors, { vector: pointing(0), terms: terms(1), limit: 5 }, never), []);
    await vectors.remove({ tenantId, documentId: "nobody" });
  });

  test(`${name}: a passage comes back as it was put in`, async () => {
    const vectors = await open();
    const put = passage("report", 0, {
      text: "Überschrift\n\u{1F4C4} 100 %",
      place: { lines: { from: 3, to: 9 }, part: "body" },
      kind: "table",
      section: 4,
      author: "Ada Lorne",
      people: ["Basil Thirkell"],
      writtenAt: 1_700_000_000_000,
      sha256: "ab",
      domain: "boats",
    });
    await vectors.replace({ tenantId, documentId: "report" }, [put], never);

    const [hit] = await hybrid(vectors, { vector: put.vector, terms: put.terms, limit: 1 }, never);

    const { vector: _, terms: _t, spellings: _s, ...stored } = put;
    const { score: _c, branches, ...found } = hit!;
    assert.deepEqual(found, { scope: "private", entityType: "document", domain: "general", ...stored });
    assert.deepEqual(
      branches.map(({ name, rank }) => [name, rank]),
      [
        ["dense", 1],
        ["lexical", 1],
      ],
    );
  });

  test(`${name}: a document replaced by itself is held once`, async () => {
    const vectors = await open();

    for (let i = 0; i < 3; i++) await vectors.replace({ tenantId, documentId: "report" }, passages("report", 300), never);

    assert.equal(await vectors.count({ tenantId, documentId: "report" }), 300);
    assert.equal(await vectors.count({ tenantId }), 300);
  });

  test(`${name}: a shorter version leaves nothing of the longer one behind`, async () => {
    const vectors = await open();
    await vectors.replace({ tenantId, documentId: "other" }, passages("other", 2), never);
    await vectors.replace({ tenantId, documentId: "report" }, passages("report", 5), never);

    await vectors.replace(
      { tenantId, documentId: "report" },
      [passage("report", 0, { text: "new" }), passage("report", 1)],
      never,
    );

    assert.equal(await vectors.count({ tenantId, documentId: "report" }), 2);
    assert.equal(await vectors.count({ tenantId, documentId: "other" }), 2);
    const hits = await hybrid(vectors, { vector: pointing(4), terms: terms(1004), limit: 50 }, never);
    assert.deepEqual(
      hits.filter(({ documentId, ordinal }) => documentId === "report" && ordinal > 1),
      [],
    );
    assert.equal(hits.find(({ documentId, ordinal }) => documentId === "report" && ordinal === 0)?.text, "new");
  });

  test(`${name}: a document replaced by nothing is gone`, async () => {
    const vectors = await open();
    await vectors.replace({ tenantId, documentId: "report" }, passages("report", 3), never);

    await vectors.replace({ tenantId, documentId: "report" }, [], never);

    assert.equal(await vectors.count({ tenantId }), 0);
  });

  test(`${name}: a removed document is not found again, and the others stay`, async () => {
    const vectors = await open();
    await vectors.replace({ tenantId, documentId: "gone" }, passages("gone", 3), never);
    await vectors.replace({ tenantId, documentId: "stays" }, passages("stays", 3), never);

    await vectors.remove({ tenantId, documentId: "gone" });

    assert.equal(await vectors.count({ tenantId, documentId: "gone" }), 0);
    const hits = await hybrid(vectors, { vector: pointing(1), terms: terms(1, 1001), limit: 50 }, never);
    assert.deepEqual([...new Set(hits.map(({ documentId }) => documentId))], ["stays"]);
  });

  test(`${name}: a rare word outweighs a common one`, async () => {
    const vectors = await open();
    const common = Array.from({ length: 8 }, (_, i) => passage("common", i, { terms: terms(7), vector: pointing(20 + i) }));
    await vectors.replace({ tenantId, documentId: "common" }, common, never);
    await vectors.replace(
      { tenantId, documentId: "rare" },
      [passage("rare", 0, { terms: terms(7, 8), vector: pointing(40) })],
      never,
    );

    const hits = await hybrid(vectors, { vector: new Float32Array(dimensions), terms: terms(7, 8), limit: 3 }, never);

    assert.equal(hits[0]?.documentId, "rare");
    assert.equal(hits.length, 3);
  });

  test(`${name}: how often other tenants use a word, and what is held, changes neither order nor scores`, async () => {
    const vectors = await open();
    // Two against one: which of the two words is the rare one decides who comes first.
    const texts = [terms(7), terms(8), terms(8), terms(9)];
    for (const [at, words] of texts.entries())
      await vectors.replace({ tenantId, documentId: `d${at}` }, [passage(`d${at}`, 0, { terms: words })], never);
    const ask = async () => {
      const branches = [{ name: "lexical", weight: 1, terms: terms(7, 8) }];
      const hits = await vectors.search({ tenantId, branches, limit: 5 }, never);
      return hits.map(({ documentId, branches: [first] }) => ({ documentId, score: first!.score }));
    };
    const before = await ask();
    assert.deepEqual([before.length, before[0]?.documentId], [3, "d0"]);

    const many = Array.from({ length: 20 }, (_, at) => passage("other", at, { terms: terms(7) }));
    await vectors.replace({ tenantId: "stranger", documentId: "other" }, many, never);
    const hold = { batchId: "b", folder: "" };
    const held = Array.from({ length: 20 }, (_, at) => passage("held", at, { terms: terms(7), hold }));
    await vectors.replace({ tenantId, documentId: "held" }, held, never);

    assert.deepEqual(await ask(), before);
  });

  test(`${name}: what is near by meaning is found without a common word, and by words without being near`, async () => {
    const vectors = await open();
    await vectors.replace(
      { tenantId, documentId: "near" },
      [passage("near", 0, { vector: pointing(5, 6), terms: terms(50) })],
      never,
    );
    await vectors.replace(
      { tenantId, documentId: "said" },
      [passage("said", 0, { vector: pointing(100), terms: terms(60) })],
      never,
    );

    const byMeaning = await hybrid(vectors, { vector: pointing(5), terms: terms(), limit: 1 }, never);
    const byWords = await hybrid(vectors, { vector: new Float32Array(dimensions), terms: terms(60), limit: 5 }, never);

    assert.deepEqual(
      byMeaning.map(({ documentId }) => documentId),
      ["near"],
    );
    assert.deepEqual(
      byWords.map(({ documentId }) => documentId),
      ["said"],
    );
  });

  test(`${name}: the best of both sides comes first, with falling scores and no more than asked for`, async () => {
    const vectors = await open();
    await vectors.replace({ tenantId, documentId: "report" }, passages("report", 30), never);

    const hits = await hybrid(vectors, { vector: pointing(3), terms: terms(1003), limit: 4 }, never);

    assert.equal(hits[0]?.ordinal, 3);
    assert.equal(hits.length, 4);
    assert.deepEqual(
      hits.map(({ score }) => score),
      hits.map(({ score }) => score).toSorted((a, b) => b - a),
    );
  });

  test(`${name}: a question without words or direction finds nothing`, async () => {
    const vectors = await open();
    await vectors.replace({ tenantId, documentId: "report" }, passages("report", 2), never);

    assert.deepEqual(await hybrid(vectors, { vector: new Float32Array(dimensions), terms: terms(), limit: 5 }, never), []);
  });

  test(`${name}: nothing is written or asked once the signal has fired`, async () => {
    const vectors = await open();
    const fired = AbortSignal.abort();
    const isCancelled = (error: unknown): boolean => isNikaError(error) && error.code === "cancelled";

    await assert.rejects(vectors.replace({ tenantId, documentId: "report" }, passages("report", 2), fired), isCancelled);
    await assert.rejects(hybrid(vectors, { vector: pointing(0), terms: terms(1), limit: 1 }, fired), isCancelled);

    assert.equal(await vectors.count({ tenantId }), 0);
  });

  test(`${name}: many documents written at once are all there`, async () => {
    const vectors = await open();
    const names = Array.from({ length: 12 }, (_, i) => `document ${i}`);

    await Promise.all(names.map((documentId) => vectors.replace({ tenantId, documentId }, passages(documentId, 3), never)));

    assert.equal(await vectors.count({ tenantId }), 36);
    assert.deepEqual(
      await Promise.all(names.map((documentId) => vectors.count({ tenantId, documentId }))),
      names.map(() => 3),
    );
  });

  test(`${name}: a filter leaves what it says and nothing else`, async () => {
    const vectors = await open();
    const day = Date.UTC(2025, 2, 10);
    const facts = {
      documentName: "clients/Voss/a.eml",
      entityType: "invoice",
      author: "Clara Voss <clara@voss.example>",
      writtenAt: day,
    };
    await vectors.replace({ tenantId, documentId: "a" }, [passage("a", 0, { ...facts, kind: "table" })], never);
    await vectors.replace({ tenantId, documentId: "b" }, [passage("b", 0, { language: "fr" })], never);
    const found = async (filter: SearchFilter): Promise<string[]> => {
      const hits = await hybrid(vectors, { vector: pointing(0), terms: terms(1, 1000), limit: 9, filter });
      return hits.map(({ documentId }) => documentId).sort();
    };

    const onlyA: SearchFilter[] = [
      { types: ["invoice", "quote"] },
      { kinds: ["table"] },
      { author: "voss" },
      { author: "Clara VOSS" },
      { author: "clara@voss.example" },
      { folder: "clients" },
      { folder: "/Clients/voss/" },
      { from: day },
      { from: day - 1, to: day + 1 },
      { documentIds: ["a"] },
      { types: ["invoice"], languages: ["en"] },
    ];
    for (const filter of onlyA) assert.deepEqual(await found(filter), ["a"], JSON.stringify(filter));
    const onlyB: SearchFilter[] = [{ languages: ["fr"] }, { types: ["document"] }];
    for (const filter of onlyB) assert.deepEqual(await found(filter), ["b"], JSON.stringify(filter));
    const none: SearchFilter[] = [
      { to: day },
      { author: "Clara Lorne" },
      { folder: "client" },
      { types: [] },
      { types: ["invoice"], languages: ["fr"] },
    ];
    for (const filter of none) assert.deepEqual(await found(filter), [], JSON.stringify(filter));
    assert.deepEqual(await found({}), ["a", "b"]);
  });

  test(`${name}: words in quotation marks are found as they stand, and only so`, async () => {
    const vectors = await open();
    const texts = ["The net total is due.", "A total of nets is due, net of tax."];
    const made = texts.map((text, ordinal) => passage("d", ordinal, { text }));
    await vectors.replace({ tenantId, documentId: "d" }, made, never);
    const branches = [{ name: "phrase", weight: 1, phrase: "net total", terms: terms(1) }];

    const hits = await vectors.search({ tenantId, branches, limit: 5 }, never);

    assert.deepEqual(
      hits.map(({ ordinal }) => ordinal),
      [0],
    );
  });

  test(`${name}: what is held is counted and not found, until its group is released`, async () => {
    const vectors = await open();
    const hold = { batchId: "batch", folder: "in" };
    await vectors.replace({ tenantId, documentId: "a" }, [passage("a", 0, { hold, entityType: "invoice" })], never);
    await vectors.replace({ tenantId, documentId: "b" }, [passage("b", 0, { hold }), passage("b", 1, { hold })], never);
    const found = async (): Promise<string[]> => {
      const hits = await hybrid(vectors, { vector: pointing(0), terms: terms(1), limit: 9 });
      return hits.map(({ documentId, ordinal }) => `${documentId}${ordinal}`).sort();
    };
    assert.equal(await vectors.count({ tenantId }), 3);
    assert.deepEqual(await found(), []);

    await vectors.release({ tenantId: "other", batchId: "batch" });
    await vectors.release({ tenantId, batchId: "batch", only: { by: "type", value: "invoice" } });
    assert.deepEqual(await found(), ["a0"]);

    await vectors.discard({ tenantId, batchId: "batch" });
    assert.deepEqual(await found(), ["a0"]);
    assert.equal(await vectors.count({ tenantId }), 1);
  });

  test(`${name}: a document's labels are changed without touching its passages`, async () => {
    const vectors = await open();
    await vectors.replace({ tenantId, documentId: "a" }, passages("a", 2), never);
    await vectors.label({ tenantId, documentId: "a" }, { domain: "boats", entityType: "manual" });
    await vectors.label({ tenantId: "other", documentId: "a" }, { domain: "stolen" });

    const hits = await hybrid(vectors, { vector: pointing(0), terms: terms(1), limit: 5, filter: { domains: ["boats"] } });

    assert.deepEqual(
      hits.map(({ ordinal, entityType, text }) => [ordinal, entityType, text]),
      [
        [0, "manual", "passage 0 of a"],
        [1, "manual", "passage 1 of a"],
      ],
    );
  });

  test(`${name}: the passages around one are given in order`, async () => {
    const vectors = await open();
    await vectors.replace({ tenantId, documentId: "a" }, passages("a", 120), never);
    await vectors.replace({ tenantId, documentId: "b" }, passages("b", 5), never);

    const some = await vectors.passages({ tenantId, documentId: "a", from: 3, to: 6 }, never);

    assert.deepEqual(
      some.map(({ documentId, ordinal, text }) => [documentId, ordinal, text]),
      [3, 4, 5, 6].map((ordinal) => ["a", ordinal, `passage ${ordinal} of a`]),
    );
    assert.deepEqual(await vectors.passages({ tenantId, documentId: "nobody", from: 0, to: 9 }, never), []);
  });

  test(`${name}: a word nobody wrote is told with the words it looks like`, async () => {
    const vectors = await open();
    const spellings = ["invoice", "voice", "insurance", "reglement", "meeting"];
    await vectors.replace({ tenantId, documentId: "a" }, [passage("a", 0, { spellings })], never);

    const found = await vectors.spellings({ tenantId, words: ["invoice", "invioce", "insurrance", "reglemnt", "zebra"] }, never);

    assert.deepEqual(Object.fromEntries(found), {
      invioce: ["invoice"],
      insurrance: ["insurance"],
      reglemnt: ["reglement"],
      zebra: [],
    });
    assert.deepEqual(await vectors.spellings({ tenantId: "other", words: ["invioce"] }, never), new Map([["invioce", []]]));
  });

  test(`${name}: what only a removed document said is not offered as a spelling any more`, async () => {
    const vectors = await open();
    const worded = (documentId: string, ordinal: number, text: string): PassagePoint => {
      const place = { page: 1 };
      return passage(documentId, ordinal, { title: "", place, text, ...indexed(textToEmbed({ title: "", place, text })) });
    };
    await vectors.replace(
      { tenantId, documentId: "a" },
      [worded("a", 0, "confidential settlement"), worded("a", 1, "payment terms")],
      never,
    );
    await vectors.replace({ tenantId, documentId: "b" }, [worded("b", 0, "payment received")], never);
    await vectors.replace({ tenantId: "other", documentId: "a" }, [worded("a", 0, "settlement")], never);
    const asked = { tenantId, words: ["setlement", "payement"] };
    assert.deepEqual(Object.fromEntries(await vectors.spellings(asked, never)), {
      setlement: ["settlement"],
      payement: ["payment"],
    });

    await vectors.remove({ tenantId, documentId: "a" });

    const left = await vectors.spellings(asked, never);
    assert.ok(!left.get("setlement")?.includes("settlement"));
    assert.deepEqual(left.get("payement"), ["payment"]);
    const others = await vectors.spellings({ tenantId: "other", words: ["setlement"] }, never);
    assert.deepEqual(others.get("setlement"), ["settlement"], "another tenant keeps its own");
    await vectors.replace({ tenantId, documentId: "c" }, [worded("c", 0, "settlement")], never);
    assert.deepEqual((await vectors.spellings(asked, never)).get("setlement"), ["settlement"], "it may come back");
  });
}
