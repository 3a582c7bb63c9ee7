import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunNote } from "../../../../appliance/engine/model/run.ts";
import { openStatistics } from "../../../../appliance/engine/logs/statistics.ts";

const minuteMs = 60_000;
const startMs = 29_000_000 * minuteMs;

function note(rest: Partial<RunNote> = {}): RunNote {
  return { path: "notes:get", kind: "query", caller: "Client", requestId: "00", ms: 1, logLines: [], ...rest };
}

test("half of the runs lie below p50, and one in twenty above p95", () => {
  const statistics = openStatistics(() => startMs);
  for (let ms = 1; ms <= 100; ms++) statistics.add(note({ ms }), startMs);
  const [one] = statistics.read().functions;
  assert.ok(Math.abs((one?.p50Ms ?? 0) - 50) < 6, `p50 is ${one?.p50Ms}`);
  assert.ok(Math.abs((one?.p95Ms ?? 0) - 95) < 11, `p95 is ${one?.p95Ms}`);
});

test("an answer that was known counts as a call and not as a time", () => {
  const statistics = openStatistics(() => startMs);
  statistics.add(note({ ms: 0, isCached: true }), startMs);
  const [one] = statistics.read().functions;
  assert.deepEqual([one?.calls, one?.p50Ms, one?.perMinute.at(-1)], [1, undefined, 1]);
});

test("what is older than an hour is forgotten, calls and errors alike", () => {
  let nowMs = startMs;
  const statistics = openStatistics(() => nowMs);
  statistics.add(note({ error: "Uncaught Error: no\n    at handler (../convex/notes.ts:12:8)" }), nowMs);
  nowMs += 59 * minuteMs;
  statistics.add(note(), nowMs);
  const [kept] = statistics.read().functions;
  assert.deepEqual([kept?.calls, kept?.errors, kept?.perMinute[0], kept?.perMinute[59]], [2, 1, 1, 1]);
  nowMs += 2 * minuteMs;
  const { functions, errors } = statistics.read();
  assert.deepEqual([functions[0]?.calls, functions[0]?.errors, errors.length], [1, 0, 0]);
  nowMs += 60 * minuteMs;
  assert.deepEqual(statistics.read().functions, []);
});

test("the same error in the same place is one, with how often and when last", () => {
  const statistics = openStatistics(() => startMs + 5);
  const error =
    "Uncaught TypeError: x is not a function\n    at pick (../convex/model/pick.ts:3:1)\n    at handler (../convex/notes.ts:12:8)";
  statistics.add(note({ error }), startMs);
  statistics.add(
    note({ path: "notes:put", kind: "mutation", error: "ArgumentValidationError: Value does not match validator." }),
    startMs,
  );
  statistics.add(note({ error }), startMs + 5);
  assert.deepEqual(statistics.read().errors, [
    {
      path: "notes:get",
      kind: "query",
      message: "TypeError: x is not a function",
      place: "model/pick.ts:3",
      at: startMs + 5,
      times: 2,
    },
    {
      path: "notes:put",
      kind: "mutation",
      message: "ArgumentValidationError: Value does not match validator.",
      at: startMs,
      times: 1,
    },
  ]);
});

test("names without end do not fill the memory", () => {
  const statistics = openStatistics(() => startMs);
  for (let i = 0; i < 3000; i++) statistics.add(note({ path: `GET /${i}`, kind: "httpAction", error: `no ${i}` }), startMs);
  const { functions, errors } = statistics.read();
  assert.ok(functions.length <= 2000 && errors.length <= 50);
  assert.equal(errors[0]?.message, "no 2999");
});
