/** A watched folder, real files and the real rules of the control plane; only the storage's socket is a stand-in. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openWatch } from "../../../appliance/watch/watch.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import type { State } from "../../../functions/ports/state.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const dir = mkdtempSync(join(tmpdir(), "nika-watch-"));
let state: FakeState;
let served: State;
/** Takes uploads into the storage of the store in memory. */
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    void state
      .run((ctx) => ctx.storage.store(new Blob([Buffer.concat(chunks)])))
      .then((storageId) => response.end(JSON.stringify({ storageId })));
  });
});
let convexUrl = "";

before(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  convexUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Written long enough ago to be finished. */
function put(path: string, text: string, agoMs = 60_000): void {
  writeFileSync(path, text);
  const at = new Date(Date.now() - agoMs);
  utimesSync(path, at, at);
}

function open(): { close(): Promise<void> } {
  return openWatch({ state: served, convexUrl, dataDir: join(dir, "data"), log: () => {} });
}

/** Resolves with the report of a look that is later than `since`. */
async function lookedAt(since: number): Promise<{ at: number; files: number; problem?: string }> {
  const { promise, resolve } = Promise.withResolvers<{ at: number; files: number; problem?: string }>();
  const unwatch = state.owner.watch(
    api.watches.list,
    {},
    ([watch]) => watch?.report && watch.report.at > since && resolve(watch.report),
    () => {},
  );
  const alive = setInterval(() => {}, 1_000);
  const report = await promise;
  clearInterval(alive);
  unwatch();
  return report;
}

const names = async (): Promise<string[]> =>
  (await state.owner.query(api.documents.list, {})).map(({ name }) => name.replace(/^[^/]*\//u, "")).toSorted();

function begin(folder: string): string {
  state = openFakeState();
  served = {
    ...state,
    mutation: async (f, args) => {
      const result = await state.mutation(f, args);
      return typeof result === "string" && result.startsWith("http") ? (`${convexUrl}/upload` as typeof result) : result;
    },
  };
  const path = join(dir, folder);
  mkdirSync(join(path, "sub"), { recursive: true });
  return path;
}

test("what lies in a watched folder comes in once; hidden, temporary and foreign files do not", async () => {
  const path = begin("one");
  put(join(path, "a.txt"), "a");
  put(join(path, "sub/b.txt"), "b");
  put(join(path, ".hidden"), "h");
  put(join(path, "~$draft.docx"), "t");
  put(join(path, "load.crdownload"), "t");
  put(join(dir, "outside.txt"), "o");
  symlinkSync(join(dir, "outside.txt"), join(path, "link.txt"));
  await state.owner.mutation(api.watches.add, { path });
  const watch = open();
  const first = await lookedAt(0);
  assert.equal(first.files, 2);
  assert.deepEqual(await names(), ["a.txt", "sub/b.txt"]);
  await watch.close();

  // Started again, as after a crash: only what changed is read, and what is new.
  put(join(path, "sub/b.txt"), "b, changed", 50_000);
  put(join(path, "c.txt"), "c");
  const again = open();
  await lookedAt(first.at);
  await again.close();
  assert.deepEqual(await names(), ["a.txt", "c.txt", "sub/b.txt", "sub/b.txt"]);
  const [, latest] = (await state.owner.query(api.documents.find, { name: "b.txt" })).toSorted((x, y) => x.addedAt - y.addedAt);
  assert.equal(latest?.version, 2);
  const batches = await state.owner.query(api.batches.list, {});
  assert.deepEqual(
    batches.map(({ origin, sums }) => [origin, sums.waiting]),
    [
      ["watch", 2],
      ["watch", 2],
    ],
  );
});

test("a file that appears while Nika runs is taken in, and one that is only touched is not read again", async () => {
  const path = begin("two");
  put(join(path, "a.txt"), "a");
  await state.owner.mutation(api.watches.add, { path });
  const watch = open();
  const first = await lookedAt(0);
  put(join(path, "a.txt"), "a", 40_000);
  put(join(path, "new.txt"), "new");
  await lookedAt(first.at);
  await watch.close();
  assert.deepEqual(await names(), ["a.txt", "new.txt"]);
});

test("a folder that is suddenly empty or gone has nothing forgotten, even when it is mirrored", async () => {
  const path = begin("three");
  put(join(path, "a.txt"), "a");
  put(join(path, "b.txt"), "b");
  await state.owner.mutation(api.watches.add, { path, mode: "mirror" });
  const watch = open();
  const first = await lookedAt(0);
  rmSync(join(path, "a.txt"));
  const second = await lookedAt(first.at);
  assert.deepEqual(await forgotten(), ["a.txt"]);
  await watch.close();
  rmSync(path, { recursive: true });
  mkdirSync(path);
  const again = open();
  const third = await lookedAt(second.at);
  await again.close();
  assert.match(third.problem ?? "", /empty/u);
  assert.deepEqual(await forgotten(), ["a.txt"]);
});

const forgotten = async (): Promise<string[]> =>
  (await state.owner.query(api.documents.list, { state: "forgetting" })).map(({ name }) => name.replace(/^[^/]*\//u, ""));

test("a paused folder is not looked at, and a removed one leaves its documents", async () => {
  const path = begin("four");
  put(join(path, "a.txt"), "a");
  const id = await state.owner.mutation(api.watches.add, { path });
  const watch = open();
  await lookedAt(0);
  await state.owner.mutation(api.watches.pause, { id, isPaused: true });
  assert.deepEqual(await state.query(internal.watches.active, {}), []);
  await state.owner.mutation(api.watches.remove, { id });
  await watch.close();
  assert.deepEqual(await names(), ["a.txt"]);
});
