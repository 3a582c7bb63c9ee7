import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionReturnType } from "convex/server";
import type { internal } from "../../../convex/_generated/api.js";
import { documentBytesMax, passagesPerDocumentMax } from "../../../convex/model/document.ts";
import type { Ports } from "../../../functions/define.ts";
import { forgetDocument } from "../../../functions/documents/forget.ts";
import { ingestDocument } from "../../../functions/documents/ingest.ts";
import type { FileBytes } from "../../../functions/ports/files.ts";
import type { State } from "../../../functions/ports/state.ts";
import { fakeEmbedder } from "../../fakes/embedder.ts";
import { fakeFiles } from "../../fakes/files.ts";
import { fakeReader } from "../../fakes/reader.ts";
import { fakeVectors } from "../../fakes/vectors.ts";

type File = FunctionReturnType<typeof internal.documents.fileForIngest>;
const file: NonNullable<File> = {
  name: "a.txt",
  storageId: "s" as never,
  url: "http://f",
  sizeBytes: 10,
  state: "reading",
  tenantId: "owner",
  depth: 0,
  hasPictures: false,
};
const documentId = "d" as never;

/** The one query an ingest makes. */
const stateWith = (answer: File): State => ({ query: async () => answer }) as unknown as State;

function portsWith(changes: Partial<Ports> & { file?: File; content?: string | Uint8Array | null }): Ports {
  const { content = "one\ntwo\nthree", file: answer = { ...file, sizeBytes: content?.length ?? 10 }, ...ports } = changes;
  return {
    state: stateWith(answer),
    files: fakeFiles(content),
    reader: fakeReader(),
    embedder: fakeEmbedder(),
    vectors: fakeVectors(),
    clock: { now: () => 0 },
    answers: { ask: async () => undefined, call: async () => "" },
    ...ports,
  };
}

function call(signal = new AbortController().signal) {
  const progress: [number, number][] = [];
  return {
    jobId: "j",
    args: { documentId },
    attempt: 1,
    signal,
    progress: (done: number, total: number) => progress.push([done, total]),
    seen: progress,
  };
}

test("a file becomes passages in order, and the outcome says what it is", async () => {
  const ports = portsWith({});
  const asked = call();
  const outcome = await ingestDocument.run(asked, ports);
  assert(outcome.type === "done" && outcome.result?.type === "read");
  const { reading, profile } = outcome.result;
  assert.deepEqual(reading, { format: "text", title: "one", language: "en", passages: 3 });
  assert.deepEqual(
    profile?.terms.map(({ word }) => word),
    ["three"],
    "short words say nothing of what it is about",
  );
  assert.equal(await ports.vectors.count({ tenantId: "owner", documentId: "d" }), 3);
  assert.deepEqual(asked.seen, [
    [0, 3],
    [3, 3],
  ]);
});

test("reading again replaces what an earlier try left", async () => {
  const vectors = fakeVectors();
  await ingestDocument.run(call(), portsWith({ vectors, content: "a\nb\nc\nd" }));
  await ingestDocument.run(call(), portsWith({ vectors, content: "a\nb" }));
  assert.equal(await vectors.count({ tenantId: "owner", documentId: "d" }), 2);
});

test("a document that turns out unreadable leaves no passages of an earlier try", async () => {
  const vectors = fakeVectors();
  await ingestDocument.run(call(), portsWith({ vectors }));
  const outcome = await ingestDocument.run(call(), portsWith({ vectors, content: new Uint8Array([0xff, 0xfe, 0xff]) }));
  assert.deepEqual(outcome, { type: "done", result: { type: "unreadable", problem: "damaged" } });
  assert.equal(await vectors.count({ tenantId: "owner", documentId: "d" }), 0);
});

const notRead: Ports["files"] = {
  ...fakeFiles(null),
  read: async () => {
    throw new Error("the file was read");
  },
};
for (const [what, changes, problem] of [
  ["an empty file is empty, without being fetched", { file: { ...file, sizeBytes: 0 }, files: notRead }, "empty"],
  [
    "a file too large is refused before a byte is read",
    { file: { ...file, sizeBytes: documentBytesMax + 1 }, files: notRead },
    "tooLarge",
  ],
  ["a file larger than it said is too large", { file, content: new Uint8Array(11) }, "tooLarge"],
  ["a file without passages has no text", { reader: readerOf(0) }, "noText"],
  ["a file with too many passages says so", { reader: readerOf(passagesPerDocumentMax + 1) }, "tooManyPassages"],
] as const) {
  test(what, async () => {
    const outcome = await ingestDocument.run(call(), portsWith(changes));
    assert.deepEqual(outcome, { type: "done", result: { type: "unreadable", problem } });
  });
}

test("a picture without a word in it is kept as a document with a picture", async () => {
  const picture = { type: "image", bytes: new Uint8Array([1]), mediaType: "image/webp", width: 1, height: 1 } as const;
  const reader: Ports["reader"] = {
    ...fakeReader(),
    read: async () => ({ type: "read", format: "image", title: "t", language: "und", passages: [], pictures: [picture] }),
  };
  const asked: unknown[] = [];
  const state = {
    query: async () => (asked.push(0) === 1 ? file : []),
    mutation: async () => "http://upload",
  } as unknown as State;
  const outcome = await ingestDocument.run(call(), portsWith({ reader, state }));
  assert.deepEqual(outcome, {
    type: "done",
    result: { type: "read", reading: { format: "image", title: "t", language: "und", passages: 0, pictures: 1 } },
  });
});

function readerOf(count: number): Ports["reader"] {
  const passages = Array.from({ length: count }, () => ({ text: "x", place: {} }));
  return { ...fakeReader(), read: async () => ({ type: "read", format: "text", title: "t", language: "en", passages }) };
}

test("a file that is gone from the storage is a failure with a code", async () => {
  await assert.rejects(ingestDocument.run(call(), portsWith({ file: null, content: null })), { code: "missing" });
  await assert.rejects(ingestDocument.run(call(), portsWith({ content: null })), { code: "missing" });
});

test("a document that is being forgotten is not read", async () => {
  const outcome = await ingestDocument.run(call(), portsWith({ file: { ...file, state: "forgetting" }, files: notRead }));
  assert.deepEqual(outcome, { type: "done" });
});

test("nothing is written once the signal has fired", async () => {
  for (const stopAt of ["files", "reader", "embedder"] as const) {
    const controller = new AbortController();
    const vectors = fakeVectors();
    const ports = portsWith({ vectors });
    const stopping = stopAfter(ports, stopAt, controller);
    await assert.rejects(ingestDocument.run(call(controller.signal), stopping));
    assert.equal(await vectors.count({ tenantId: "owner" }), 0, `stopped at ${stopAt}`);
  }
});

/** The signal fires while the port is at work, and the port does not notice. */
function stopAfter(ports: Ports, name: "files" | "reader" | "embedder", controller: AbortController): Ports {
  if (name === "files")
    return { ...ports, files: { ...ports.files, open: (...of) => stoppedIn(ports.files.open(...of), controller) } };
  const method = { reader: "read", embedder: "passages" }[name];
  const port = ports[name] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const stopped = async (...args: unknown[]): Promise<unknown> => {
    const result = await port[method]!(...args);
    controller.abort();
    return result;
  };
  return { ...ports, [name]: { ...port, [method]: stopped } };
}

const stoppedIn = ({ sizeBytes, pieces }: FileBytes, controller: AbortController): FileBytes => ({
  sizeBytes,
  pieces: () => {
    controller.abort();
    return pieces(new AbortController().signal);
  },
});

test("forgetting takes the passages away, and again is no error", async () => {
  const ports = portsWith({});
  await ingestDocument.run(call(), ports);
  assert.deepEqual(await forgetDocument.run(call(), ports), { type: "done" });
  assert.equal(await ports.vectors.count({ tenantId: "owner", documentId: "d" }), 0);
  assert.deepEqual(await forgetDocument.run(call(), ports), { type: "done" });
});
