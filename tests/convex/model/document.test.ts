import assert from "node:assert/strict";
import { test } from "node:test";
import { problemMessages, problems, toBaseName, toDocumentName, toHex } from "../../../convex/model/document.ts";

test("a name is a label: nothing in it is refused, what cannot be shown goes", () => {
  for (const [raw, name] of [
    ["a.txt", "a.txt"],
    ["..\\..\\boot.ini", "../../boot.ini"],
    ["../../etc/passwd", "../../etc/passwd"],
    [" a\u0000b\n.txt ", "ab.txt"],
    ["e\u0301té.md", "été.md"],
    ["gpj.\u202Eexe", "gpj.exe"],
    ["\ud800x", "x"],
    ["", "unnamed"],
    ["\u200b", "unnamed"],
  ] as const) {
    assert.equal(toDocumentName(raw), name);
  }
});

test("of a name too long the end stays, where the file's own name is, and no character is cut", () => {
  const name = toDocumentName(`${"é/".repeat(2_000)}😀.txt`);
  assert.equal(Array.from(name).length, 1_000);
  assert(name.endsWith("/😀.txt"));
});

test("the base name is what follows the last separator", () => {
  assert.equal(toBaseName("a/b/c.txt"), "c.txt");
  assert.equal(toBaseName("c.txt"), "c.txt");
});

test("a hash is hex, whichever way the storage tells it", () => {
  const hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
  assert.equal(toHex(Buffer.from(hex, "hex").toString("base64")), hex);
  assert.equal(toHex(hex.toUpperCase()), hex);
});

test("every problem has a sentence", () => {
  for (const problem of problems) assert.match(problemMessages[problem], /^[A-Z].*\.$/u);
});
