import assert from "node:assert/strict";
import { test } from "node:test";
import { mismatches, orNull, shaped } from "./shape.ts";

const shape = {
  must: { id: "string", gpu: { must: { count: "integer" } } },
  may: { state: { words: ["on", "off"] }, ports: { list: "string" }, env: { map: "string" }, ip: orNull("string") },
} as const;

test("a body that keeps to its shape passes, and everything else is said where it is", () => {
  assert.deepEqual(
    mismatches(shape, { id: "a", gpu: { count: 1 }, state: "on", ports: ["22/tcp"], env: { A: "b" }, ip: null }),
    [],
  );
  for (const [body, where] of [
    [{ gpu: { count: 1 } }, "$: missing property 'id'"],
    [{ id: "a", gpu: { count: 1.5 } }, "$.gpu.count: is not integer"],
    [{ id: "a", gpu: { count: 1 }, bogus: 1 }, "$: additional properties 'bogus' not allowed"],
    [{ id: "a", gpu: { count: 1 }, state: "gone" }, "$.state: is none of on, off"],
    [{ id: "a", gpu: { count: 1 }, ports: ["a", 22] }, "$.ports[1]: is not string"],
    [{ id: "a", gpu: { count: 1 }, env: { A: 1 } }, "$.env.A: is not string"],
    [{ id: "a", gpu: { count: 1 }, ip: 4 }, "$.ip: is not string"],
    [[], "$: is not an object"],
  ] as const)
    assert.deepEqual(mismatches(shape, body), [where]);
  assert.throws(() => shaped(shape, { id: "a" }, "a thing"), /answers a thing as its vendor would not/);
});
