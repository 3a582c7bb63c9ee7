import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../../../ml/parse/parse.ts";
import { zipDocx } from "../../fixtures/makeDocx.ts";
import { contentTypes, makeZip, relations, xmlHead } from "../../fixtures/makeZip.ts";

const points = (values: readonly string[]): string =>
  values.map((value, at) => `<c:pt idx="${at}"><c:v>${value}</c:v></c:pt>`).join("");
const series = (name: string, labels: readonly string[], values: readonly string[]): string =>
  `<c:ser><c:tx><c:strRef><c:f>S!$B$1</c:f><c:strCache>${points([name])}</c:strCache></c:strRef></c:tx>` +
  `<c:cat><c:strRef><c:strCache>${points(labels)}</c:strCache></c:strRef></c:cat>` +
  `<c:val><c:numRef><c:numCache><c:formatCode>0</c:formatCode>${points(values)}</c:numCache></c:numRef></c:val></c:ser>`;
const chart = (title: string, all: string): string =>
  `${xmlHead}<c:chartSpace xmlns:c="c" xmlns:a="a"><c:chart>` +
  (title === "" ? "" : `<c:title><c:tx><c:rich><a:p><a:r><a:t>${title}</a:t></a:r></a:p></c:rich></c:tx></c:title>`) +
  `<c:plotArea><c:barChart>${all}</c:barChart></c:plotArea></c:chart></c:chartSpace>`;
const months = ["January", "February"];

test("a chart in a Word document is the table it was drawn from, where it stands", async () => {
  const spaces = 'xmlns:w="w" xmlns:r="r" xmlns:wp="wp" xmlns:a="a" xmlns:c="c"';
  const drawn = (id: string, alt: string): string =>
    `<w:p><w:r><w:drawing><wp:inline><wp:docPr id="1" name="x" descr="${alt}"/><a:graphic><a:graphicData>` +
    `<c:chart r:id="${id}"/></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>`;
  const said = (text: string): string => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`;
  const body = `${said("Before it.")}${drawn("rOne", "")}${said("Between.")}${drawn("rTwo", "Steam by month")}${drawn("rGone", "")}${said("After it.")}`;
  const bytes = zipDocx({
    "word/document.xml": `${xmlHead}<w:document ${spaces}><w:body>${body}</w:body></w:document>`,
    "word/_rels/document.xml.rels": relations([
      ["rOne", "chart", "charts/chart1.xml"],
      ["rTwo", "chart", "charts/chart2.xml"],
      ["rGone", "chart", "charts/chart3.xml"],
    ]),
    "word/charts/chart1.xml": chart("Water used", series("Mill", months, ["12", "15"]) + series("Kiln", months, ["3", "4"])),
    "word/charts/chart2.xml": chart("", series("Boiler", months, ["7", "8"])),
    "word/charts/chart3.xml": "<c:chartSpace><c:chart",
  });

  const { blocks } = await parse(bytes, "report.docx");

  assert.deepEqual(
    blocks.map((block) => (block.type === "table" ? [block.caption, block.columns, block.rows] : "text" in block && block.text)),
    [
      "Before it.",
      [
        "Water used",
        ["", "Mill", "Kiln"],
        [
          ["January", "12", "3"],
          ["February", "15", "4"],
        ],
      ],
      "Between.",
      [
        "Steam by month",
        ["", "Boiler"],
        [
          ["January", "7"],
          ["February", "8"],
        ],
      ],
      "After it.",
    ],
  );
});

test("a chart on a sheet is a table under its title, on that sheet", async () => {
  const spaces = 'xmlns="s" xmlns:r="r"';
  const bytes = makeZip({
    "[Content_Types].xml": contentTypes({ "xl/workbook.xml": "spreadsheetml.sheet.main" }),
    "_rels/.rels": relations([["rId1", "officeDocument", "xl/workbook.xml"]]),
    "xl/workbook.xml": `${xmlHead}<workbook ${spaces}><sheets><sheet name="Costs" sheetId="1" r:id="r1"/></sheets></workbook>`,
    "xl/_rels/workbook.xml.rels": relations([["r1", "worksheet", "worksheets/sheet1.xml"]]),
    "xl/worksheets/sheet1.xml": `${xmlHead}<worksheet ${spaces}><sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData><drawing r:id="d"/></worksheet>`,
    "xl/worksheets/_rels/sheet1.xml.rels": relations([["d", "drawing", "../drawings/drawing1.xml"]]),
    "xl/drawings/drawing1.xml": `${xmlHead}<xdr:wsDr xmlns:xdr="x" xmlns:r="r" xmlns:c="c"><xdr:graphicFrame><c:chart r:id="c1"/></xdr:graphicFrame></xdr:wsDr>`,
    "xl/drawings/_rels/drawing1.xml.rels": relations([["c1", "chart", "../charts/chart1.xml"]]),
    "xl/charts/chart1.xml": chart("Heating costs", series("2025", months, ["820", "790"])),
  });

  const { blocks } = await parse(bytes, "costs.xlsx");

  const found = blocks.find((block) => block.type === "table" && block.caption === "Heating costs");
  assert.deepEqual(found, {
    type: "table",
    columns: ["", "2025"],
    rows: [
      ["January", "820"],
      ["February", "790"],
    ],
    caption: "Heating costs",
    place: { sheet: "Costs" },
  });
});
