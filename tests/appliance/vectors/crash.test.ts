import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { batchSize } from "./crashData.ts";
import { openStore } from "./openStore.ts";
import { random } from "./random.ts";

type Report = { started?: true; acknowledged?: number; deleted?: number; log?: string };

const kills = 15;
const dir = mkdtempSync(join(tmpdir(), "nika-vectors-"));
after(() => rmSync(dir, { recursive: true, force: true }));

/** Writes from `firstBatch` on and is killed after a few acknowledgements and some more milliseconds, wherever that hits it. */
async function writeAndDie(firstBatch: number, acknowledgements: number, extraMs: number): Promise<Report[]> {
  const child = fork(new URL("./crashWriter.ts", import.meta.url), [dir, String(firstBatch)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const reports: Report[] = [];
  const ended = Promise.withResolvers<NodeJS.Signals | null>();
  child.on("exit", (_, signal) => ended.resolve(signal));
  child.on("message", (report: Report) => {
    reports.push(report);
    const count = reports.filter(({ acknowledged }) => acknowledged !== undefined).length;
    if (count === acknowledgements) setTimeout(() => child.kill("SIGKILL"), extraMs);
  });
  assert.equal(await ended.promise, "SIGKILL", "the writer ended by itself");
  return reports;
}

test(`${kills} kills while writing: what was acknowledged is there, no batch is half there, every start succeeds`, async () => {
  const from = random(8);
  const present = new Set<number>();
  const uncertain = new Set<number>();
  let next = 0;
  for (let kill = 0; kill < kills; kill++) {
    const reports = await writeAndDie(next, 1 + from.below(6), from.next() * 8);
    for (const { acknowledged, deleted } of reports) {
      if (acknowledged !== undefined) present.add(acknowledged);
      if (deleted !== undefined) present.delete(deleted);
    }
    const last = Math.max(...reports.map(({ acknowledged = -1 }) => acknowledged));
    // The batch that was under way, and a deletion that was.
    uncertain.add(last + 1);
    if (last % 5 === 4 && !reports.some(({ deleted }) => deleted === last)) uncertain.add(last);
    next = last + 2;
  }

  await using store = await openStore(dir);
  const sizes = new Map<number, number>();
  for (let batch = 0; batch < next; batch++) {
    const filter = { must: [{ key: "batch", match: { value: batch } }] };
    const { count } = await store.client.count("c", { filter });
    sizes.set(batch, count);
    // The derived indexes hold exactly what the truth holds.
    const query = { indices: [batch], values: [1] };
    const byWord = await store.client.query("c", { query, using: "s", limit: 2 * batchSize });
    const byVector = await store.client.query("c", {
      query: Array.from({ length: 64 }, () => 1),
      using: "v",
      filter,
      limit: 2 * batchSize,
    });
    assert.equal(byWord.points.length, count);
    assert.equal(byVector.points.length, count);
  }

  for (const [batch, size] of sizes) {
    assert.ok(size === 0 || size === batchSize, `batch ${batch} has ${size} of ${batchSize} points`);
    if (!uncertain.has(batch)) assert.equal(size, present.has(batch) ? batchSize : 0, `batch ${batch}`);
  }
  assert.ok(present.size > kills, "too few batches were written to tell anything");
  assert.equal(
    (await store.client.count("c")).count,
    [...sizes.values()].reduce((sum, size) => sum + size, 0),
  );
});
