import assert from "node:assert/strict";
import { test } from "node:test";
import { toExcerpt, toQuotation, toSegments, type Segment } from "../../../appliance/web/passage/segments.ts";

const joined = (segments: readonly Segment[]): string => segments.map(({ text }) => text).join("");
const marked = (segments: readonly Segment[]): string[] => segments.filter(({ isMarked }) => isMarked).map(({ text }) => text);

test("the marked sentences are marked, and no character is lost or doubled", () => {
  const text = "One. Two. Three.";
  const segments = toSegments(text, [
    { from: 5, to: 9 },
    { from: 0, to: 4 },
  ]);
  assert.equal(joined(segments), text);
  assert.deepEqual(marked(segments), ["One.", "Two."]);
});

test("highlights that overlap, are empty, or reach past the end do no harm", () => {
  const text = "One. Two.";
  const segments = toSegments(text, [
    { from: 0, to: 6 },
    { from: 2, to: 9 },
    { from: 4, to: 4 },
    { from: 8, to: 99 },
  ]);
  assert.equal(joined(segments), text);
  assert.equal(marked(segments).join(""), text);
});

test("a short passage is shown whole", () => {
  const { segments, isWhole } = toExcerpt("Short.", []);
  assert.equal(isWhole, true);
  assert.deepEqual(segments, [{ text: "Short.", isMarked: false }]);
});

test("a long passage is cut at words around its first marked sentence", () => {
  const answer = "The notice period is three months.";
  const text = `${"padding words come first ".repeat(30)}${answer}${" and more words follow".repeat(30)}`;
  const from = text.indexOf(answer);
  const { segments, isWhole } = toExcerpt(text, [{ from, to: from + answer.length }]);
  assert.equal(isWhole, false);
  assert.deepEqual(marked(segments), [answer]);
  const shown = joined(segments);
  assert.ok(shown.length < 330, `${shown.length} characters`);
  assert.match(shown, /^…(padding|words|come|first) .*(and|more|words|follow)…$/u);
});

test("a mark at the very end of a long passage is in its excerpt", () => {
  const text = `${"word ".repeat(200)}The end.`;
  const { segments } = toExcerpt(text, [{ from: text.length - 8, to: text.length }]);
  assert.deepEqual(marked(segments), ["The end."]);
  assert.equal(joined(segments).endsWith("The end."), true);
});

test("a long passage without spaces is cut, and not through a character", () => {
  const { segments } = toExcerpt("😀".repeat(500), []);
  assert.match(joined(segments), /^(?:😀)+…$/u);
});

test("what is copied with its source is the sentences that answer, on one line, and all of a passage without any", () => {
  const text = "One stands here.\nTwo  answers. Three does not. Four answers.";
  assert.equal(
    toQuotation(text, [
      { from: 47, to: 60 },
      { from: 17, to: 30 },
    ]),
    "Two answers. … Four answers.",
  );
  assert.equal(
    toQuotation("One. Two.", [
      { from: 0, to: 4 },
      { from: 5, to: 9 },
    ]),
    "One. Two.",
  );
  assert.equal(toQuotation(" a\n b ", []), "a b");
});
