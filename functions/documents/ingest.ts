import type { FunctionReturnType } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { documentBytesMax, passagesPerDocumentMax, picturesPerDocumentMax, type Problem } from "../../convex/model/document.ts";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import type { Outcome } from "../../convex/model/job.ts";
import type { Profile } from "../../convex/model/theme.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { profileOf, toBytes } from "../../ml/organize/themes.ts";
import { bandsOf } from "../../ml/retrieve/sketch.ts";
import { indexed } from "../../ml/retrieve/terms.ts";
import { defineFunction, type Call, type Ports } from "../define.ts";
import type { FileBytes } from "../ports/files.ts";
import type { Passage, Reading } from "../ports/reader.ts";
import type { PassageFacts, PassagePoint, Tenant } from "../ports/vectors.ts";
import { embedPictures, type PicturesOf } from "./embedPictures.ts";
import { keepPictures } from "./keepPictures.ts";
import { unpack } from "./unpack.ts";

/** Larger batches raise memory and the time until a cancel is heard, and save nothing. */
const passagesPerBatchMax = 32;

type IngestPorts = Pick<Ports, "state" | "files" | "reader" | "embedder" | "embedders" | "vectors" | "visual" | "pictures">;
type ReadDocument = Extract<Reading, { type: "read" }>;
type StoredFile = NonNullable<FunctionReturnType<typeof internal.documents.fileForIngest>>;
/** What was read, as whose and under which name it is kept. */
type Kept = ReadDocument &
  Pick<StoredFile, "tenantId" | "name" | "labels" | "domain" | "hold" | "sha256"> & {
    readonly documentId: Id<"documents">;
  };

/** Turns a file into passages that can be found. Running it again replaces what an earlier try left behind. */
export const ingestDocument = defineFunction({
  kind: "documents.ingest",
  needs: ["state", "files", "reader", "embedder", "embedders", "vectors", "visual", "pictures"],
  run: async (call, ports): Promise<Outcome> => {
    const { documentId } = call.args;
    const file = await ports.state.query(internal.documents.fileForIngest, { documentId });
    call.signal.throwIfAborted();
    if (!file) throw new NikaError("missing", "The file is no longer in the storage; add it again.");
    // Nobody wants it any more; what is to happen instead follows from its state when this settles.
    if (file.state === "forgetting") return { type: "done" };
    const document = { tenantId: file.tenantId, documentId };
    const bytes = ports.files.open(file.url, { sizeBytes: file.sizeBytes });
    const reading = await read({ ...file, bytes }, call.signal, ports);
    call.signal.throwIfAborted();
    if (reading.type === "holder") {
      // An earlier reader may have taken it for something else.
      await ports.vectors.remove(document);
      return unpack({ file, bytes, reading }, call, ports);
    }
    if (reading.type === "unreadable") {
      // An earlier try may have got further than this one.
      await ports.vectors.remove(document);
      if (file.hasPictures) await dropPictures(document, call, ports);
      return { type: "done", result: reading };
    }
    const pictures = reading.pictures ?? [];
    if (pictures.length > 0) await keepPictures(documentId, pictures, call, ports);
    else if (file.hasPictures) await dropPictures(document, call, ports);
    const seen: Seen = { texts: [], vectors: [] };
    await ports.vectors.replace(document, toPoints({ ...file, ...reading, documentId, seen }, call, ports), call.signal);
    if (pictures.length > 0 && (await embedPictures(picturesOf({ ...file, ...reading, documentId }), call, ports)))
      await ports.state.mutation(internal.pictures.owe, { documentId });
    const { sketch } = reading;
    const wording = sketch && { sketch: [...sketch], bands: bandsOf(sketch) };
    const profile = seen.texts.length === 0 ? undefined : toProfile(reading.language, seen);
    return {
      type: "done",
      result: { type: "read", reading: summaryOf(reading), ...(wording && { wording }), ...(profile && { profile }) },
    };
  },
});

/** What a document's first passages say, to tell what it is about. */
type Seen = { readonly texts: string[]; readonly vectors: Float32Array[] };
/** A book's first chapters tell its theme as well as all of it would. */
const seenMax = 200;

function toProfile(language: string, seen: Seen): Profile {
  const { vector, terms } = profileOf({ id: "", language, ...seen });
  return { language, vector: toBytes(vector).buffer, terms: [...terms] };
}

async function read(file: StoredFile & { bytes: FileBytes }, signal: AbortSignal, { reader }: IngestPorts): Promise<Reading> {
  if (file.sizeBytes === 0) return unreadable("empty");
  if (file.sizeBytes > documentBytesMax) return unreadable("tooLarge");
  const reading = await reader.read(file.bytes, { name: file.name, signal }).catch((error: unknown) => {
    if (isNikaError(error) && error.code === "full") return unreadable("tooLarge");
    throw error;
  });
  if (reading.type !== "read") return reading;
  // A picture without a word in it is still worth keeping.
  if (reading.passages.length === 0 && !reading.pictures?.length) return unreadable("noText");
  return reading.passages.length > passagesPerDocumentMax ? unreadable("tooManyPassages") : reading;
}

/** Made as they are taken, batch by batch: what was stored is let go before the next is embedded. */
async function* toPoints(
  document: Kept & { readonly seen: Seen },
  { signal, progress }: Call<"documents.ingest">,
  { embedder: own, embedders, vectors: vault }: IngestPorts,
): AsyncGenerator<PassagePoint> {
  const { passages, title } = document;
  const { embedderId = own.id } = await vault.generation();
  // What cannot be had here is for the vault to refuse.
  const embedder = (embedderId === own.id ? undefined : await embedders?.of(embedderId)) ?? own;
  progress(0, passages.length);
  for (let from = 0; from < passages.length; from += passagesPerBatchMax) {
    signal.throwIfAborted();
    const batch = passages.slice(from, from + passagesPerBatchMax);
    const texts = batch.map(({ text, place }) => textToEmbed({ title, place, text }));
    const vectors = await embedder.passages(texts, signal);
    const room = Math.max(0, seenMax - document.seen.texts.length);
    const seen = texts.slice(0, room);
    document.seen.texts.push(...batch.slice(0, room).map(({ text }) => text));
    // Themes are compared across all documents, so by one embedder, whatever searches go by.
    document.seen.vectors.push(...(embedder === own ? vectors.slice(0, room) : await own.passages(seen, signal)));
    for (const [i, passage] of batch.entries()) {
      const [vector, text] = [at(vectors, i), at(texts, i)];
      yield toPoint(document, passage, { ordinal: from + i, vector, text, embedderId: embedder.id });
    }
    progress(from + batch.length, passages.length);
  }
}

function toPoint(
  document: Kept,
  { text, place, kind, section }: Passage,
  embedded: { ordinal: number; vector: Float32Array; text: string; embedderId: string },
): PassagePoint {
  const { ordinal, vector, embedderId } = embedded;
  return {
    documentId: document.documentId,
    ordinal,
    vector,
    embedderId,
    ...indexed(embedded.text),
    text,
    place,
    ...(kind !== undefined && { kind }),
    ...(section !== undefined && { section }),
    ...factsOf(document),
  };
}

/** What is known of a document, as its passages and pictures carry it. The owner's word goes before what reading found out. */
function factsOf(document: Kept): PassageFacts & { readonly documentName: string; readonly title: string } {
  const { name, format, author, writtenAt, people, labels, sha256, hold } = document;
  const entityType = labels?.entityType ?? document.entityType;
  const domain = labels?.domain ?? document.domain;
  return {
    documentName: name,
    title: labels?.title ?? document.title,
    language: labels?.language ?? document.language,
    format,
    ...(author !== undefined && { author }),
    ...(writtenAt !== undefined && { writtenAt }),
    ...(people !== undefined && { people }),
    ...(entityType !== undefined && { entityType }),
    ...(domain !== undefined && { domain }),
    ...(labels?.scope !== undefined && { scope: labels.scope }),
    ...(sha256 !== undefined && { sha256 }),
    ...(hold && { hold }),
  };
}

const picturesOf = (document: Kept): PicturesOf => ({
  ...factsOf(document),
  tenantId: document.tenantId,
  documentId: document.documentId,
  passages: document.passages,
  pictures: document.pictures ?? [],
});

/** An earlier reading kept some. Their rows go last: as long as they are there, a try that was cut off is known to have left something. */
async function dropPictures(
  { tenantId, documentId }: Tenant & { readonly documentId: Id<"documents"> },
  call: Call<"documents.ingest">,
  ports: Pick<Ports, "state" | "files" | "pictures">,
): Promise<void> {
  await ports.pictures?.remove({ tenantId, documentId });
  await keepPictures(documentId, [], call, ports);
}

const elementsKeptMax = 40; // In the document's row; the rest is in its passages.

const summaryOf = (reading: ReadDocument) => {
  const {
    format,
    title,
    language,
    passages,
    pages,
    author,
    writtenAt,
    entityType,
    pictures,
    tables,
    recognised,
    elements,
    contradictions,
  } = reading;
  return {
    format,
    title,
    language,
    passages: passages.length,
    ...(pages !== undefined && { pages }),
    ...(author !== undefined && { author }),
    ...(writtenAt !== undefined && { writtenAt }),
    ...(entityType !== undefined && { entityType }),
    ...(pictures && pictures.length > 0 && { pictures: Math.min(pictures.length, picturesPerDocumentMax) }),
    ...(tables !== undefined && { tables }),
    ...(recognised && { recognised }),
    ...(elements && elements.length > 0 && { elements: elements.slice(0, elementsKeptMax) }),
    ...(contradictions && contradictions.length > 0 && { contradictions: [...contradictions] }),
  };
};

const unreadable = (problem: Problem): Reading => ({ type: "unreadable", problem });

function at<T>(items: readonly T[], i: number): T {
  const item = items[i];
  if (item === undefined) throw new Error("the embedder gave back fewer vectors than it got texts");
  return item;
}
