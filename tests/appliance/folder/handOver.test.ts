import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { digest, handOver, type Added, type Refused, type Tally, type Vault } from "../../../appliance/folder/handOver.ts";
import { walk, type FoundFile, type FoundProblem } from "../../../appliance/folder/walk.ts";
import { asOrdinaryUser, scratchDir } from "../cli/scratch.ts";

/** A vault in memory that keeps the promises of the real one: the same bytes are one document. */
function vaultFake(): Vault & { documents: Map<string, string>; refused: Refused[]; calls: { adds: number[]; uploads: number } } {
  const blobs = new Map<string, string>();
  const documents = new Map<string, string>(); // sha256 -> name
  const refused: Refused[] = [];
  const calls = { adds: [] as number[], uploads: 0 };
  return {
    documents,
    refused,
    calls,
    note: async (files) => files.map(({ sha256 }) => documents.has(sha256)),
    async upload(path) {
      const storageId = `blob${calls.uploads++}`;
      blobs.set(storageId, sha256Of(readFileSync(path)));
      return storageId;
    },
    async add(files) {
      assert.ok(files.length >= 1 && files.length <= 64);
      calls.adds.push(files.length);
      return files.map(({ file: { name }, storageId }): Added => {
        const sha256 = blobs.get(storageId) ?? assert.fail("an unknown blob was added");
        const isNew = !documents.has(sha256);
        if (isNew) documents.set(sha256, name);
        return { id: sha256, name, state: isNew ? "waiting" : "ready", isNew };
      });
    },
    async refuse(files) {
      refused.push(...files);
      return [];
    },
  };
}

function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function folder(files: Readonly<Record<string, string>>): string {
  const root = join(scratchDir(), "in");
  mkdirSync(root);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
  return root;
}

async function entriesOf(root: string): Promise<(FoundFile | FoundProblem)[]> {
  const entries: (FoundFile | FoundProblem)[] = [];
  for await (const entry of walk(root)) if (entry.type !== "skipped") entries.push(entry);
  return entries;
}

function emptyTally(): Tally {
  return { added: [], known: [], refused: [] };
}

const never = new AbortController().signal;

test("each file is handed over once, however often its bytes occur", async () => {
  const vault = vaultFake();
  const tally = emptyTally();
  const entries = await entriesOf(folder({ "a.md": "same", "b.md": "same", "c.md": "other" }));
  await handOver(entries, { vault, tally, signal: never, onProgress() {} });

  assert.deepEqual(
    tally.added.map(({ name }) => name),
    ["in/a.md", "in/c.md"],
  );
  assert.deepEqual(tally.known, ["in/b.md"]);
  assert.equal(vault.calls.uploads, 2);
});

test("a second run uploads nothing", async () => {
  const vault = vaultFake();
  const entries = await entriesOf(folder({ "a.md": "a", "b.md": "b" }));
  await handOver(entries, { vault, tally: emptyTally(), signal: never, onProgress() {} });
  const tally = emptyTally();
  await handOver(entries, { vault, tally, signal: never, onProgress() {} });

  assert.deepEqual(tally, { added: [], known: ["in/a.md", "in/b.md"], refused: [] });
  assert.equal(vault.calls.uploads, 2);
});

test("many files go in rounds the control plane accepts, and progress reaches the end", async () => {
  const vault = vaultFake();
  const files = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`${index}.md`, `text ${index}`]));
  const seen: number[] = [];
  await handOver(await entriesOf(folder(files)), {
    vault,
    tally: emptyTally(),
    signal: never,
    onProgress: (done) => seen.push(done),
  });

  assert.deepEqual(vault.calls.adds, [64, 64, 22]);
  assert.deepEqual(seen, [64, 128, 150]);
  assert.equal(vault.documents.size, 150);
});

test("what cannot be read is recorded with its reason while the rest goes on", async () => {
  const vault = vaultFake();
  const tally = emptyTally();
  const root = folder({ "a.md": "a", "empty.md": "", "gone.md": "soon gone" });
  const entries = await entriesOf(root);
  rmSync(join(root, "gone.md"));
  await handOver(entries, { vault, tally, signal: never, onProgress() {} });

  assert.deepEqual(
    tally.added.map(({ name }) => name),
    ["in/a.md"],
  );
  assert.deepEqual(
    vault.refused.map(({ name, problem }) => [name, problem]),
    [
      ["in/empty.md", "empty"],
      ["in/gone.md", "vanished"],
    ],
  );
});

test("a file that changes under the upload is a problem of that file, not of the run", async () => {
  const vault = vaultFake();
  const unreadable = new TypeError("fetch failed", { cause: new DOMException("could not be read", "NotReadableError") });
  const failing: Vault = {
    ...vault,
    upload: (path) => (path.toString().endsWith("a.md") ? Promise.reject(unreadable) : vault.upload(path)),
  };
  const tally = emptyTally();
  await handOver(await entriesOf(folder({ "a.md": "a", "b.md": "b" })), {
    vault: failing,
    tally,
    signal: never,
    onProgress() {},
  });

  assert.deepEqual(
    tally.added.map(({ name }) => name),
    ["in/b.md"],
  );
  assert.deepEqual(
    tally.refused.map(({ name, problem }) => [name, problem]),
    [["in/a.md", "vanished"]],
  );
});

test("an appliance that goes away ends the run, with what was acknowledged in the tally", async () => {
  const vault = vaultFake();
  const files = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`${String(index).padStart(3, "0")}.md`, `text ${index}`]),
  );
  let adds = 0;
  const leaving: Vault = {
    ...vault,
    add: (batch) => (adds++ === 0 ? vault.add(batch) : Promise.reject(new TypeError("fetch failed"))),
  };
  const tally = emptyTally();
  await assert.rejects(
    handOver(await entriesOf(folder(files)), { vault: leaving, tally, signal: never, onProgress() {} }),
    /fetch failed/,
  );
  assert.equal(tally.added.length, 64);
});

test("stopping begins nothing new, and acknowledges what was sent already", async () => {
  const vault = vaultFake();
  const stop = new AbortController();
  const files = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`${index}.md`, `text ${index}`]));
  const stopping: Vault = {
    ...vault,
    async upload(path) {
      const id = await vault.upload(path);
      if (vault.calls.uploads >= 10) stop.abort();
      return id;
    },
  };
  const tally = emptyTally();
  await handOver(await entriesOf(folder(files)), { vault: stopping, tally, signal: stop.signal, onProgress() {} });

  assert.equal(tally.added.length, vault.calls.uploads);
  assert.ok(tally.added.length >= 10 && tally.added.length < 64);
});

test("a digest is that of the bytes, whatever their number", async () => {
  const root = folder({ "small.md": "abc", "large.md": "x".repeat(1_000_000) });
  assert.deepEqual(await digest(join(root, "small.md")), { sha256: sha256Of(Buffer.from("abc")) });
  assert.deepEqual(await digest(join(root, "large.md")), { sha256: sha256Of(Buffer.from("x".repeat(1_000_000))) });
});

test("a file that may not be read says so", async () => {
  const root = folder({ "a.md": "a" });
  chmodSync(join(root, "a.md"), 0);
  const result = await asOrdinaryUser(() => digest(join(root, "a.md")));
  assert.deepEqual(result, { problem: "noPermission" });
});
