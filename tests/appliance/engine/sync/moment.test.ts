import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedMoment } from "../../../../appliance/engine/sync/moment.ts";
import type { QueryResult } from "../../../../appliance/engine/subscriptions/computations.ts";

const span = (sinceTs: bigint, untilTs?: bigint): QueryResult => ({ sinceTs, untilTs }) as QueryResult;

test("results that are all true now are shown as of now", () => {
  assert.equal(sharedMoment([span(5n), span(8n)], { floorTs: 6n, publishedTs: 20n }), 20n);
});

test("a result that was overtaken is shown as of just before", () => {
  assert.equal(sharedMoment([span(5n), span(8n, 12n)], { floorTs: 6n, publishedTs: 20n }), 11n);
});

test("results without a moment in common are not shown together", () => {
  assert.equal(sharedMoment([span(12n), span(8n, 12n)], { floorTs: 0n, publishedTs: 20n }), undefined);
});

test("time never goes backwards for a client", () => {
  assert.equal(sharedMoment([span(8n, 12n)], { floorTs: 12n, publishedTs: 20n }), undefined);
  assert.equal(sharedMoment([], { floorTs: 25n, publishedTs: 20n }), 25n);
});
