import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import type { Block } from "../../../ml/parse/block.ts";
import { openHolder, type HeldEntry } from "../../../ml/parse/archive/holder.ts";
import { openZip } from "../../../ml/parse/archive/zip.ts";
import { recurrenceWords } from "../../../ml/parse/calendar.ts";
import { entityTypeOf } from "../../../ml/parse/entityType.ts";
import { parse } from "../../../ml/parse/parse.ts";
import { UnreadableError } from "../../../ml/parse/unreadable.ts";
import { makeDocx } from "../../fixtures/makeDocx.ts";
import { makeEpub } from "../../fixtures/makeEpub.ts";
import { makeMail } from "../../fixtures/makeMail.ts";
import { makePng } from "../../fixtures/makePng.ts";
import { makeXlsx } from "../../fixtures/makeXlsx.ts";
import { makeZip } from "../../fixtures/makeZip.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = async (text: string, name: string) => await parse(bytes(text), name);

function placeless(block: Block): object {
  const rest: { place?: unknown } = { ...block };
  delete rest.place;
  return rest;
}

test("an e-book is read in the order of its spine, with notes, pictures and the names of its chapters", async () => {
  const book = makeEpub({
    title: "The river",
    author: "Basil Stone",
    picture: makePng(50, 50),
    chapters: [
      {
        file: "b",
        name: "Source",
        body: '<p>It begins.<a epub:type="noteref" href="#n1">1</a></p><aside epub:type="footnote" id="n1"><p>By an oak.</p></aside>',
      },
      {
        file: "a",
        name: "Mouth",
        body: '<h2>The mouth</h2><figure><img src="../images/picture.png" alt="Map"/><figcaption>The delta</figcaption></figure>',
      },
    ],
  });
  const { format, title, facts, blocks, pictures } = await parse(book, "x");

  assert.equal(format, "epub");
  assert.equal(title, "The river");
  assert.equal(facts?.author, "Basil Stone");
  assert.deepEqual(blocks, [
    { type: "heading", level: 1, text: "Source", place: {} },
    { type: "paragraph", text: "It begins.[1]", place: {} },
    { type: "footnote", label: "1", text: "By an oak.", place: {} },
    { type: "heading", level: 2, text: "The mouth", place: {} },
    { type: "figure", caption: "The delta (Map)", picture: 0, place: {} },
  ]);
  assert.equal(pictures?.length, 1);
});

test("a notebook gives prose, code with its language, what the code said, and plots", async () => {
  const notebook = {
    cells: [
      { cell_type: "markdown", source: ["# Flow\n", "Measured at the weir."] },
      {
        cell_type: "code",
        source: "print(2 + 2)",
        outputs: [
          { output_type: "stream", text: ["4\n"] },
          {
            output_type: "display_data",
            data: { "image/png": Buffer.from(makePng(40, 30)).toString("base64"), "text/plain": "Flow by day" },
          },
        ],
      },
    ],
    metadata: { language_info: { name: "python" } },
    nbformat: 4,
  };
  const { format, title, blocks, pictures } = await read(JSON.stringify(notebook), "x");

  assert.equal(format, "ipynb");
  assert.equal(title, "Flow");
  assert.deepEqual(
    blocks.map((block) => placeless(block)),
    [
      { type: "heading", level: 1, text: "Flow" },
      { type: "paragraph", text: "Measured at the weir." },
      { type: "code", text: "print(2 + 2)", language: "python" },
      { type: "code", text: "4\n" },
      { type: "figure", picture: 0, caption: "Flow by day" },
    ],
  );
  assert.equal(pictures?.[0]?.width, 40);
});

test("a calendar gives its events with times, people and how they repeat in words", async () => {
  const { format, title, facts, blocks } = await read(
    [
      "BEGIN:VCALENDAR",
      "VERSION:2.0",
      "BEGIN:VEVENT",
      "SUMMARY:Choir\\, second voices",
      "DTSTART;TZID=Europe/Paris:20240304T193000",
      "DTEND;TZID=Europe/Paris:20240304T210000",
      "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;UNTIL=20240630T000000Z",
      "EXDATE;TZID=Europe/Paris:20240318T193000",
      "LOCATION:Town hall",
      "ORGANIZER;CN=Ada Miller:mailto:ada@example.org",
      "DESCRIPTION:Bring the blue\\nsong book.",
      "END:VEVENT",
      "END:VCALENDAR",
    ].join("\r\n"),
    "x",
  );

  assert.equal(format, "ics");
  assert.equal(title, "Choir, second voices");
  assert.equal(facts?.author, "Ada Miller <ada@example.org>");
  assert.deepEqual(blocks, [
    {
      type: "record",
      text: [
        "Event: Choir, second voices",
        "When: 2024-03-04 19:30–21:00 (Europe/Paris)",
        "Repeats: every 2 weeks on Monday and Thursday until 2024-06-30",
        "Except: 2024-03-18 19:30",
        "Where: Town hall",
        "Organizer: Ada Miller <ada@example.org>",
        "Description: Bring the blue\nsong book.",
      ].join("\n"),
      place: { records: { from: 1, to: 1 } },
    },
  ]);
});

test("rules of recurrence are said as people say them", () => {
  const words = (rule: string): string => recurrenceWords({ toString: () => rule });

  assert.equal(words("FREQ=DAILY;COUNT=10"), "every day 10 times");
  assert.equal(words("FREQ=MONTHLY;BYDAY=-1FR"), "every month on the last Friday");
  assert.equal(words("FREQ=MONTHLY;BYDAY=MO,TU,WE;BYSETPOS=2"), "every month on the 2nd Monday, Tuesday and Wednesday");
  assert.equal(words("FREQ=YEARLY;BYMONTH=3,9;BYMONTHDAY=1,-1"), "every year on day 1 and the last day in March and September");
});

test("address cards give a record a person", async () => {
  const { format, blocks, facts } = await read(
    "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada Miller\r\nN:Miller;Ada;;;\r\nORG:The Mill;Flour\r\nTEL;TYPE=WORK,VOICE:+33 1 23 45 67 89\r\nEMAIL:ada@example.org\r\nADR;TYPE=HOME:;;1 Weir Lane;Aldmere;;12345;\r\nPHOTO;ENCODING=b:aGVsbG8=\r\nEND:VCARD\r\nBEGIN:VCARD\r\nVERSION:4.0\r\nFN:Basil Stone\r\nEND:VCARD\r\n",
    "x",
  );

  assert.equal(format, "vcf");
  assert.deepEqual(facts?.people, ["Ada Miller", "Basil Stone"]);
  assert.deepEqual(blocks, [
    {
      type: "record",
      text: "Name: Ada Miller\nOrganisation: The Mill, Flour\nPhone (work): +33 1 23 45 67 89\nEmail: ada@example.org\nAddress (home): 1 Weir Lane, Aldmere, 12345",
      place: { records: { from: 1, to: 1 } },
    },
    { type: "record", text: "Name: Basil Stone", place: { records: { from: 2, to: 2 } } },
  ]);
});

test("source code knows its language by name or content, and what each stretch declares", async () => {
  const source =
    '"""Pumps."""\nimport os\n\n\n# Opens the gate.\ndef open_gate(height):\n    return height * 2\n\n\nclass Pump:\n    def start(self):\n        pass\n';
  const { format, blocks } = await read(source, "pumps.py");

  assert.equal(format, "code");
  assert.deepEqual(
    blocks.map((block) => (block.type === "heading" ? block.text : block.place.lines)),
    [{ from: 1, to: 2 }, "open_gate", { from: 5, to: 7 }, "Pump", { from: 10, to: 12 }],
  );
  assert.equal((await read(source, "unnamed")).format, "code");
  assert.equal((await read("#!/bin/sh\necho mill\n", "run")).format, "code");
  assert.equal((await read("We met; he left.\nThen (late) we ate.\nIt rained:\n", "x")).format, "text");
});

test("html keeps lists with depth, tables with spans and captions, figures, notes, and code with its language", async () => {
  const { blocks, facts } = await read(
    `<html><head><meta name="author" content="Ada"><meta property="article:published_time" content="2024-02-03"></head><body>
     <ol><li>One<ul><li>Inner</li></ul></li><li><p>Two</p><p>more</p></li></ol>
     <table><caption>Stock</caption><thead><tr><th>Kind</th><th colspan=2>Weight</th></tr></thead><tr><td rowspan=2>Rye</td><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr></table>
     <figure><img src="a.png" alt="Wheel"><figcaption>The wheel</figcaption></figure>
     <pre><code class="language-sh">ls
cd</code></pre><section role="doc-endnotes"><ol><li id="fn-3" role="doc-endnote">A note. ↩</li></ol></section></body></html>`,
    "x",
  );

  assert.deepEqual(facts, { author: "Ada", writtenAt: Date.UTC(2024, 1, 3), people: ["Ada"] });
  assert.deepEqual(blocks, [
    {
      type: "list",
      isOrdered: true,
      items: [
        { text: "One", depth: 0 },
        { text: "Inner", depth: 1 },
        { text: "Two\nmore", depth: 0 },
      ],
      place: {},
    },
    {
      type: "table",
      columns: ["Kind", "Weight", "Weight"],
      rows: [
        ["Rye", "1", "2"],
        ["Rye", "3", "4"],
      ],
      caption: "Stock",
      spans: [
        { row: 0, column: 1, rows: 1, columns: 2 },
        { row: 1, column: 0, rows: 2, columns: 1 },
      ],
      place: {},
    },
    { type: "figure", caption: "The wheel (Wheel)", place: {} },
    { type: "code", text: "ls\ncd", language: "sh", place: {} },
    { type: "footnote", label: "3", text: "A note.", place: {} },
  ]);
});

test("markdown keeps lists with depth, code with its language, pictures by their words, and notes", async () => {
  const { blocks, facts } = await read(
    "---\nauthor: Ada\ndate: 2024-02-03\n---\n\n1. One\n   - Inner\n2. Two\n\n![The wheel](a.png)\n\n```sh\nls\n```\n\n[^a]: A note of it.\n",
    "a.md",
  );

  assert.deepEqual(facts, { author: "Ada", writtenAt: Date.UTC(2024, 1, 3), people: ["Ada"] });
  assert.deepEqual(
    blocks.map((block) => placeless(block)),
    [
      {
        type: "list",
        isOrdered: true,
        items: [
          { text: "One", depth: 0 },
          { text: "Inner", depth: 1 },
          { text: "Two", depth: 0 },
        ],
      },
      { type: "figure", caption: "The wheel" },
      { type: "code", text: "ls", language: "sh" },
      { type: "footnote", label: "a", text: "A note of it." },
    ],
  );
});

test("a mail gives what its attachments hold, archives of workbooks and pictures of documents included", async () => {
  const docx = makeDocx({ blocks: [{ text: "The lease of the mill." }, { picture: makePng(64, 64), alt: "Plan" }] });
  const zip = makeZip({
    "stock.xlsx": makeXlsx({
      sheets: [
        {
          name: "Stock",
          rows: [
            ["Kind", "Count"],
            ["Rye", 4],
          ],
        },
      ],
    }),
    "broken.docx": new Uint8Array([0x50, 0x4b, 3, 4]),
  });
  const { format, facts, blocks, pictures } = await parse(
    makeMail({
      from: "Ada <ada@example.org>",
      to: "basil@example.org",
      subject: "Papers",
      text: "See below.",
      attachments: [
        { name: "lease.docx", type: "application/octet-stream", bytes: docx },
        { name: "all.zip", type: "application/zip", bytes: zip },
      ],
    }),
    "x",
  );

  assert.equal(format, "eml");
  assert.deepEqual(facts, {
    author: "Ada <ada@example.org>",
    writtenAt: Date.UTC(2024, 5, 3, 7, 30),
    people: ["Ada <ada@example.org>", "<basil@example.org>"],
  });
  assert.deepEqual(
    blocks.slice(2).map(({ type, place }) => [type, place.part, place.sheet]),
    [
      ["paragraph", "lease.docx", undefined],
      ["figure", "lease.docx", undefined],
      ["table", "all.zip › stock.xlsx", "Stock"],
    ],
  );
  assert.equal(pictures?.length, 1);
});

async function entriesOf(content: Uint8Array, name: string): Promise<HeldEntry[]> {
  const holder = await openHolder(content, name);
  const entries: HeldEntry[] = [];
  for (let from: number | undefined = 0; from !== undefined;) {
    const part: { entries: readonly HeldEntry[]; next?: number } = (await holder?.read(from, 1)) ?? { entries: [] };
    entries.push(...part.entries);
    from = part.next;
  }
  return entries;
}

test("archives and mail boxes hand out their files a few at a time, under names that lead nowhere", async () => {
  const tar = await packTar([
    { header: { name: "../../up.txt", size: 2 }, body: "up" },
    { header: { name: "link", size: 0, type: "symlink", linkname: "/etc/passwd" } },
    { header: { name: "in/deep.txt", size: 4 }, body: "deep" },
  ]);
  const mbox =
    "From a@b.org Mon Jan  1 10:00:00 2024\nFrom: a@b.org\nSubject: One\n\nHello\n>From here on.\n\nFrom b@b.org Tue Jan  2 10:00:00 2024\nFrom: b@b.org\nSubject: Two\n\nBye\n";
  const shown = async (content: Uint8Array, name: string): Promise<string[]> =>
    (await entriesOf(content, name)).map((entry) => `${entry.name}=${Buffer.from(entry.bytes).toString().slice(-14)}`);

  assert.deepEqual(await shown(tar, "a"), ["up.txt=up", "in/deep.txt=deep"]);
  assert.deepEqual(await shown(new Uint8Array(gzipSync(tar)), "a"), ["up.txt=up", "in/deep.txt=deep"]);
  assert.deepEqual(await shown(new Uint8Array(gzipSync("alone")), "notes.txt.gz"), ["notes.txt=alone"]);
  assert.deepEqual(await shown(makeZip({ "../a.txt": "1", "C:\\b\\a.txt": "2", "/a.txt": "3", "__MACOSX/._a": "4" }), "a"), [
    "a.txt=1",
    "b/a.txt=2",
    "a (2).txt=3",
  ]);
  assert.deepEqual(
    (await entriesOf(bytes(mbox), "a")).map((entry) => [entry.name, Buffer.from(entry.bytes).toString().trim()]),
    [
      ["00001.eml", "From: a@b.org\nSubject: One\n\nHello\nFrom here on."],
      ["00002.eml", "From: b@b.org\nSubject: Two\n\nBye"],
    ],
  );
  assert.equal(await openHolder(makeDocx({ blocks: [] }), "a"), undefined);
});

test("an archive that lies or swells is refused, and one locked file in it costs only itself", async () => {
  const problem = async (content: Uint8Array): Promise<string> => {
    try {
      return (await entriesOf(content, "a")).map((entry) => entry.problem ?? "fine").join(" ");
    } catch (error) {
      if (error instanceof UnreadableError) return error.problem;
      throw error;
    }
  };
  const bomb = makeZip({ "a.txt": "fine", "b.txt": new Uint8Array(40_000_000) });
  const locked = makeZip({ "a.txt": "fine", "b.txt": "locked" });
  const at = Buffer.from(locked).lastIndexOf(Buffer.from([0x50, 0x4b, 1, 2]));
  locked[at + 8] = (locked[at + 8] ?? 0) | 1;

  assert.equal(await problem(bomb), "fine bomb");
  assert.equal(await problem(locked), "fine encrypted");
  await assert.rejects(openZip(makeZip({ a: "1", b: "2", c: "3" }), 2), { problem: "bomb" });
  assert.equal(await problem(makeZip({ "folder/": "" })), "empty");
  assert.equal(await problem(new Uint8Array(gzipSync(Buffer.alloc(70_000_000)))), "bomb");
});

test("rules tell what sort of thing a document is, in French and English", async () => {
  const typeOf = async (text: string, name: string): Promise<string> => entityTypeOf({ ...(await read(text, name)), name });

  assert.equal(
    await typeOf(
      "Facture n° 2024-031\n\nDate d'échéance : 30 mars 2024\n\nTotal HT 100 €\n\nTVA 20 €\n\nTotal TTC 120 €\n",
      "f.txt",
    ),
    "invoice",
  );
  assert.equal(await typeOf("Invoice\n\nInvoice number: 77\n\nAmount due: 20 EUR\n\nVAT 4 EUR\n", "scan.txt"), "invoice");
  assert.equal(
    await typeOf("Devis n° 12\n\nPrix unitaire 4 €\n\nValable jusqu'au 1er mai\n\nBon pour accord\n", "d.txt"),
    "quote",
  );
  assert.equal(
    await typeOf(
      "BAIL COMMERCIAL\n\nEntre les soussignés, ci-après le bailleur.\n\nArticle 1. Objet du présent bail.\n\nRésiliation avec préavis.\n",
      "b.txt",
    ),
    "contract",
  );
  assert.equal(
    await typeOf("Compte rendu du 3 juin\n\nPrésents : Ada, Basil\n\nOrdre du jour\n\nProchaine réunion le 4.\n", "r.txt"),
    "minutes",
  );
  assert.equal(await typeOf("Ada Miller\n\nWork experience\n\nEducation\n\nSkills\n\nLanguages\n", "cv-ada.txt"), "resume");
  assert.equal(await typeOf("Dear Basil,\n\nThe mill stands still.\n\nYours sincerely\nAda\n", "letter to Basil.txt"), "letter");
  assert.equal(
    await typeOf("2024-03-01 10:00:00 started\n2024-03-01 10:00:04 stopped\n2024-03-01 10:01:00 started\n", "pump.log"),
    "log",
  );
  assert.equal(await typeOf("Echelle : 1:50\nDessiné par : Ada\nTolérances générales ISO 2768\n⌀ 12\n", "plan.txt"), "drawing");
  assert.equal(await typeOf("The mill stands by the river, and the river runs.\n", "a.txt"), "document");
});
