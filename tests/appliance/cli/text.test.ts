import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsOf, countOf, fit, oneLine, printable, sizeOf, spanOf, table, wrap } from "../../../appliance/cli/text.ts";

test("what a document says cannot command the terminal", () => {
  const hostile = "safe\u001B[2J\u0007\u009B31m\rover\u202Egnp.exe\n";
  assert.equal(printable(hostile), "safe [2J  31m over gnp.exe\n");
  assert.equal(printable(hostile).length, hostile.length);
  assert.equal(oneLine(" a\n\tb\u0000 c "), "a b c");
});

test("lines break at spaces and never pass the width", () => {
  assert.deepEqual(wrap("the quick brown fox", 10), ["the quick", "brown fox"]);
  assert.deepEqual(wrap("one\n\ntwo", 10), ["one", "", "two"]);
  assert.deepEqual(wrap("incomprehensibilities", 8), ["incompre", "hensibil", "ities"]);
  for (const line of wrap("日本語の文章はとても長いので折り返す必要がある and some words 🎈🎈🎈🎈🎈🎈", 11))
    assert.ok(columnsOf(line) <= 11, line);
});

test("piped text is not broken at all", () => {
  const long = "word ".repeat(200).trim();
  assert.deepEqual(wrap(long, Number.POSITIVE_INFINITY), [long]);
});

test("wide characters count twice and combining marks not at all", () => {
  assert.equal(columnsOf("abc"), 3);
  assert.equal(columnsOf("日本"), 4);
  assert.equal(columnsOf("e\u0301"), 1);
  assert.equal(fit("日本語", 5), "日本…");
});

test("a table gives way in the columns told to, in their order, and in no other", () => {
  const rows = [
    ["ready", "a very long name of a document.pdf", "The remark is rather long too."],
    ["unreadable", "short.txt", ""],
  ];
  const give = [2, 1];
  assert.deepEqual(table(rows, { width: 60, give }), [
    "ready       a very long name of a document.pdf  The remark …",
    "unreadable  short.txt",
  ]);
  assert.deepEqual(table(rows, { width: 50, give }), [
    "ready       a very long name of a d…  The remark …",
    "unreadable  short.txt",
  ]);
  assert.equal(table(rows, { width: Number.POSITIVE_INFINITY, give })[1], "unreadable\tshort.txt\t");
});

test("sizes, spans and counts read as people say them", () => {
  assert.deepEqual([0, 999, 1_000, 3_400_000, 99_960_000, 999_900, 64 * 1024 * 1024].map(sizeOf), [
    "0 B",
    "999 B",
    "1.0 kB",
    "3.4 MB",
    "100 MB",
    "1.0 MB",
    "67.1 MB",
  ]);
  assert.deepEqual([-5, 12, 1_500, 42_000, 180_000, 7_200_000, 432_000_000].map(spanOf), [
    "0 ms",
    "12 ms",
    "1.5 s",
    "42 s",
    "3 min",
    "2 h",
    "5 d",
  ]);
  assert.deepEqual(
    [countOf(1, "file"), countOf(1_200, "file"), countOf(0, "entry", "entries")],
    ["1 file", "1,200 files", "0 entries"],
  );
});
