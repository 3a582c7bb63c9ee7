import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openReader, type ReaderOptions } from "../../../appliance/reader/reader.ts";
import { makeMail } from "../../fixtures/makeMail.ts";

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

  assert.deepEqual(reading, {
    type: "read",
    format: "markdown",
    title: "Le moulin",
    language: "fr",
    passages: [
      { text: "Les clés du moulin sont chez le meunier.", place: { lines: { from: 3, to: 3 }, headings: ["Le moulin"] } },
    ],
  });
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
