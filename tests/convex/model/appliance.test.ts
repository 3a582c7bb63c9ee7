import assert from "node:assert/strict";
import { test } from "node:test";
import { embeddedPassagesMax, vaultAdvice } from "../../../convex/model/appliance.ts";

test("a vault too large for the embedded store is told to move, and one in a Qdrant is not", () => {
  assert.equal(vaultAdvice({ mode: { vectors: "embedded" }, passages: embeddedPassagesMax }), undefined);
  assert.match(vaultAdvice({ mode: { vectors: "embedded" }, passages: embeddedPassagesMax + 1 }) ?? "", /Qdrant/);
  assert.equal(vaultAdvice({ mode: { vectors: "qdrant" }, passages: 5_000_000 }), undefined);
});
