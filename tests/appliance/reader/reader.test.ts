import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openReader, type ReaderOptions } from "../../../appliance/reader/reader.ts";
import { makeMail } from "../../fixtures/makeMail.ts";
import { makePages, type Mark } from "../../fixtures/makePages.ts";

const signal = new AbortController().signal;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function open(t: TestContext, options: ReaderOptions = {}): ReturnType<typeof openReader> {
  const reader = openReader(options);
  t.after(() => reader.close());
  return reader;
}

test("a file becomes passages with their places, its title and its language", async (t) => {
  const reader = open(t);

  const reading = await reader.read(bytesOf("# Le moulin\n\nLes clés du moulin sont chez le meunier.\n"), {
    name: "moulin.md",
    signal,
  });

  assert.ok(reading.type === "read");
  const { format, title, language, passages } = reading;
  assert.deepEqual({ format, title, language }, { format: "markdown", title: "Le moulin", language: "fr" });
  assert.deepEqual(
    passages.map(({ text, place }) => ({ text, place })),
    [{ text: "Les clés du moulin sont chez le meunier.", place: { lines: { from: 3, to: 3 }, headings: ["Le moulin"] } }],
  );
});

test("a file's facts, its writer and where its text and its figure disagree are told with it", async (t) => {
  const bars = [0, 1, 2].map((at): Mark => ({
    type: "area",
    at: [150 + at * 60, 300 - at * 40],
    size: [40, 60 + at * 40],
    color: [0.2, 0.5, 0.2],
  }));
  const pdf = makePages({
    info: { Author: "Inès Carpentier", CreationDate: "D:20240603" },
    pages: [
      [
        { text: "Facture du 3 juin 2024, IBAN DE89 3704 0044 0532 0130 00, total 1 234,50 €", y: 80 },
        ...bars,
        { text: "Chiffre d'affaires 2024 13,4 M€", x: 160, y: 330, size: 8 },
        { text: "Figure 2 : chiffre d'affaires 2024 : 12,4 M€", x: 150, y: 380, size: 9 },
      ],
    ],
  });
  const reading = await open(t).read(pdf, { name: "f.pdf", signal });

  assert.ok(reading.type === "read");
  assert.deepEqual([reading.author, reading.writtenAt], ["Inès Carpentier", Date.UTC(2024, 5, 3)]);
  assert.deepEqual(
    reading.elements?.slice(0, 3).map(({ type, value, isValid, page }) => [type, value, isValid, page]),
    [
      ["iban", "DE89370400440532013000", true, 1],
      ["date", "2024-06-03", undefined, 1],
      ["amount", "1234.5 EUR", undefined, 1],
    ],
  );
  assert.deepEqual(
    reading.contradictions?.map(({ stated, read }) => [stated, read]),
    [["12,4 M€", "13,4 M€"]],
  );
  assert.equal(reading.pictures?.length, 1);
});

test("pages are drawn in the same sandbox, and what has none has none", async (t) => {
  const reader = open(t);
  const page = await reader.page(makePages({ pages: [[{ text: "A page to look at.", y: 80 }]] }), {
    name: "a.pdf",
    page: 1,
    widthMax: 300,
    signal,
  });

  assert.equal(
    Buffer.from(page ?? [])
      .subarray(8, 12)
      .toString("latin1"),
    "WEBP",
  );
  assert.equal(await reader.page(bytesOf("only words"), { name: "a.txt", page: 1, widthMax: 300, signal }), undefined);
  assert.equal(await reader.page(bytesOf("%PDF-1.7\n"), { name: "a.pdf", page: 1, widthMax: 300, signal }), undefined);
});

test("a file that cannot be read is an answer with its reason, and the log says what the library said", async (t) => {
  const lines: string[] = [];
  const reader = open(t, { log: (line) => lines.push(line) });

  assert.deepEqual(await reader.read(bytesOf("%PDF-1.7\n"), { name: "a.pdf", signal }), {
    type: "unreadable",
    problem: "damaged",
  });
  assert.match(lines.join("\n"), /could not read "a\.pdf": \w+/);
});

test("many files at once are all read, whatever their order", async (t) => {
  const reader = open(t);
  const readings = await Promise.all(
    Array.from({ length: 40 }, (_, at) =>
      reader.read(bytesOf(`Number ${at} of the list is here.`), { name: `${at}.txt`, signal }),
    ),
  );

  for (const [at, reading] of readings.entries()) {
    assert.equal(reading.type === "read" && reading.passages[0]?.text, `Number ${at} of the list is here.`);
  }
});

test("a file that takes too long or too much memory is too slow, and the next one is read", async (t) => {
  const table = bytesOf(`a,b,c\n${"1,2,3\n".repeat(266_000)}`);
  const slow = open(t, { timeLimitMs: 1 });
  const small = open(t, { memoryMiBMax: 130 });

  assert.deepEqual(await slow.read(bytesOf("text"), { name: "a.txt", signal }), { type: "unreadable", problem: "tooSlow" });
  assert.deepEqual(await small.read(table, { name: "a.csv", signal }), { type: "unreadable", problem: "tooSlow" });
  assert.equal((await small.read(bytesOf("text that is short"), { name: "a.txt", signal })).type, "read");
});

test("reading can be called off", async (t) => {
  const reader = open(t);
  const controller = new AbortController();
  const reading = reader.read(bytesOf("text ".repeat(100_000)), { name: "a.txt", signal: controller.signal });
  controller.abort();

  await assert.rejects(reading, (error) => error instanceof Error && "code" in error && error.code === "cancelled");
});

test("a mail with a broken attachment is read without it", async (t) => {
  const reader = open(t);
  const attachments = [{ name: "broken.pdf", type: "application/pdf", bytes: bytesOf("%PDF-1.7\n") }];
  const reading = await reader.read(
    makeMail({ from: "a@example.org", to: "b@example.org", subject: "Keys", text: "The keys are here.", attachments }),
    {
      name: "a.eml",
      signal,
    },
  );

  assert.ok(reading.type === "read" && reading.passages.length === 1 && /broken\.pdf/.test(reading.passages[0]?.text ?? ""));
});
