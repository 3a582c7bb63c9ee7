import assert from "node:assert/strict";
import { test } from "node:test";
import { problemOf, read, readFixture } from "./reading.ts";

test("the content decides the type, whatever the name says", async () => {
  for (const file of [
    "beekeeping.md",
    "marche.html",
    "stock.csv",
    "pump.json",
    "visits.jsonl",
    "report.pdf",
    "lease.docx",
    "minutes.eml",
  ]) {
    const named = await readFixture(file);
    assert.equal((await readFixture(file, "thing.txt")).format, named.format, `${file} as .txt`);
    assert.equal((await readFixture(file, "thing")).format, named.format, `${file} without a name`);
  }
});

test("where the content leaves it open, the name decides", async () => {
  const text = "Just one line, with a comma.";

  assert.equal((await read(text, "a.md")).format, "markdown");
  assert.equal((await read(text, "a.txt")).format, "text");
  assert.equal((await read("1,2\n3,4\n", "a.csv")).format, "csv");
});

test("prose with commas is no table, and a letter that begins like a header is no mail", async () => {
  const prose = "We came, we saw, we left.\nIt rained, it froze, it thawed.\nHe ate, he slept, he rose.\n";
  const letter = "Note: the gate is shut.\nFrom here it is a mile to the mill.\n";

  assert.equal((await read(prose, "a.txt")).format, "text");
  assert.equal((await read(letter, "a.txt")).format, "text");
});

test("an encoding is found by its bytes", async () => {
  const text = "Le café est fermé à midi. La clé est chez le meunier.";
  const encodings: Record<string, Buffer> = {
    "utf-8 with mark": Buffer.from(`\uFEFF${text}`),
    "utf-16 little": Buffer.from(text, "utf16le"),
    "utf-16 little with mark": Buffer.from(`\uFEFF${text}`, "utf16le"),
    "utf-16 big": Buffer.from(text, "utf16le").swap16(),
    "utf-16 big with mark": Buffer.from(`\uFEFF${text}`, "utf16le").swap16(),
    "latin-1": Buffer.from(text, "latin1"),
    "utf-8 taken apart": Buffer.from(text.normalize("NFD")),
  };

  for (const [name, bytes] of Object.entries(encodings)) assert.equal((await read(bytes, "a.txt")).passages[0]?.text, text, name);
});

test("what cannot be read says why", async () => {
  assert.equal(await problemOf("", "a.txt"), "empty");
  assert.equal(await problemOf(" \n\t", "a.txt"), "empty");
  assert.equal(await problemOf(new Uint8Array(64 * 1024 * 1024 + 1), "a.txt"), "tooLarge");
  assert.equal(await problemOf(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]), "a.txt"), "unknownType");
  assert.equal(await problemOf("%PDF-1.7\n", "a.pdf"), "damaged");
  assert.equal(await problemOf(new Uint8Array([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4]), "a.7z"), "packed");
  assert.equal(await problemOf(Buffer.from("Rar!\x1a\x07\x01\0", "latin1"), "a.rar"), "packed");
  assert.equal(await problemOf(Buffer.from(`\0\0\0\x18ftypheic${"\0".repeat(200)}`, "latin1"), "IMG_0001.HEIC"), "photo");
  assert.equal(await problemOf("<html><script>words</script></html>", "a.html"), "noText");
});
