import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { NikaError } from "../../../convex/model/error.ts";
import { openReader } from "../../../appliance/reader/reader.ts";
import { fuzzCases, type FuzzCase } from "../../fixtures/makeFuzz.ts";

// One in four; the hostile drill hands all of them to an appliance.
const cases = fuzzCases().filter((_case, index) => index % 4 === 0);

/** Those that ended otherwise than they should. */
async function strays(t: TestContext, files: readonly FuzzCase[]): Promise<unknown[]> {
  const reader = openReader();
  t.after(() => reader.close());
  const { signal } = new AbortController();
  const found = await Promise.all(
    files.map(async ({ name, expect, bytes: make }) => {
      const made = make();
      const bytes = typeof made === "string" ? new TextEncoder().encode(made) : new Uint8Array(made);
      const reading = await reader.read(bytes, { name, signal });
      const state = reading.type === "unreadable" ? reading.problem : (`ready:${reading.format}` as const);
      // What a holder holds comes out, or says why not, entry by entry.
      for (let from: number | undefined = reading.type === "holder" ? 0 : undefined; from !== undefined;) {
        const part: { next?: number } = await reader.entries(bytes, { name, from, signal }).catch((error: unknown) => {
          if (error instanceof NikaError && error.code === "invalid") return {};
          throw error;
        });
        from = part.next;
      }
      return expect.includes(state) ? [] : [{ name, state }];
    }),
  );
  return found.flat();
}

test("documents with bytes flipped, ends cut off or XML torn are read as far as they go or refused with a reason", async (t) => {
  assert.ok(cases.length >= 40);
  assert.deepEqual(await strays(t, cases), []);
});
