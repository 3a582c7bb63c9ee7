import assert from "node:assert/strict";
import { test } from "node:test";
import type { Asked, Reaction } from "../../../convex/model/use.ts";
import { checkDataset } from "../../../ml/dataset/check.ts";
import { distinct, pairsFromHistory } from "../../../ml/dataset/history.ts";
import { headingPairs, spanPairs, standsIn, withoutSource } from "../../../ml/dataset/made.ts";
import { mineNegatives } from "../../../ml/dataset/negatives.ts";
import type { DatasetPassage, Pair } from "../../../ml/dataset/pair.ts";
import { scrub } from "../../../ml/dataset/scrub.ts";
import { splitByDocument } from "../../../ml/dataset/split.ts";
import { byName, madeFirm } from "./firm.ts";

const passage = (documentId: string, body: string, more: Partial<DatasetPassage> = {}): DatasetPassage => ({
  documentId,
  ordinal: 0,
  title: documentId,
  body,
  text: `${documentId}\n${body}`,
  headings: [],
  language: "en",
  entityType: "document",
  scope: "private",
  ...more,
});
const asked = (id: string, at: number, question: string): Asked => ({ id, at, session: "s", question, shown: [] });
const reaction = (askId: string, type: Reaction["type"], documentId: string): Reaction => ({
  askId,
  at: 0,
  type,
  documentId,
  ordinal: 0,
});

test("what was used answers; what was disliked does not, and what no scope allows is not learned from", () => {
  const passages = byName([passage("a", "one"), passage("b", "two"), passage("c", "three", { scope: "team" })]);
  const pairs = pairsFromHistory(
    [asked("1", 0, "first"), asked("2", 10 * 60_000, "second"), asked("3", 20 * 60_000, "third")],
    [
      reaction("1", "cited", "a"),
      reaction("1", "opened", "b"),
      reaction("1", "disliked", "b"),
      reaction("2", "opened", "b"),
      reaction("3", "cited", "c"),
    ],
    { passages, scopes: new Set(["private"]) },
  );
  assert.deepEqual(
    pairs.map(({ query, passage: { documentId }, weight }) => [query, documentId, weight]),
    [
      ["first", "a", 1],
      ["second", "b", 0.7],
    ],
  );
});

test("who asks again soon in other words meant the same, and only when the first question came to nothing", () => {
  const passages = byName([passage("a", "one")]);
  const history = (firstUsed: boolean, gapMs: number): string[] =>
    pairsFromHistory(
      [asked("1", 0, "poorly put"), asked("2", gapMs, "well put")],
      [...(firstUsed ? [reaction("1", "cited", "a")] : []), reaction("2", "cited", "a")],
      { passages, scopes: new Set(["private"]) },
    ).map(({ query, origin }) => `${query}: ${origin}`);
  assert.deepEqual(history(false, 30_000), ["well put: used", "poorly put: reformulated"]);
  assert.deepEqual(history(true, 30_000), ["poorly put: used", "well put: used"]);
  assert.deepEqual(history(false, 30 * 60_000), ["well put: used"]);
});

test("the same pair counts once, at its surest, and no document teaches more than its share", () => {
  const pair = (query: string, weight: number): Pair => ({
    query,
    passage: { documentId: "a", ordinal: 0 },
    weight,
    at: 0,
    origin: "used",
    session: "",
  });
  assert.deepEqual(
    distinct([pair("Where is it?", 0.7), pair("where  is it", 1)]).map(({ weight }) => weight),
    [1],
  );
  assert.equal(distinct(Array.from({ length: 50 }, (_, at) => pair(`question ${at}`, 1))).length, 20);
});

test("made questions are left out of what they are asked of", () => {
  const one = passage("a", "The boiler stands in the cellar beside the old oil tank, and its flue leaves by the north wall.", {
    title: "Heating",
    headings: ["Where the boiler is"],
  });
  const [heading] = headingPairs([one]);
  assert.equal(heading!.query, "Where the boiler is");
  for (const pair of [heading!, ...spanPairs([one], { perPassage: 5, seed: 3 })])
    assert.ok(!standsIn(pair, withoutSource(one, pair)), `${pair.query} still stands in it`);
  assert.deepEqual(spanPairs([one], { perPassage: 2, seed: 3 }), spanPairs([one], { perPassage: 2, seed: 3 }));
});

test("addresses, accounts, cards and phone numbers are taken out when asked, and other figures stay", async () => {
  const { text, found } = await scrub(
    "Mail jo@example.org or call 06 12 34 56 78, account FR76 3000 6000 0112 3456 7890 189, card 4111 1111 1111 1111, order 4711.",
  );
  assert.equal(found, 4);
  assert.equal(text, "Mail [email] or call [phone], account [account], card [card], order 4711.");
});

test("no document, no copy of one and no question is on two sides, and the newest use is judged by", () => {
  const { passages, pairs } = madeFirm();
  const words = "exactly the same long letter about a roof that leaked in the winter of that year and was mended by us in spring";
  const copies = [passage("copy1", words), passage("copy2", words)];
  const copyPairs = copies.map(({ documentId }, at): Pair => ({
    ...pairs[0]!,
    query: `copy ${at}`,
    passage: { documentId, ordinal: 0 },
    at: at * 9e9,
  }));
  const split = splitByDocument([...pairs, ...copyPairs, { ...pairs[0]!, query: pairs.at(-1)!.query }], [...passages, ...copies]);
  const documents = (part: { pairs: readonly Pair[] }): Set<string> => new Set(part.pairs.map((one) => one.passage.documentId));
  const queries = (part: { pairs: readonly Pair[] }): Set<string> => new Set(part.pairs.map(({ query }) => query));
  for (const [one, other] of [
    [split.training, split.test],
    [split.training, split.tuning],
    [split.tuning, split.test],
  ] as const) {
    assert.ok(one.pairs.length > 0 && other.pairs.length > 0);
    assert.equal(documents(one).intersection(documents(other)).size, 0);
    assert.equal(queries(one).intersection(queries(other)).size, 0);
  }
  assert.deepEqual([documents(split.test).has("copy1"), documents(split.test).has("copy2")], [true, true]);
  assert.ok(documents(split.test).has("d119") && documents(split.training).has("d0"));
});

test("a dataset that is too small, poisoned or leaking is refused with its reason", () => {
  const { passages, pairs } = madeFirm();
  const known = byName(passages);
  const check = (some: readonly Pair[], isReached = true) =>
    checkDataset(splitByDocument(some, passages), { passages: known, isReached: () => isReached });
  assert.equal(check(pairs), undefined);
  assert.match(check(pairs.slice(0, 60))!.says, /questions with their answers to learn from; it takes 200/);
  assert.equal(check(pairs.slice(0, 60))!.reason, "tiny");
  assert.match(check(pairs, false)!.says, /Only 0 % of what was used/);
  assert.equal(check(pairs.map((pair) => ({ ...pair, session: "one" })))!.reason, "poisoned");
  const spam = pairs.map((pair, at) =>
    at % 2 === 0 && at < 200 ? { ...pair, passage: { documentId: "d3", ordinal: 0 } } : pair,
  );
  assert.match(check(spam)!.says, /One passage is the answer to/);
  const honest = splitByDocument(pairs, passages);
  const leaking = {
    ...honest,
    training: { ...honest.training, pairs: [...honest.training.pairs, ...honest.test.pairs.slice(0, 3)] },
  };
  assert.equal(checkDataset(leaking, { passages: known, isReached: () => true })!.reason, "leaking");
  const bare = passages
    .slice(0, 80)
    .map((one): Pair => ({ ...pairs[0]!, query: one.body.slice(0, 20), passage: one, origin: "span", at: 0 }));
  assert.match(check([...pairs, ...bare])!.says, /stand word for word/);
});

test("negatives are other documents' passages that score clearly less than the answer", () => {
  const { passages, pairs } = madeFirm({ documents: 30 });
  const split = splitByDocument(pairs, passages);
  const order = passages.map((_, at) => at);
  const mine = (scoreOf: (query: string, at: number) => number) =>
    mineNegatives(pairs.slice(0, 8), {
      passages,
      groupOf: split.groupOf,
      byWords: () => order,
      byVectors: () => order.map((at) => ({ at, score: 0.5 })),
      scoreOf,
      perPair: 2,
      seed: 1,
    });
  const found = mine((_, at) => (at < 8 ? 1 : 0.5));
  for (const [at, negatives] of found.entries()) {
    assert.equal(negatives.length, 2);
    for (const { text, origin } of negatives) assert.ok(text !== passages[Math.floor(at / 3)]!.text, origin);
  }
  assert.ok(
    found.flat().some(({ origin }) => origin === "template"),
    "an answer with wrong figures is among them",
  );
  // Everything scores like the answer: all of it may be one.
  assert.ok(
    mine(() => 1)
      .flat()
      .every(({ origin }) => origin === "template" || origin === "near"),
  );
});

test("questions of which nobody said whose they are count as anybody's: none is another's in other words, and they are no flood of one", () => {
  const firm = madeFirm({ documents: 60 });
  const asked = [
    { id: "a", at: 0, session: "", question: "lost", shown: [] },
    { id: "b", at: 1_000, session: "", question: "found", shown: [] },
  ];
  const passage = { documentId: "d0", ordinal: 0 };
  const reactions = [{ askId: "b", at: 2_000, type: "cited" as const, ...passage }];
  const pairs = pairsFromHistory(asked, reactions, { passages: byName(firm.passages), scopes: new Set(["private"]) });
  assert.deepEqual(
    pairs.map(({ query }) => query),
    ["found"],
  );
  const unnamed = firm.pairs.map((pair) => ({ ...pair, session: "" }));
  const split = splitByDocument(unnamed, firm.passages);
  const refusal = checkDataset(split, { passages: byName(firm.passages), isReached: () => true });
  assert.notEqual(refusal?.reason, "poisoned");
});
