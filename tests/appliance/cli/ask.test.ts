import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters, styleText } from "node:util";
import type { Answer, CitedPassage } from "../../../convex/model/answer.ts";
import { answerLines, marked } from "../../../appliance/cli/ask.ts";
import { columnsOf } from "../../../appliance/cli/text.ts";

const plain = { width: Number.POSITIVE_INFINITY, hasColor: false, style: (_: unknown, text: string) => text };
const colored = {
  width: 40,
  hasColor: true,
  style: (style: Parameters<typeof styleText>[0], text: string) => styleText(style, text, { validateStream: false }),
};

function passage(given: Partial<CitedPassage>): CitedPassage {
  const text = "The lease began in 2021. It ends on 30 June 2031. Notice is six months.";
  return {
    documentId: "d1",
    documentName: "papers/lease.pdf",
    title: "Lease",
    ordinal: 0,
    text,
    place: { page: 3 },
    placeLabel: "p. 3",
    score: 1,
    highlights: [{ from: 25, to: 49 }],
    ...given,
  };
}

function answer(passages: readonly CitedPassage[], isBaseline = true): Answer {
  return {
    question: "when?",
    language: "en",
    passages,
    understood: { filter: {}, phrases: [], codes: [], corrections: [] },
    embedder: { id: "e", label: "Offline baseline", isBaseline },
    tookMs: 12.4,
  };
}

test("a passage is shown with its rank, its source and the answering sentence marked", () => {
  assert.deepEqual(answerLines(answer([passage({})]), plain), [
    "1. papers/lease.pdf · p. 3",
    "   The lease began in 2021. «It ends on 30 June 2031.» Notice is six months.",
    "",
    "12 ms · Offline baseline",
  ]);
});

test("on a terminal the sentence is bold on every line it runs over, and lines keep to the width", () => {
  const lines = answerLines(answer([passage({})], false), colored);
  const shown = lines.map((line) => stripVTControlCharacters(line));
  assert.deepEqual(shown, [
    "1. papers/lease.pdf · p. 3",
    "   The lease began in 2021. It ends on",
    "   30 June 2031. Notice is six months.",
    "",
    "12 ms · Offline baseline",
  ]);
  assert.ok(lines[1]?.endsWith(colored.style("bold", "It ends on")));
  assert.ok(lines[2]?.includes(`${colored.style("bold", "30 June 2031.")} Notice`));
  assert.ok(shown.every((line) => columnsOf(line) <= 40));
});

test("no passage is answered with what to do", () => {
  assert.match(answerLines(answer([]), plain).join("\n"), /^Nothing found\. .*nika ingest/);
});

test("a hostile document commands neither the terminal nor the marks", () => {
  const hostile = passage({
    documentName: "a\u001B]0;owned\u0007.md",
    text: "x \u001B[2J \uE000y",
    placeLabel: "",
    highlights: [],
  });
  const text = answerLines(answer([hostile]), plain).join("\n");
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(text, /[\u0000-\u0009\u000B-\u001F\uE000]/);
});

test("highlights out of order, overlapping or out of bounds still mark the right text once", () => {
  const highlights = [
    { from: 6, to: 99 },
    { from: 0, to: 3 },
    { from: 2, to: 4 },
    { from: 5, to: 5 },
  ];
  assert.equal(marked("abcdefgh", highlights, false), "«abcd»ef«gh»");
});
