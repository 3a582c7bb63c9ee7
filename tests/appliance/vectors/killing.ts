/** The vector store under `kill -9`: writes, kills, and in the end everything counted. Used by the test and by the longer drill. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { batchSize } from "./crashData.ts";
import { openStore } from "./openStore.ts";
import { random } from "./random.ts";

export type Report = {
  readonly started?: true;
  readonly acknowledged?: number;
  readonly deleted?: number;
  readonly marked?: number;
  readonly log?: string;
};
export type Survived = { readonly kills: number; readonly batches: number; readonly points: number };

/**
 * Fails when an acknowledged batch, deletion or mark is not there, when a batch is there in part, when an index holds something else than
 * the truth, or when the store cannot be opened. `onKill` is told how many kills are done.
 */
export async function killWhileWriting(
  kills: number,
  seed: number,
  onKill: (done: number) => void = () => undefined,
): Promise<Survived> {
  const dir = mkdtempSync(join(tmpdir(), "nika-vectors-"));
  try {
    const from = random(seed);
    const present = new Set<number>();
    const marked = new Set<number>();
    const uncertain = new Set<number>();
    let next = 0;
    for (let kill = 0; kill < kills; kill++) {
      const reports = await writeAndDie({ dir, firstBatch: next, acknowledgements: 1 + from.below(6), extraMs: from.next() * 8 });
      for (const { acknowledged, deleted, marked: mark } of reports) {
        if (acknowledged !== undefined) present.add(acknowledged);
        if (mark !== undefined) marked.add(mark);
        if (deleted !== undefined) present.delete(deleted);
      }
      const last = Math.max(...reports.map(({ acknowledged = -1 }) => acknowledged));
      // The batch that was under way, and what was to happen to the one before it.
      uncertain.add(last + 1);
      if (last % 5 === 4 && !reports.some(({ deleted }) => deleted === last)) uncertain.add(last);
      next = last + 2;
      onKill(kill + 1);
    }
    const points = await checkAll({ dir, next, present, marked, uncertain });
    assert.ok(present.size > kills, "too few batches were written to tell anything");
    return { kills, batches: present.size, points };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

type Life = { readonly dir: string; readonly firstBatch: number; readonly acknowledgements: number; readonly extraMs: number };

/** Writes from `firstBatch` on and is killed after a few acknowledgements and some more milliseconds, wherever that hits it. */
async function writeAndDie({ dir, firstBatch, acknowledgements, extraMs }: Life): Promise<Report[]> {
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

type Known = {
  readonly dir: string;
  readonly next: number;
  readonly present: ReadonlySet<number>;
  readonly marked: ReadonlySet<number>;
  readonly uncertain: ReadonlySet<number>;
};

async function checkAll({ dir, next, present, marked, uncertain }: Known): Promise<number> {
  // openStore removes the folder in the end, which is in order here.
  await using store = await openStore(dir);
  let total = 0;
  for (let batch = 0; batch < next; batch++) {
    const must = [{ key: "batch", match: { value: batch } }];
    const { count } = await store.client.count("c", { filter: { must } });
    // The derived indexes hold exactly what the truth holds.
    const limit = 2 * batchSize;
    const byWord = await store.client.query("c", { query: { indices: [batch], values: [1] }, using: "s", limit });
    const query = Array.from({ length: 64 }, () => 1);
    const byVector = await store.client.query("c", { query, using: "v", filter: { must }, limit });
    assert.equal(byWord.points.length, count);
    assert.equal(byVector.points.length, count);
    assert.ok(count === 0 || count === batchSize, `batch ${batch} has ${count} of ${batchSize} points`);
    if (!uncertain.has(batch)) assert.equal(count, present.has(batch) ? batchSize : 0, `batch ${batch}`);
    const mark = [...must, { key: "mark", match: { value: true } }];
    const { count: marks } = await store.client.count("c", { filter: { must: mark } });
    assert.ok(marks === 0 || marks === count, `batch ${batch} has ${marks} marks on ${count} points`);
    if (marked.has(batch)) assert.equal(marks, count, `the mark of batch ${batch}`);
    total += count;
  }
  assert.equal((await store.client.count("c")).count, total);
  return total;
}
