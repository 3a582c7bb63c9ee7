import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openDurable } from "../../../../appliance/engine/exec/durable.ts";

function opened(onFailure: (error: Error) => void = (error) => assert.fail(error)) {
  const dir = mkdtempSync(join(tmpdir(), "nika-durable-"));
  const log = join(dir, "log");
  writeFileSync(log, "");
  const published: number[] = [];
  const durable = openDurable<number>({ log, publish: (one) => published.push(one), onFailure });
  return { durable, published, [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}

test("groups are published in their order, and all of them before the file is closed", async () => {
  using own = opened();
  for (let one = 0; one < 20; one++) own.durable.add(one, false);
  assert.deepEqual(own.published, [], "not before the disk has them");
  await own.durable.close();
  assert.deepEqual(
    own.published,
    Array.from({ length: 20 }, (_, one) => one),
  );
});

test("a group that is durable already takes those before it along, and what comes later still waits", async () => {
  using own = opened();
  own.durable.add(0, false);
  own.durable.add(1, true);
  own.durable.add(2, false);
  assert.deepEqual(own.published, [0, 1]);
  await own.durable.close();
  assert.deepEqual(own.published, [0, 1, 2]);
});

test("what the disk did not take is not published, now or later", async () => {
  const published: number[] = [];
  const failed = Promise.withResolvers<Error>();
  // A file that cannot be synced.
  const durable = openDurable<number>({ log: "/dev/null", publish: (one) => published.push(one), onFailure: failed.resolve });
  durable.add(0, false);
  assert.match((await failed.promise).message, /EINVAL/);
  durable.add(1, true);
  await durable.close();
  assert.deepEqual(published, []);
});
