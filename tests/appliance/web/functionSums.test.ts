import assert from "node:assert/strict";
import { test } from "node:test";
import { saidIn, shiftedTo, sumPerMinute, type FunctionView } from "../../../appliance/web/functionSums.ts";

function view(perMinute: readonly number[]): FunctionView {
  return { path: "a:a", kind: "query", calls: 0, errors: 0, perMinute };
}

test("minutes in which nothing ran pass all the same", () => {
  const stats = { minute: 100, functions: [view([1, 2, 3])], errors: [] };
  assert.deepEqual(shiftedTo(stats, 102).functions[0]?.perMinute, [3, 0, 0]);
  assert.deepEqual(shiftedTo(stats, 200).functions[0]?.perMinute, [0, 0, 0]);
  assert.equal(shiftedTo(stats, 99), stats);
});

test("all functions together are the sum of each", () => {
  assert.deepEqual(sumPerMinute([view([1, 2, 3]), view([10, 0, 1])]), [11, 2, 4]);
});

test("an error thrown on purpose is told by its message", () => {
  assert.equal(saidIn('ConvexError: {"code":"denied","message":"Only the owner may."}'), "Only the owner may.");
  assert.equal(saidIn('ConvexError: {"code":"denied","mess'), 'ConvexError: {"code":"denied","mess');
  assert.equal(saidIn("TypeError: no"), "TypeError: no");
});
