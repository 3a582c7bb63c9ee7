import assert from "node:assert/strict";
import { test } from "node:test";
import { makePdf } from "../../fixtures/makePdf.ts";
import { passageWith, read, readFixture } from "./reading.ts";
import type { Passage } from "../../../ml/parse/block.ts";
import type { Place } from "../../../convex/model/place.ts";

/** What a passage says and where it stands; how it was cut is for the tests of the cutting. */
const said = ({ text, place }: Passage): { text: string; place: Place } => ({ text, place });

test("plain text keeps its lines, joins wrapped prose and leaves lists as they are", async () => {
  const document = await readFixture("ferryTimetable.txt");
  const passage = passageWith(document, "extra boat");

  assert.equal(document.format, "text");
  assert.equal(document.title, "The ferry at Aldmere");
  assert.equal((await read("One sentence.\n\nAnother one.", "notes/a.txt")).title, "a.txt");
  assert.deepEqual(passage.place, { lines: { from: 1, to: 14 } });
  assert.match(passage.text, /between six in the morning/);
  assert.match(passage.text, /\n- no carts are taken\n/);
});

test("log lines and code stay lines of their own", async () => {
  const log = "2024-03-01 10:00:00 the pump was started by hand from the gallery\n2024-03-01 10:05:00 the pump was stopped";
  const code = 'import { readFileSync, writeFileSync, mkdirSync } from "node:fs";\nconst text = readFileSync("a.txt", "utf8");';

  assert.equal((await read(log, "a.log")).passages[0]?.text, log);
  assert.equal((await read(code, "a.ts")).passages[0]?.text, code);
});

test("markdown gives heading paths, lines, rows and code, and plain words instead of marks", async () => {
  const document = await readFixture("beekeeping.md");

  assert.equal(document.format, "markdown");
  assert.equal(document.title, "Keeping bees on the roof");
  assert.deepEqual(said(passageWith(document, "Two hives")), {
    text: "Two hives stand on the south side of the roof. See the club's page for courses.",
    place: { lines: { from: 7, to: 7 }, headings: ["Keeping bees on the roof"] },
  });
  assert.deepEqual(passageWith(document, "late swarm").place, {
    headings: ["Keeping bees on the roof", "Harvest"],
    rows: { from: 1, to: 3 },
  });
  assert.match(passageWith(document, "late swarm").text, /^Year: 2022 · Honey \(kg\): 31 · Remark: dry summer$/m);
  assert.match(passageWith(document, "print-label").text, /print-label --size 40x60 "Roof honey"/);
});

test("a passage over two small sections stands under what they have in common, and says the rest in its text", async () => {
  const passage = passageWith(await readFixture("beekeeping.md"), "fourteen kilograms");

  assert.deepEqual(passage.place.headings, ["Keeping bees on the roof", "The year"]);
  assert.match(passage.text, /^Spring\n\nOpen the hives.*\n\nAutumn\n\nFeed each colony/s);
});

test("html gives headings and table rows, without navigation, scripts, styles and hidden parts", async () => {
  const document = await readFixture("marche.html");
  const all = document.passages.map((passage) => passage.text).join("\n");

  assert.equal(document.format, "html");
  assert.equal(document.title, "Le marché de Fontclaire");
  assert.deepEqual(said(passageWith(document, "24 euros")), {
    text: "Emplacement: Sous la halle · Prix par jour: 24 euros\nEmplacement: Place de l'Église · Prix par jour: 15 euros",
    place: { headings: ["Le marché de Fontclaire", "Tarifs des emplacements"], rows: { from: 1, to: 2 } },
  });
  assert.match(all, /jusqu'à seize heures/);
  assert.match(all, /- Les chiens sont tenus en laisse\.\n- Les déchets/);
  assert.doesNotMatch(all, /Accueil|suivre|personne ne voit|color: red/);
});

test("html whose hidden part never ends is shown rather than lost", async () => {
  const { passages } = await read("<html><body><p>Before.</p><div hidden><p>After the open part.</p></body></html>", "a.html");

  assert.match(passages.map((passage) => passage.text).join("\n"), /After the open part/);
});

test("a table repeats its column names in each row and counts rows from the first below the header", async () => {
  const { format, passages } = await readFixture("stock.csv");

  assert.equal(format, "csv");
  assert.deepEqual(passages.map(said), [
    {
      text: 'item: M8 bolt · place: shelf 3, left · count: 420\nitem: V-belt A42 · place: shelf 7 · count: 6 · note: order at two left\nitem: Grease gun · place: cupboard · count: 1 · note: lent to "Basil"',
      place: { rows: { from: 1, to: 3 } },
    },
  ]);
});

test("a French table with semicolons, decimal commas and Latin-1 letters is read as one", async () => {
  const { format, passages } = await readFixture("releves.csv");

  assert.equal(format, "csv");
  assert.match(passages[0]?.text ?? "", /^Relevé: 1 mars · Température: 8,5 · Pluie: 0$/m);
});

test("a long table is cut between rows, and each passage knows which", async () => {
  const rows = Array.from({ length: 200 }, (_, at) => `${at + 1},valve number ${at + 1},in the cellar`);
  const { passages } = await read(["number,what,where", ...rows].join("\n"), "valves.csv");
  const found = passages.find((passage) => passage.text.includes("valve number 150 "));

  assert.ok(passages.length > 5);
  assert.ok(found?.place.rows && found.place.rows.from <= 150 && found.place.rows.to >= 150);
  assert.deepEqual(passages.at(-1)?.place.rows?.to, 200);
});

test("json gives key paths, lines and every digit of a number", async () => {
  const { format, title, passages } = await readFixture("pump.json");

  assert.equal(format, "json");
  assert.equal(title, "Pump controller");
  assert.match(passages[0]?.text ?? "", /^limits\.pressure\.max: 6\.5$/m);
  assert.match(passages[0]?.text ?? "", /^serial: 900719925474099312345$/m);
  assert.deepEqual(passages[0]?.place, { lines: { from: 2, to: 8 } });
});

test("a json array and json lines count their records, and a broken record is kept as written", async () => {
  const array = await read('[{"name": "Ada"}, {"name": "Basil"}]', "people.json");
  const lines = await readFixture("visits.jsonl");

  assert.deepEqual(array.passages[0]?.place.records, { from: 1, to: 2 });
  assert.equal(lines.format, "jsonl");
  assert.deepEqual(lines.passages[0]?.place, { records: { from: 1, to: 3 } });
  assert.match(lines.passages[0]?.text ?? "", /\{"day": "2024-05-03", "visitor": "Hugo Lambert", "reason":/);
});

test("a pdf gives pages, headings by size, columns in order, and drops what every page repeats", async () => {
  const document = await readFixture("report.pdf");
  const first = passageWith(document, "The sky was clear");

  assert.equal(document.format, "pdf");
  assert.equal(document.pages, 3);
  assert.equal(document.title, "Night report of the Glasholm Observatory");
  assert.deepEqual(
    { page: first.place.page, headings: first.place.headings },
    { page: 1, headings: ["Night report", "Conditions"] },
  );
  assert.match(first.text, /a quarter past two\.\s+The dome was opened by Jonas Wirth and closed by Inès Carpentier/);
  assert.equal(passageWith(document, "380 euros").place.page, 2);
  assert.doesNotMatch(document.passages.map((passage) => passage.text).join("\n"), /Glasholm Observatory|Page \d of 3/);
});

test("a word cut at the end of a pdf line is one word, and a pdf without a title takes its heading", async () => {
  const pdf = makePdf({
    pages: [
      [
        { text: "Boilers", y: 60, size: 18 },
        { text: "The safety valve of the boiler opens auto-", y: 90 },
        { text: "matically at six bar and closes at five bar.", y: 104 },
      ],
    ],
  });
  const { title, passages } = await read(pdf, "b.pdf");

  assert.equal(title, "Boilers");
  assert.match(passages[0]?.text ?? "", /opens automatically at six bar/);
});

test("a Word document gives title, headings and table rows", async () => {
  const document = await readFixture("lease.docx");

  assert.equal(document.format, "docx");
  assert.equal(document.title, "Bail de l'atelier");
  assert.deepEqual(said(passageWith(document, "640 euros")), {
    text: "Poste: Loyer · Montant mensuel: 640 euros\nPoste: Charges · Montant mensuel: 75 euros",
    place: { headings: ["Bail de l'atelier", "Loyer"], rows: { from: 1, to: 2 } },
  });
});

test("a mail gives its headers, its body with what it quotes, and each readable attachment as a part", async () => {
  const document = await readFixture("minutes.eml");
  const body = passageWith(document, "green paint");

  assert.equal(document.format, "eml");
  assert.equal(document.title, "Réunion du 3 juin");
  assert.deepEqual(body.place, { part: "body" });
  assert.match(body.text, /^From: Inès Carpentier <ines@example\.org>$/m);
  assert.match(body.text, /^Date: 2024-06-03 07:30 UTC$/m);
  assert.match(body.text, /When does the painter come\?/);
  assert.match(body.text, /^Attachments: lease\.docx, boathouse\.png$/m);
  assert.deepEqual(passageWith(document, "640 euros").place.part, "lease.docx");
});
