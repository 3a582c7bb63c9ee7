import assert from "node:assert/strict";
import { test } from "node:test";
import { isNikaError } from "../../convex/model/error.ts";
import type { PassagePoint, Terms, Vectors } from "../../functions/ports/vectors.ts";

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

const passages = (documentId: string, count: number): PassagePoint[] =>
  Array.from({ length: count }, (_, ordinal) => passage(documentId, ordinal));

/** What every vault of passages promises. `open` gives an empty one. */
export function vectorsContract(name: string, open: () => Promise<Vectors>): void {
  test(`${name}: an empty vault answers with nothing`, async () => {
    const vectors = await open();

    assert.equal(await vectors.count(), 0);
    assert.deepEqual(await vectors.search({ vector: pointing(0), terms: terms(1), limit: 5 }, never), []);
    await vectors.remove("nobody");
  });

  test(`${name}: a passage comes back as it was put in`, async () => {
    const vectors = await open();
    const put = passage("report", 0, {
      text: "Überschrift\n\u{1F4C4} 100 %",
      place: { lines: { from: 3, to: 9 }, part: "body" },
    });
    await vectors.replace("report", [put], never);

    const [hit] = await vectors.search({ vector: put.vector, terms: put.terms, limit: 1 }, never);

    const { documentId, documentName, title, ordinal, text, place } = put;
    assert.deepEqual({ ...hit, score: 0 }, { documentId, documentName, title, ordinal, text, place, score: 0 });
  });

  test(`${name}: a document replaced by itself is held once`, async () => {
    const vectors = await open();

    for (let i = 0; i < 3; i++) await vectors.replace("report", passages("report", 300), never);

    assert.equal(await vectors.count("report"), 300);
    assert.equal(await vectors.count(), 300);
  });

  test(`${name}: a shorter version leaves nothing of the longer one behind`, async () => {
    const vectors = await open();
    await vectors.replace("other", passages("other", 2), never);
    await vectors.replace("report", passages("report", 5), never);

    await vectors.replace("report", [passage("report", 0, { text: "new" }), passage("report", 1)], never);

    assert.equal(await vectors.count("report"), 2);
    assert.equal(await vectors.count("other"), 2);
    const hits = await vectors.search({ vector: pointing(4), terms: terms(1004), limit: 50 }, never);
    assert.deepEqual(
      hits.filter(({ documentId, ordinal }) => documentId === "report" && ordinal > 1),
      [],
    );
    assert.equal(hits.find(({ documentId, ordinal }) => documentId === "report" && ordinal === 0)?.text, "new");
  });

  test(`${name}: a document replaced by nothing is gone`, async () => {
    const vectors = await open();
    await vectors.replace("report", passages("report", 3), never);

    await vectors.replace("report", [], never);

    assert.equal(await vectors.count(), 0);
  });

  test(`${name}: a removed document is not found again, and the others stay`, async () => {
    const vectors = await open();
    await vectors.replace("gone", passages("gone", 3), never);
    await vectors.replace("stays", passages("stays", 3), never);

    await vectors.remove("gone");

    assert.equal(await vectors.count("gone"), 0);
    const hits = await vectors.search({ vector: pointing(1), terms: terms(1, 1001), limit: 50 }, never);
    assert.deepEqual([...new Set(hits.map(({ documentId }) => documentId))], ["stays"]);
  });

  test(`${name}: a rare word outweighs a common one`, async () => {
    const vectors = await open();
    const common = Array.from({ length: 8 }, (_, i) => passage("common", i, { terms: terms(7), vector: pointing(20 + i) }));
    await vectors.replace("common", common, never);
    await vectors.replace("rare", [passage("rare", 0, { terms: terms(7, 8), vector: pointing(40) })], never);

    const hits = await vectors.search({ vector: new Float32Array(dimensions), terms: terms(7, 8), limit: 3 }, never);

    assert.equal(hits[0]?.documentId, "rare");
    assert.equal(hits.length, 3);
  });

  test(`${name}: what is near by meaning is found without a common word, and by words without being near`, async () => {
    const vectors = await open();
    await vectors.replace("near", [passage("near", 0, { vector: pointing(5, 6), terms: terms(50) })], never);
    await vectors.replace("said", [passage("said", 0, { vector: pointing(100), terms: terms(60) })], never);

    const byMeaning = await vectors.search({ vector: pointing(5), terms: terms(), limit: 1 }, never);
    const byWords = await vectors.search({ vector: new Float32Array(dimensions), terms: terms(60), limit: 5 }, never);

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
    await vectors.replace("report", passages("report", 30), never);

    const hits = await vectors.search({ vector: pointing(3), terms: terms(1003), limit: 4 }, never);

    assert.equal(hits[0]?.ordinal, 3);
    assert.equal(hits.length, 4);
    assert.deepEqual(
      hits.map(({ score }) => score),
      hits.map(({ score }) => score).toSorted((a, b) => b - a),
    );
  });

  test(`${name}: a question without words or direction finds nothing`, async () => {
    const vectors = await open();
    await vectors.replace("report", passages("report", 2), never);

    assert.deepEqual(await vectors.search({ vector: new Float32Array(dimensions), terms: terms(), limit: 5 }, never), []);
  });

  test(`${name}: nothing is written or asked once the signal has fired`, async () => {
    const vectors = await open();
    const fired = AbortSignal.abort();
    const isCancelled = (error: unknown): boolean => isNikaError(error) && error.code === "cancelled";

    await assert.rejects(vectors.replace("report", passages("report", 2), fired), isCancelled);
    await assert.rejects(vectors.search({ vector: pointing(0), terms: terms(1), limit: 1 }, fired), isCancelled);

    assert.equal(await vectors.count(), 0);
  });

  test(`${name}: many documents written at once are all there`, async () => {
    const vectors = await open();
    const names = Array.from({ length: 12 }, (_, i) => `document ${i}`);

    await Promise.all(names.map((documentId) => vectors.replace(documentId, passages(documentId, 3), never)));

    assert.equal(await vectors.count(), 36);
    assert.deepEqual(
      await Promise.all(names.map((documentId) => vectors.count(documentId))),
      names.map(() => 3),
    );
  });
}
