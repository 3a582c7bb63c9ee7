import assert from "node:assert/strict";
import { test } from "node:test";
import { documentBytesMax, filesPerCallMax } from "../../../convex/model/document.ts";
import { bytesPerBatchMax, findProblem, isLitter, planBatches } from "../../../appliance/web/upload/plan.ts";
import { openUploads, type Upload, type UploadPort } from "../../../appliance/web/upload/upload.ts";

test("empty and oversized files are refused before they are read", () => {
  assert.equal(findProblem(0), "empty");
  assert.equal(findProblem(documentBytesMax), undefined);
  assert.equal(findProblem(documentBytesMax + 1), "tooLarge");
});

test("batches keep the order and stay within what one call may bring", () => {
  const files = Array.from({ length: 150 }, (_, index) => ({ index, sizeBytes: 10 }));
  const batches = planBatches(files);
  assert.deepEqual(
    batches.map((batch) => batch.length),
    [filesPerCallMax, filesPerCallMax, 150 - 2 * filesPerCallMax],
  );
  assert.deepEqual(batches.flat(), files);
});

test("a batch ends before it grows too large to be seen soon, and a large file has one to itself", () => {
  const sizes = [bytesPerBatchMax - 1, 2, bytesPerBatchMax * 3, 1];
  const batches = planBatches(sizes.map((sizeBytes) => ({ sizeBytes })));
  assert.deepEqual(
    batches.map((batch) => batch.map(({ sizeBytes }) => sizeBytes)),
    [[sizes[0]], [sizes[1]], [sizes[2]], [sizes[3]]],
  );
});

test("what systems leave in folders is left out", () => {
  for (const path of ["a/.DS_Store", "a/.git/config", "__MACOSX/a.txt", "a/Thumbs.db"]) assert.equal(isLitter(path), true, path);
  assert.equal(isLitter("a/notes.txt"), false);
});

const file = (name: string, text: string) => ({ name, file: new Blob([text]) });
const outcomes = (list: readonly Upload[]): string[] => list.map(({ name, state }) => `${name} ${state.type}`);

/** An appliance that holds what it was sent, and can be told to fail. */
function fakePort(
  overrides: Partial<UploadPort> = {},
): UploadPort & { held: Map<string, string>; refused: string[]; most: number } {
  const stored = new Map<string, string>();
  let sending = 0;
  let sent = 0;
  const port = {
    held: new Map<string, string>(),
    refused: [] as string[],
    most: 0,
    fingerprint: async (blob: Blob) => blob.text(),
    note: async (files: { sha256: string }[]) => files.map(({ sha256 }) => [...port.held.values()].includes(sha256)),
    begin: async () => "b",
    end: async () => undefined,
    uploadUrl: async () => "url",
    send: async (_url: string, blob: Blob, onSent: (sentBytes: number) => void) => {
      port.most = Math.max(port.most, ++sending);
      onSent(blob.size / 2);
      const id = `s${sent++}`;
      stored.set(id, await blob.text());
      sending--;
      return id;
    },
    add: async (files: { name: string; storageId: string }[]) =>
      files.map(({ name, storageId }) => {
        const text = stored.get(storageId) ?? "";
        const isNew = ![...port.held.values()].includes(text);
        if (isNew) port.held.set(name, text);
        return { isNew };
      }),
    refuse: async (files: { name: string; problem: string }[]) => {
      for (const { name, problem } of files) port.refused.push(`${name} ${problem}`);
    },
  };
  return Object.assign(port, overrides);
}

test("files are sent three at a time and added, and what is held already is told without sending it", async () => {
  const port = fakePort();
  port.held.set("old.txt", "the same");
  const uploads = openUploads(port);

  uploads.add([
    file("copy.txt", "the same"),
    ...Array.from({ length: 9 }, (_, index) => file(`new${index}.txt`, `text ${index}`)),
  ]);
  await uploads.settled();

  assert.equal(outcomes(uploads.list())[0], "copy.txt known");
  assert.equal(uploads.list().filter(({ state }) => state.type === "added").length, 9);
  assert.equal(port.held.size, 10);
  assert.equal(port.most, 3);
});

test("the same bytes twice in one drop are one document", async () => {
  const port = fakePort();
  const uploads = openUploads(port);

  uploads.add([file("a.txt", "same"), file("b.txt", "same")]);
  await uploads.settled();

  assert.deepEqual(
    uploads
      .list()
      .map(({ state }) => state.type)
      .toSorted(),
    ["added", "known"],
  );
});

test("an empty file leaves a row that says why, and the others go on", async () => {
  const port = fakePort();
  const uploads = openUploads(port);

  uploads.add([file("void.txt", ""), file("good.txt", "good")]);
  await uploads.settled();

  assert.deepEqual(outcomes(uploads.list()), ["void.txt refused", "good.txt added"]);
  assert.deepEqual(port.refused, ["void.txt empty"]);
});

test("a file that disappears before it is read is refused as vanished", async () => {
  const port = fakePort({
    fingerprint: async () => {
      throw new DOMException("gone", "NotFoundError");
    },
  });
  const uploads = openUploads(port);

  uploads.add([file("gone.txt", "text")]);
  await uploads.settled();

  assert.deepEqual(port.refused, ["gone.txt vanished"]);
});

test("what a broken connection interrupted is sent again when asked, once", async () => {
  const port = fakePort();
  const { send } = port;
  let isBroken = true;
  port.send = async (url, blob, onSent) => {
    if (isBroken && (await blob.text()) === "second") throw new TypeError("the connection broke");
    return send(url, blob, onSent);
  };
  const uploads = openUploads(port);
  uploads.add([file("a.txt", "first"), file("b.txt", "second")]);
  await uploads.settled();
  assert.deepEqual(outcomes(uploads.list()), ["a.txt added", "b.txt failed"]);

  isBroken = false;
  uploads.retry();
  await uploads.settled();

  assert.deepEqual(outcomes(uploads.list()), ["a.txt added", "b.txt added"]);
  assert.equal(port.held.size, 2);
});

test("without a secure origin there are no fingerprints, and files are sent all the same", async () => {
  const port = fakePort({ fingerprint: async () => undefined });
  const uploads = openUploads(port);

  uploads.add([file("a.txt", "text")]);
  await uploads.settled();

  assert.deepEqual(outcomes(uploads.list()), ["a.txt added"]);
});

test("clearing forgets what has ended, and a new drop starts a new list", async () => {
  const uploads = openUploads(fakePort());
  uploads.add([file("a.txt", "a")]);
  await uploads.settled();

  uploads.add([file("b.txt", "b")]);
  await uploads.settled();
  assert.deepEqual(outcomes(uploads.list()), ["b.txt added"]);
  uploads.clear();

  assert.deepEqual(uploads.list(), []);
});
