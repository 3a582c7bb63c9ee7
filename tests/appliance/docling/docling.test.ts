import assert from "node:assert/strict";
import { test } from "node:test";
import { openDocling } from "../../../appliance/docling/docling.ts";
import { openReader } from "../../../appliance/reader/reader.ts";
import { standIn } from "../../contracts/vision.ts";
import { makePages, prose } from "../../fixtures/makePages.ts";

/** As docling-serve answers when it is asked for JSON. */
const document = {
  schema_name: "DoclingDocument",
  origin: { mimetype: "application/pdf", filename: "bail.pdf" },
  body: {
    children: [
      { $ref: "#/texts/0" },
      { $ref: "#/groups/0" },
      { $ref: "#/tables/0" },
      { $ref: "#/texts/9" },
      { $ref: "#/__proto__/0" },
    ],
  },
  groups: [{ label: "list", children: [{ $ref: "#/texts/1" }, { $ref: "#/texts/2" }, { $ref: "#/groups/0" }] }],
  texts: [
    {
      label: "section_header",
      level: 1,
      text: "Loyer",
      prov: [{ page_no: 1, bbox: { l: 50, t: 800, r: 250, b: 780, coord_origin: "BOTTOMLEFT" } }],
    },
    { label: "list_item", text: "payable le premier", prov: [{ page_no: 1 }] },
    { label: "list_item", text: "par virement", prov: [{ page_no: 1 }] },
    { label: "caption", text: "Tableau 1" },
  ],
  tables: [
    {
      label: "table",
      captions: [{ $ref: "#/texts/3" }],
      prov: [{ page_no: 1 }],
      data: {
        grid: [
          [
            { text: "Poste", column_header: true },
            { text: "Montant", column_header: true },
          ],
          [{ text: "Loyer" }, { text: "640" }],
        ],
      },
    },
  ],
  pages: { 1: { size: { width: 500, height: 1000 }, page_no: 1 } },
};
const pdf = makePages({ pages: [prose("What the file itself says.", { y: 80 })] });
const signal = AbortSignal.timeout(60_000);

async function read(
  status: number,
  answer: unknown,
): Promise<{
  reading: Awaited<ReturnType<ReturnType<typeof openReader>["read"]>>;
  seen: { path: string; body: unknown; headers: Readonly<Record<string, unknown>> }[];
}> {
  const server = await standIn(status, answer);
  const reader = openReader({ converter: openDocling({ url: server.url, apiKey: "secret-key" }) });
  try {
    return { reading: await reader.read(pdf, { name: "dossier/bail.pdf", signal }), seen: server.seen };
  } finally {
    server.close();
    await reader.close();
  }
}

test("docling's document becomes passages with its headings, lists, tables and places", async () => {
  const { reading, seen } = await read(200, { status: "success", document: { json_content: document } });

  assert.ok(reading.type === "read");
  assert.deepEqual([reading.format, reading.title, reading.pages, reading.tables], ["pdf", "Loyer", 1, 1]);
  assert.match(
    reading.passages.map((passage) => passage.text).join("\n"),
    /payable le premier\n.*par virement[\s\S]*Montant: 640/,
  );
  assert.equal(seen[0]?.path, "/v1/convert/file");
  assert.equal(seen[0]?.headers["x-api-key"], "secret-key");
  assert.match(String(seen[0]?.body), /name="files"; filename="bail.pdf"[\s\S]*name="to_formats"\r\n\r\njson/);
});

test("what docling cannot read is read here", async () => {
  for (const [status, answer] of [
    [200, { status: "failure", errors: [{}], document: {} }],
    [422, { detail: "no" }],
  ] as const) {
    const { reading } = await read(status, answer);

    assert.match(reading.type === "read" ? (reading.passages[0]?.text ?? "") : "", /What the file itself says/);
  }
});

test("a docling that is overloaded, gone or babbling is worth another try, a key it does not take is not", async () => {
  await assert.rejects(read(503, {}), { code: "unavailable" });
  await assert.rejects(read(429, {}), { code: "unavailable" });
  await assert.rejects(read(200, "<html>"), { code: "unavailable" });
  await assert.rejects(read(200, { hello: 1 }), { code: "unavailable" });
  await assert.rejects(read(401, {}), { code: "denied" });
});

test("a document of docling's without words in it is no text, not a crash", async () => {
  const { reading } = await read(200, {
    status: "success",
    document: { json_content: { body: { children: [{ $ref: "#/texts/0" }] }, texts: [null] } },
  });

  assert.deepEqual(reading, { type: "unreadable", problem: "noText" });
});
