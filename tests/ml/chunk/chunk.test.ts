import assert from "node:assert/strict";
import { test } from "node:test";
import { chunk } from "../../../ml/chunk/chunk.ts";
import { measureOf } from "../../../ml/chunk/tokens.ts";
import type { Block } from "../../../ml/parse/block.ts";
import { UnreadableError } from "../../../ml/parse/unreadable.ts";

const sentence = "The keys of the mill are kept by the miller, and nobody else may open the gate. ";
const paragraph = (text: string, place = {}): Block => ({ type: "paragraph", text, place });
const heading = (text: string, level: number, place = {}): Block => ({ type: "heading", level, text, place });
const passagesOf = (blocks: readonly Block[]): ReturnType<typeof chunk> => chunk({ format: "text", title: "t", blocks });

test("long prose is cut between sentences into passages of even length, each repeating one sentence, and nothing is lost", () => {
  const text = Array.from({ length: 60 }, (_, at) => `${sentence.trim().slice(0, -1)} after ${at} o'clock.`).join(" ");
  const passages = passagesOf([paragraph(text)]);

  assert.ok(passages.length >= 4);
  for (const passage of passages) {
    const tokens = measureOf(true)(passage.text);
    assert.ok(tokens <= 330 && tokens > 150, `${tokens}`);
    assert.match(passage.text, /^The keys.*o'clock\.$/s);
  }
  for (const [at, passage] of passages.entries()) {
    const [first = ""] = passage.text.split(/(?<=\.) /);
    if (at > 0) assert.ok(passages[at - 1]!.text.endsWith(first), first);
  }
  for (let at = 0; at < 60; at += 1) assert.ok(passages.some((passage) => passage.text.includes(`after ${at} o'clock`)));
});

test("text that was not cut is not repeated", () => {
  const blocks = Array.from({ length: 30 }, (_, at) => paragraph(`Paragraph number ${at}. ${sentence.repeat(4).trim()}`));
  const all = passagesOf(blocks)
    .map((passage) => passage.text)
    .join("\n\n");
  assert.equal(all, blocks.map((block) => ("text" in block ? block.text : "")).join("\n\n"));
});

test("a French text is cut into shorter passages than an English one, because it is more tokens", () => {
  const french =
    "Les clés du moulin sont gardées par le meunier, et personne d'autre ne peut ouvrir le portail de la cour. ".repeat(60);
  const longest = (text: string): number =>
    Math.max(...passagesOf([paragraph(text.trim())]).map((passage) => passage.text.length));
  assert.ok(longest(french) < longest(sentence.repeat(80)) * 0.85);
});

test("passages of one section carry its number, over pages and inner headings", () => {
  const blocks = [
    heading("A", 1),
    paragraph("one", { page: 1 }),
    paragraph("two", { page: 2 }),
    heading("inner", 3, { page: 2 }),
    paragraph("three", { page: 3 }),
    heading("B", 2, { page: 3 }),
    paragraph("four", { page: 3 }),
  ];
  const sections = passagesOf(blocks).map(({ text, section }) => [text, section]);
  assert.deepEqual(
    sections.map(([, section]) => section),
    [1, 1, 1, 2].slice(0, sections.length),
  );
  assert.equal(sections.length, 4, JSON.stringify(sections));
});

test("a list stays whole and with the sentence that announces it; a note stays with its text", () => {
  const items = Array.from({ length: 12 }, (_, at) => ({ text: `item ${at}`, depth: at % 2 }));
  const blocks: Block[] = [
    paragraph("Bring the following:"),
    { type: "list", isOrdered: false, items, place: {} },
    { type: "footnote", label: "1", text: "Or by mail.", place: {} },
  ];
  const [only, ...others] = passagesOf(blocks);
  assert.deepEqual(others, []);
  assert.match(only?.text ?? "", /^Bring the following:\n\n- item 0\n {2}- item 1\n.*1 Or by mail\.$/s);
  assert.equal(only?.kind, "prose");
  assert.equal(passagesOf(blocks.slice(1, 2))[0]?.kind, "list");
});

test("a figure is a passage of its own, with its caption and what was read in it", () => {
  const blocks: Block[] = [
    paragraph("before"),
    { type: "figure", caption: "Fig. 2: the valve", text: "DN50 PN16", place: {} },
    paragraph("after"),
  ];
  assert.deepEqual(
    passagesOf(blocks).map(({ text, kind }) => [text, kind]),
    [
      ["before", "prose"],
      ["Fig. 2: the valve\nDN50 PN16", "figure"],
      ["after", "prose"],
    ],
  );
});

test("a table of some size is described in a passage of its own, before its rows", () => {
  const rows = Array.from({ length: 8 }, (_, at) => [`bolt M${at + 4}`, `${at * 3 + 2},50 €`, `2025-0${at + 1}-15`]);
  const [about, ...others] = passagesOf([
    { type: "table", columns: ["item", "price", "since"], rows, caption: "Spare parts", place: {} },
  ]);
  assert.equal(
    about?.text,
    "Table: Spare parts · 8 rows\nColumns:\n- item: bolt M4, bolt M5, bolt M6, bolt M7, … (8 values)\n- price: 2,50 € to 23,50 €\n- since: 2025-01-15 to 2025-08-15",
  );
  assert.deepEqual(about?.place.rows, { from: 1, to: 8 });
  assert.match(others[0]?.text ?? "", /^Spare parts · item: bolt M4 · price: 2,50 € · since: 2025-01-15\n/);
  for (const { kind } of [about, ...others]) assert.equal(kind, "table");
});

test("the box of a passage is what holds the boxes of its parts", () => {
  const box = (left: number, top: number) => ({ page: 1, box: { left, top, width: 0.25, height: 0.25 } });
  const [passage] = passagesOf([paragraph("one", box(0.125, 0.125)), paragraph("two", box(0.5, 0.25))]);
  assert.deepEqual(passage?.place.box, { left: 0.125, top: 0.125, width: 0.625, height: 0.375 });
});

test("no passage crosses a heading of the first two levels, a page or a part", () => {
  const blocks = [
    heading("A", 1),
    paragraph("one"),
    heading("B", 2),
    paragraph("two"),
    paragraph("three", { page: 2 }),
    paragraph("four", { part: "x" }),
  ];

  assert.deepEqual(
    passagesOf(blocks).map((passage) => passage.text),
    ["one", "two", "three", "four"],
  );
});

test("short paragraphs of one section share a passage, and its lines span them", () => {
  const blocks = [paragraph("one", { lines: { from: 3, to: 3 } }), paragraph("two", { lines: { from: 5, to: 8 } })];

  assert.deepEqual(passagesOf(blocks), [{ text: "one\n\ntwo", place: { lines: { from: 3, to: 8 } }, kind: "prose", section: 1 }]);
});

test("a heading with nothing under it is still a passage, unless deeper headings carry it", () => {
  const texts = (blocks: readonly Block[]): string[] => passagesOf(blocks).map((passage) => passage.text);

  assert.deepEqual(texts([heading("Only", 1)]), ["Only"]);
  assert.deepEqual(texts([heading("A", 3), heading("B", 3), heading("C", 3)]), ["A", "B", "C"]);
  assert.deepEqual(texts([heading("A", 1), heading("B", 2), paragraph("text")]), ["text"]);
});

test("code stays whole where prose would be cut", () => {
  const code = Array.from({ length: 58 }, (_, at) => `const value${at} = ${at};`).join("\n");

  assert.deepEqual(
    passagesOf([{ type: "code", text: code, place: {} }]).map((passage) => passage.text),
    [code],
  );
});

test("a row too long for a passage is cut between its cells", () => {
  const row = Array.from({ length: 100 }, (_, at) => `cell number ${at} of a wide row`);
  const passages = passagesOf([{ type: "table", columns: row.map((_, at) => `c${at}`), rows: [row], place: {} }]);

  assert.ok(passages.length > 2);
  for (const passage of passages) assert.match(passage.text, /^c\d+: cell number/);
});

test("text without any space is cut, and never inside a letter", () => {
  const passages = passagesOf([paragraph("\u{1F600}".repeat(3_001))]);

  assert.ok(passages.length > 3);
  for (const passage of passages) assert.ok(passage.text.isWellFormed());
});

test("a document of too many passages is refused", () => {
  const blocks = Array.from({ length: 20_001 }, (_, at): Block[] => [heading(`h${at}`, 1), paragraph("text")]).flat();

  assert.throws(
    () => passagesOf(blocks),
    (error) => error instanceof UnreadableError && error.problem === "tooManyPassages",
  );
});
