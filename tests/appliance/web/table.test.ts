import assert from "node:assert/strict";
import { test } from "node:test";
import { toTable } from "../../../appliance/web/passage/table.ts";

test("rows kept for searching become a table again, with a missing cell empty and the row that answers marked", () => {
  const text = "Spare parts · item: bolt M8 · count: 420\nitem: V-belt · price: 2: each";
  assert.deepEqual(toTable(text, [{ from: 41, to: 60 }]), {
    caption: "Spare parts",
    columns: ["item", "count", "price"],
    rows: [
      { cells: ["bolt M8", "420", ""], isMarked: false },
      { cells: ["V-belt", "", "2: each"], isMarked: true },
    ],
  });
});

test("what is no rows stays a text", () => {
  for (const text of [
    "",
    "Table · 8 rows\nColumns:\n- item: bolt",
    "just a sentence",
    "one: column",
    "a: 1 · a: 2",
    "a: 1 · b: 2\nrest of a cell",
  ])
    assert.equal(toTable(text, []), undefined, text);
});
