import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunNote } from "../../../../appliance/engine/model/run.ts";
import { openRunLog } from "../../../../appliance/engine/logs/runLog.ts";

const never = new AbortController().signal;

function note(rest: Partial<RunNote> = {}): RunNote {
  return { path: "notes:get", kind: "query", caller: "Client", requestId: "00", ms: 1, logLines: [], ...rest };
}

test("each run is told once, in order, to whoever goes on from the last cursor", async () => {
  const log = openRunLog(() => 1_000);
  const start = await log.after(0, never);
  assert.deepEqual(start.entries, []);
  log.add(note({ path: "a:a" }));
  log.add(note({ path: "b:b" }));
  const first = await log.after(start.newCursor, never);
  assert.deepEqual(
    first.entries.map((one) => one.identifier),
    ["a:a", "b:b"],
  );
  const waiting = log.after(first.newCursor, never);
  log.add(note({ path: "c:c" }));
  assert.deepEqual(
    (await waiting).entries.map((one) => one.identifier),
    ["c:c"],
  );
});

test("whoever waits in vain gets an empty page and the same place to go on from", async () => {
  const log = openRunLog(() => 1_000);
  const { newCursor } = await log.after(0, never);
  const leaving = new AbortController();
  const waiting = log.after(newCursor, leaving.signal);
  leaving.abort();
  assert.deepEqual(await waiting, { entries: [], newCursor });
});

test("a cursor of before a restart, or of before the clock was set back, goes on", async () => {
  const log = openRunLog(() => 2_000);
  log.add(note());
  assert.equal((await log.after(1_500_000, never)).entries.length, 1);
  const waiting = log.after(9_000_000_000, never);
  log.add(note({ path: "later:later" }));
  assert.deepEqual(
    (await waiting).entries.map((one) => one.identifier),
    ["later:later"],
  );
});

test("the log is bounded by count and by size, and one run cannot fill it", async () => {
  const log = openRunLog(() => 1_000);
  for (let i = 0; i < 6000; i++) log.add(note({ path: `many:${i}` }));
  let [seen, cursor] = [0, 1];
  for (;;) {
    const { entries, newCursor } = await log.after(cursor, never);
    seen += entries.length;
    cursor = newCursor;
    if (entries.at(-1)?.identifier === "many:5999") break;
  }
  assert.equal(seen, 4096);
  for (let i = 0; i < 200; i++)
    log.add(note({ path: `long:${i}`, logLines: Array.from({ length: 256 }, () => "x".repeat(32_000)) }));
  const { entries } = await log.after(0, never);
  const chars = entries.reduce((sum, one) => sum + one.logLines.join("").length, 0);
  assert.ok(entries.every((one) => one.logLines.length < 5) && chars <= 4 * 1024 * 1024, `${chars} characters`);
  assert.match(entries.at(-1)?.logLines.at(-1) ?? "", /left out/);
});

test("what the caller sent is not in the log, though the error for the caller quotes it", async () => {
  const log = openRunLog(() => 1_000);
  const error =
    'ArgumentValidationError: Value does not match validator.\nPath: .text\nValue: "my secret"\nValidator: v.number()';
  log.add(note({ error }));
  log.add(
    note({
      error: 'Uncaught ArgumentValidationError: Object is missing it.\nObject: {pin: "my secret"}\nValidator: v.object({})',
    }),
  );
  const { entries } = await log.after(0, never);
  assert.doesNotMatch(JSON.stringify(entries), /my secret/);
  assert.match(entries[0]?.error ?? "", /does not match validator\.\nPath: \.text\nValidator/);
});
