import assert from "node:assert/strict";
import { test } from "node:test";
import { getFunctionName } from "convex/server";
import { NikaError } from "../../../convex/model/error.ts";
import type { Ports } from "../../../functions/define.ts";
import { decideBatch } from "../../../functions/batches/decide.ts";
import { clearDocument } from "../../../functions/documents/clear.ts";
import { forgetDocument } from "../../../functions/documents/forget.ts";
import { ingestDocument } from "../../../functions/documents/ingest.ts";
import { labelDocuments } from "../../../functions/documents/label.ts";
import { lookAtPictures } from "../../../functions/documents/look.ts";
import { speakerOf } from "../../../functions/documents/speakerOf.ts";
import type { Passage, ReadPicture } from "../../../functions/ports/reader.ts";
import type { State } from "../../../functions/ports/state.ts";
import { fakeEmbedder } from "../../fakes/embedder.ts";
import { fakeFiles } from "../../fakes/files.ts";
import { fakePictures, fakeVisual } from "../../fakes/pictures.ts";
import { fakeReader } from "../../fakes/reader.ts";
import { fakeVectors } from "../../fakes/vectors.ts";

const documentId = "d" as never;
const tenantId = "owner";
const key = { tenantId, documentId: "d" };
const never = new AbortController().signal;

const picture = (byte: number, changes: Partial<ReadPicture> = {}): ReadPicture => ({
  type: "figure",
  bytes: new Uint8Array([byte]),
  mediaType: "image/webp",
  width: 40,
  height: 30,
  ...changes,
});

type File = Record<string, unknown>;

/** The rows of a document's pictures, as the control plane keeps them. */
function controlPlane(file: File = {}, owed: unknown[] = []): { state: State; rows: Map<number, string> } {
  const rows = new Map<number, string>();
  const answers: Record<string, (args: never) => unknown> = {
    "documents:fileForIngest": () => ({
      name: "a.pdf",
      storageId: "s",
      url: "http://f",
      sizeBytes: 10,
      state: "reading",
      tenantId,
      depth: 0,
      hasPictures: rows.size > 0,
      ...file,
    }),
    "pictures:held": () => [...rows].map(([ordinal, sha256]) => ({ id: `row${ordinal}`, ordinal, sha256 })),
    "documents:filed": () => [
      {
        documentId: "d",
        tenantId,
        labels: { title: "t", language: "en", entityType: "manual", domain: "boats", scope: "private" },
      },
    ],
    "batches:decision": () => ({ isAccepted: true }),
    "batches:decideSome": () => null,
    "sources:uploadUrl": () => "http://upload",
    "pictures:put": ({ facts, storageId }: { facts: { ordinal: number }; storageId: string }) =>
      rows.set(facts.ordinal, storageId),
    "pictures:owe": (args: unknown) => owed.push(args),
    "pictures:forServing": () => ({ url: "http://f", mediaType: "image/webp", sizeBytes: 1, words: "" }),
    "pictures:trim": ({ count }: { count: number }) => [...rows.keys()].filter((at) => at >= count).map((at) => rows.delete(at)),
  };
  const answer = async (f: never, args: never): Promise<unknown> => answers[getFunctionName(f)]!(args);
  return { state: { query: answer, mutation: answer } as unknown as State, rows };
}

function portsWith(
  found: readonly ReadPicture[],
  changes: Partial<Omit<Ports, "pictures" | "visual">> & {
    readonly pictures?: ReturnType<typeof fakePictures>;
    readonly file?: File;
    /** Gets what is to be looked at later. */
    readonly owed?: unknown[];
    readonly passages?: Passage[];
  } = {},
) {
  const { file, owed, passages = [{ text: "About pumps", place: { page: 1, headings: ["Pumps"] } }], ...others } = changes;
  const { state } = controlPlane(file, owed);
  return {
    state,
    // What is stored is known by its only byte.
    files: fakeFiles("the file", (bytes) => String(bytes[0])),
    reader: {
      ...fakeReader(),
      read: async () => ({ type: "read", format: "pdf", title: "Report", language: "en", passages, pictures: found }) as const,
    },
    embedder: fakeEmbedder(),
    vectors: fakeVectors(),
    visual: fakeVisual(),
    pictures: fakePictures(),
    clock: { now: () => 0 },
    answers: { ask: async () => undefined },
    ...others,
  };
}

const call = (args: object = { documentId }) => ({
  jobId: "j",
  args: args as never,
  attempt: 1,
  signal: never,
  progress: () => undefined,
});

test("the pictures of a document are embedded with their words and stored with what is known of it", async () => {
  const figure = picture(7, { page: 1, caption: "Figure 1: flow", text: "12 bar" });
  const ports = portsWith([figure, picture(8, { page: 1 })], { file: { labels: { entityType: "manual" }, sha256: "ab" } });

  await ingestDocument.run(call(), ports);

  const [one, two] = ports.pictures.all();
  assert.deepEqual(
    [
      one?.pictureId,
      one?.documentName,
      one?.title,
      one?.entityType,
      one?.caption,
      one?.text,
      one?.page,
      one?.headings,
      one?.passage,
    ],
    ["row0", "a.pdf", "Report", "manual", "Figure 1: flow", "12 bar", 1, ["Pumps"], 0],
  );
  assert.equal(one?.made?.visual?.[7], 1);
  assert.ok(one?.made?.caption && two?.made?.visual);
});

test("cut off anywhere and run again, each picture is there once, and only what changed is embedded again", async () => {
  const found = [picture(1), picture(2), picture(3)];
  const ports = portsWith(found);
  // Died after the pictures were written and before anybody was told.
  await ingestDocument.run(call(), ports);
  await ingestDocument.run(call(), ports);
  assert.equal(await ports.pictures.count(key), 3);
  assert.equal(ports.visual.looks.count, 3);

  const changed = { ...ports, reader: portsWith([found[0]!, picture(2, { caption: "now it has one" })]).reader };
  await ingestDocument.run(call(), changed);
  assert.equal(await ports.pictures.count(key), 2);
  assert.equal(ports.visual.looks.count, 4);
  // The one that stayed has its vectors still.
  assert.equal(ports.pictures.all()[0]?.made?.visual?.[1], 1);

  await ingestDocument.run(call(), { ...ports, reader: portsWith([]).reader });
  assert.equal(await ports.pictures.count(key), 0);
});

test("pictures wait with their document, are let go with it, carry its labels, and go with it", async () => {
  const ports = portsWith([picture(1)], { file: { hold: { batchId: "b", folder: "" } } });
  await ingestDocument.run(call(), ports);
  const search = () =>
    ports.pictures.search(
      { tenantId, branches: [{ name: "l", weight: 1, visual: ports.pictures.all()[0]!.made!.visual! }], limit: 5 },
      never,
    );
  assert.deepEqual(await search(), []);

  await decideBatch.run(call({ batchId: "b" }), ports);
  assert.equal((await search()).length, 1);
  await labelDocuments.run(call({ documentIds: ["d"] }), ports);
  assert.deepEqual([(await search())[0]?.entityType, (await search())[0]?.domain], ["manual", "boats"]);

  for (const end of [forgetDocument, clearDocument]) {
    await ingestDocument.run(call(), ports);
    await end.run(call(), ports);
    assert.equal(await ports.pictures.count(key), 0);
  }
});

test("an embedder that does not answer holds nobody up: pictures are found by their words, and embedded when it does", async () => {
  const visual = fakeVisual();
  const down = { ...visual, images: async () => Promise.reject(new NikaError("unavailable", "down")) };
  // What is stored is the picture's bytes; see `portsWith`.
  const ports = { ...portsWith([picture(1, { caption: "a pump" })]), files: fakeFiles(new Uint8Array([1]), () => "1") };

  const outcome = await ingestDocument.run(call(), { ...ports, visual: down });
  assert.equal(outcome.type, "done");
  assert.deepEqual(
    [ports.pictures.all()[0]?.made?.visual, ports.pictures.all()[0]?.made?.caption !== undefined],
    [undefined, true],
  );

  const waits = await lookAtPictures.run(call(), { ...ports, visual: down });
  assert.equal(waits.type, "snoozed");
  assert.deepEqual(await lookAtPictures.run(call(), { ...ports, visual }), { type: "done" });
  const [seen] = ports.pictures.all();
  assert.deepEqual([seen?.made?.visual?.[1], seen?.made?.caption !== undefined, seen?.caption], [1, true, "a pump"]);

  const { count } = visual.looks;
  await lookAtPictures.run(call(), { ...ports, visual });
  await ingestDocument.run(call(), { ...ports, visual });
  assert.equal(visual.looks.count, count, "and not again, by nobody");
});

test("a document whose pictures nobody could look at is owed a look, once", async () => {
  const owed: unknown[] = [];
  const down = { ...fakeVisual(), images: async () => Promise.reject(new NikaError("unavailable", "down")) };
  const ports = portsWith([picture(1)], { owed });

  await ingestDocument.run(call(), { ...ports, visual: down });
  await ingestDocument.run(call(), ports);

  assert.deepEqual(owed, [{ documentId }]);
});

test("vectors of an embedder that is not in force are not made", async () => {
  const ports = portsWith([picture(1)], { pictures: fakePictures({ visualId: "another", captionId: "another" }) });
  await ingestDocument.run(call(), ports);
  assert.equal(ports.visual.looks.count, 0);
  const [one] = await ports.pictures.search(
    { tenantId, branches: [{ name: "w", weight: 1, terms: { indices: [], values: [] } }], limit: 1 },
    never,
  );
  assert.equal(one, undefined);
  assert.equal(await ports.pictures.count(key), 1);
});

test("a document's contradictions are among what is known of it", async () => {
  const contradictions = [{ label: "sales", stated: "12 %", read: "21 %", page: 2 }];
  const ports = portsWith([]);
  const read = await ports.reader.read(new Uint8Array(), { name: "a.pdf", signal: never });
  const outcome = await ingestDocument.run(call(), {
    ...ports,
    reader: { ...ports.reader, read: async () => ({ ...read, contradictions }) },
  });
  assert.ok(outcome.type === "done" && outcome.result?.type === "read");
  assert.deepEqual(outcome.result.reading.contradictions, contradictions);
});

test("the passage that speaks for a picture is that of its figure, else of its caption, else the one above it on its page", () => {
  const box = (top: number) => ({ left: 0, top, width: 1, height: 0.1 });
  const passages: Passage[] = [
    { text: "Start", place: { page: 1, box: box(0), headings: ["One"] } },
    { text: "As Figure 3: pump curve shows", place: { page: 2, box: box(0.1) } },
    { text: "Figure 1: sales\n12 14", place: { page: 2, box: box(0.5), headings: ["Two"] }, kind: "figure" },
    { text: "After it", place: { page: 2, box: box(0.8), headings: ["Two"] } },
  ];
  const spoken = (changes: Partial<ReadPicture>): number | undefined => speakerOf(picture(0, changes), passages).passage;
  assert.deepEqual(speakerOf(picture(0, { page: 2, caption: "Figure 1: sales" }), passages), { passage: 2, headings: ["Two"] });
  assert.equal(spoken({ caption: "Figure 3: pump curve" }), 1);
  assert.equal(spoken({ page: 2, box: box(0.6) }), 2);
  assert.equal(spoken({ page: 2, box: box(0.05) }), 1);
  assert.equal(spoken({ page: 9 }), undefined);
  assert.equal(spoken({ type: "image" }), 0);
});
