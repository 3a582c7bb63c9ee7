import assert from "node:assert/strict";
import { test } from "node:test";
import { diversify } from "../../../ml/retrieve/diversify.ts";
import { bandsOf, likeness, nearDuplicateMin, sketchOf } from "../../../ml/retrieve/sketch.ts";
import { closest } from "../../../ml/retrieve/spelling.ts";
import { papers, randomOf } from "../../fixtures/collection/papers.ts";
import { topics } from "../../fixtures/collection/topics.ts";

const texts = [...topics, ...papers(240, 3)].map(({ title, text }) => `${title}\n${text}`).filter((text) => text.length > 200);

/** A copy as they come about: every so many words one is changed. */
function changed(text: string, every: number, seed: number): string {
  const random = randomOf(seed);
  return text
    .split(" ")
    .map((word) => (random.below(every) === 0 ? `other${random.below(1000)}` : word))
    .join(" ");
}

test("a copy with a word in forty changed is told as near, and different papers of one form hardly ever", () => {
  const sketches = texts.map((text) => sketchOf([text])!);
  const missed = texts.filter(
    (text, at) => likeness(sketches[at]!, sketchOf([changed(text, 40, at)])!) < nearDuplicateMin,
  ).length;
  let pairs = 0;
  let wrong = 0;
  for (let one = 0; one < texts.length; one += 1)
    for (let other = 0; other < one; other += 1) {
      pairs += 1;
      if (likeness(sketches[one]!, sketches[other]!) >= nearDuplicateMin) wrong += 1;
    }
  // Measured when this was written: see docs/vault.md. The bounds leave room for other texts, not for a broken sketch.
  assert.ok(missed / texts.length <= 0.08, `${missed} of ${texts.length} copies missed`);
  assert.ok(wrong / pairs <= 0.001, `${wrong} of ${pairs} pairs taken for copies`);
});

test("near-duplicates share a key to be filed under", () => {
  const missed = texts.filter((text, at) => {
    const [one, other] = [sketchOf([text])!, sketchOf([changed(text, 40, at)])!];
    const keys = new Set(bandsOf(one));
    return likeness(one, other) >= nearDuplicateMin && !bandsOf(other).some((key) => keys.has(key));
  });
  assert.ok(missed.length <= texts.length * 0.02, `${missed.length}`);
});

test("a sketch is the same however its text is cut, and a text of a few words has none", () => {
  assert.deepEqual(sketchOf(["one two three four five six"]), sketchOf(["one two three", "four five six"]));
  assert.equal(sketchOf(["one two three"]), undefined);
  assert.equal(sketchOf([]), undefined);
  // In stores already: it never changes.
  assert.deepEqual(sketchOf(["the quick brown fox jumps over the lazy dog"])?.slice(0, 2), [496405995, 70152763]);
});

test("passages in almost the same words are one, with the others named; other figures are other passages", () => {
  const text =
    "The yearly upkeep of the pumping station near Aldmere costs 4100 euros, payable in March to the municipal office of works.";
  const one = { name: "one", text, score: 1 };
  const copy = { name: "copy", text: text.replace("payable", "and payable"), score: 0.9 };
  const other = { name: "other", text: text.replace("4100", "5200"), score: 0.8 };
  const kept = diversify([one, copy, other], { limit: 5, diversity: 0 });
  assert.deepEqual(
    kept.map(({ name, alike }) => [name, alike.map((same) => same.name)]),
    [
      ["one", ["copy"]],
      ["other", []],
    ],
  );
});

test("diversity brings up what differs, and without it the order stays", () => {
  const candidates = [
    { name: "a", text: "boiler pressure gauge needle", score: 1 },
    { name: "b", text: "boiler pressure gauge dial", score: 0.95 },
    { name: "c", text: "holiday allowance rules", score: 0.85 },
  ];
  const names = (diversity: number): string[] => diversify(candidates, { limit: 3, diversity }).map(({ name }) => name);
  assert.deepEqual(names(0), ["a", "b", "c"]);
  assert.deepEqual(names(0.5), ["a", "c", "b"]);
});

test("a slip is an added, lost, changed or swapped letter; short words allow one, long ones two", () => {
  assert.deepEqual(closest("invioce", ["invoice", "voice"]), ["invoice"]);
  assert.deepEqual(closest("chaudire", ["chaudiere", "chaude", "chaudron"]), ["chaudiere"]);
  assert.deepEqual(closest("rent", ["rant", "rents", "bent", "tree"]), ["rents", "rant", "bent"]);
  assert.deepEqual(closest("rent", ["tenor"]), []);
});
