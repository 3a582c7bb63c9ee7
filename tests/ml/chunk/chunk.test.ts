import assert from "node:assert/strict";
import { test } from "node:test";
import { chunk } from "../../../ml/chunk/chunk.ts";
import type { Block } from "../../../ml/parse/block.ts";
import { UnreadableError } from "../../../ml/parse/unreadable.ts";

const sentence = "The keys of the mill are kept by the miller, and nobody else may open the gate. ";
const paragraph = (text: string, place = {}): Block => ({ type: "paragraph", text, place });
const heading = (text: string, level: number, place = {}): Block => ({ type: "heading", level, text, place });
const passagesOf = (blocks: readonly Block[]): ReturnType<typeof chunk> => chunk({ format: "text", title: "t", blocks });

test("long prose is cut between sentences into passages of even length, and nothing is lost", () => {
  const text = sentence.repeat(60).trim();
  const passages = passagesOf([paragraph(text)]);

  assert.ok(passages.length >= 4);
  for (const passage of passages) {
    assert.ok(passage.text.length <= 1_200 && passage.text.length > 600, `${passage.text.length}`);
    assert.match(passage.text, /^The keys.*gate\.$/s);
  }
  assert.equal(passages.map((passage) => passage.text).join(" "), text);
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

  assert.deepEqual(passagesOf(blocks), [{ text: "one\n\ntwo", place: { lines: { from: 3, to: 8 } } }]);
});

test("a heading with nothing under it is still a passage, unless deeper headings carry it", () => {
  const texts = (blocks: readonly Block[]): string[] => passagesOf(blocks).map((passage) => passage.text);

  assert.deepEqual(texts([heading("Only", 1)]), ["Only"]);
  assert.deepEqual(texts([heading("A", 3), heading("B", 3), heading("C", 3)]), ["A", "B", "C"]);
  assert.deepEqual(texts([heading("A", 1), heading("B", 2), paragraph("text")]), ["text"]);
});

test("code stays whole where prose would be cut", () => {
  const code = Array.from({ length: 80 }, (_, at) => `const value${at} = ${at};`).join("\n");

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
