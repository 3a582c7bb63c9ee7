import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openReader } from "../../../appliance/reader/reader.ts";
import { makeHostile, type HostileFile } from "../../fixtures/hostile.ts";

let dir = "";
let files: HostileFile[] = [];

before(() => {
  dir = mkdtempSync(join(tmpdir(), "nika-hostile-"));
  // One in four; the hostile drill hands all of them to an appliance.
  files = makeHostile(dir, { large: false, fuzz: false })
    .filter((file) => file.level === "parse")
    .filter((_file, index) => index % 4 === 0);
});
after(() => rmSync(dir, { recursive: true, force: true }));

test("a hostile file ends in a clear state, and reading goes on", async (t) => {
  const reader = openReader();
  t.after(() => reader.close());
  const signal = new AbortController().signal;
  const outcomes = await Promise.all(
    files.map(async ({ name, expect }) => {
      const reading = await reader.read(new Uint8Array(readFileSync(join(dir, name))), { name, signal });
      const state = reading.type === "unreadable" ? reading.problem : (`ready:${reading.format}` as const);
      const isSound =
        reading.type !== "read" ||
        reading.passages.every(({ text }) => text.isWellFormed() && !text.includes("\0") && text !== "");
      return { name, state, isExpected: expect.includes(state), isSound };
    }),
  );

  assert.ok(outcomes.length >= 10);
  assert.deepEqual(
    outcomes.filter(({ isExpected, isSound }) => !isExpected || !isSound),
    [],
  );
});
