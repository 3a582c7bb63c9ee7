import assert from "node:assert/strict";
import { test } from "node:test";
import { NikaError } from "../../../convex/model/error.ts";
import { openReader } from "../../../appliance/reader/reader.ts";
import { fuzzCases } from "../../fixtures/makeFuzz.ts";

test("broken files of every format are read as far as they go or refused with a reason, and never cost the process", async (t) => {
  const reader = openReader();
  t.after(() => reader.close());
  const signal = new AbortController().signal;
  const outcomes: { name: string; state: string; isExpected: boolean }[] = [];
  const cases = fuzzCases();
  for (const { name, expect, bytes: make } of cases) {
    const made = make();
    const bytes = typeof made === "string" ? new TextEncoder().encode(made) : new Uint8Array(made);
    const reading = await reader.read(bytes, { name, signal });
    const state = reading.type === "unreadable" ? reading.problem : (`ready:${reading.format}` as const);
    outcomes.push({ name, state, isExpected: expect.includes(state) });
    // What a holder holds comes out, or says why not, entry by entry.
    for (let from: number | undefined = reading.type === "holder" ? 0 : undefined; from !== undefined;) {
      const part: { next?: number } = await reader.entries(bytes, { name, from, signal }).catch((error: unknown) => {
        if (error instanceof NikaError && error.code === "invalid") return {};
        throw error;
      });
      from = part.next;
    }
  }

  assert.ok(cases.length >= 180);
  assert.deepEqual(
    outcomes.filter(({ isExpected }) => !isExpected),
    [],
  );
});
