import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap, ndcg, recall, reciprocalRank } from "../../../ml/evaluate/metrics.ts";

const judged = new Map([
  ["a", 1],
  ["b", 1],
  ["no", 0],
]);

test("the measures are what their formulas say", () => {
  assert.equal(ndcg(["a", "b"], judged, 10), 1);
  assert.ok(Math.abs(ndcg(["x", "a"], judged, 10) - 1 / Math.log2(3) / (1 + 1 / Math.log2(3))) < 1e-12);
  assert.equal(ndcg(["x", "y"], judged, 10), 0);
  assert.ok(
    Math.abs(
      ndcg(
        ["low", "high"],
        new Map([
          ["high", 2],
          ["low", 1],
        ]),
        10,
      ) -
        (1 + 3 / Math.log2(3)) / (3 + 1 / Math.log2(3)),
    ) < 1e-12,
  );
  assert.equal(reciprocalRank(["x", "no", "b"], judged, 10), 1 / 3);
  assert.equal(reciprocalRank(["x", "no", "b"], judged, 2), 0);
  assert.equal(recall(["a", "x"], judged, 2), 0.5);
  assert.equal(recall(["a"], new Map(), 2), 0);
});

test("an interval holds the mean, is the same for the same values, and leaves 0 out when all gain", () => {
  const values = Array.from({ length: 50 }, (_, at) => (at % 5) / 10);
  const { mean, from, to } = bootstrap(values);
  assert.ok(from < mean && mean < to && Math.abs(mean - 0.2) < 1e-9);
  assert.deepEqual(bootstrap(values), { mean, from, to });
  assert.ok(bootstrap([0.1, 0.2, 0.1, 0.3]).from > 0);
});
