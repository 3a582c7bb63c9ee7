import { internal } from "../../convex/_generated/api.js";
import { documentBytesMax, passagesPerDocumentMax, type Problem } from "../../convex/model/document.ts";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import type { Outcome } from "../../convex/model/job.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { documentTerms } from "../../ml/retrieve/terms.ts";
import { defineFunction, type Call, type Ports } from "../define.ts";
import type { Passage, Reading } from "../ports/reader.ts";
import type { PassagePoint } from "../ports/vectors.ts";

/** Larger batches raise memory and the time until a cancel is heard, and save nothing. */
const passagesPerBatchMax = 32;

type IngestPorts = Pick<Ports, "state" | "files" | "reader" | "embedder" | "vectors">;
type ReadDocument = Extract<Reading, { type: "read" }>;

/** Turns a file into passages that can be found. Running it again replaces what an earlier try left behind. */
export const ingestDocument = defineFunction({
  kind: "documents.ingest",
  needs: ["state", "files", "reader", "embedder", "vectors"],
  run: async (call, ports): Promise<Outcome> => {
    const { documentId } = call.args;
    const file = await ports.state.query(internal.documents.fileForIngest, { documentId });
    call.signal.throwIfAborted();
    if (!file) throw new NikaError("missing", "The file is no longer in the storage; add it again.");
    // Nobody wants it any more; what is to happen instead follows from its state when this settles.
    if (file.state === "forgetting") return { type: "done" };
    const reading = await read(file, call.signal, ports);
    call.signal.throwIfAborted();
    // What holds other files is taken apart by a job of its own.
    if (reading.type === "holder") return { type: "done", result: { type: "unreadable", problem: "unknownType" } };
    if (reading.type === "unreadable") {
      // An earlier try may have got further than this one.
      await ports.vectors.remove(documentId);
      return { type: "done", result: reading };
    }
    const points = toPoints({ ...reading, documentId, name: file.name }, call, ports);
    await ports.vectors.replace(documentId, points, call.signal);
    return { type: "done", result: { type: "read", reading: summaryOf(reading) } };
  },
});

async function read(
  file: { url: string; name: string; sizeBytes: number },
  signal: AbortSignal,
  ports: IngestPorts,
): Promise<Reading> {
  if (file.sizeBytes === 0) return unreadable("empty");
  if (file.sizeBytes > documentBytesMax) return unreadable("tooLarge");
  try {
    const bytes = await ports.files.read(file.url, { bytesMax: documentBytesMax, signal });
    const reading = await ports.reader.read(bytes, { name: file.name, signal });
    if (reading.type !== "read") return reading;
    if (reading.passages.length === 0) return unreadable("noText");
    return reading.passages.length > passagesPerDocumentMax ? unreadable("tooManyPassages") : reading;
  } catch (error) {
    if (isNikaError(error) && error.code === "full") return unreadable("tooLarge");
    throw error;
  }
}

/** Made as they are taken, batch by batch: what was stored is let go before the next is embedded. */
async function* toPoints(
  document: ReadDocument & { documentId: string; name: string },
  { signal, progress }: Call<"documents.ingest">,
  { embedder }: IngestPorts,
): AsyncGenerator<PassagePoint> {
  const { passages, title } = document;
  progress(0, passages.length);
  for (let from = 0; from < passages.length; from += passagesPerBatchMax) {
    signal.throwIfAborted();
    const batch = passages.slice(from, from + passagesPerBatchMax);
    const texts = batch.map(({ text, place }) => textToEmbed({ title, place, text }));
    const vectors = await embedder.passages(texts, signal);
    for (const [i, passage] of batch.entries()) {
      yield toPoint(document, passage, { ordinal: from + i, vector: at(vectors, i), text: at(texts, i) });
    }
    progress(from + batch.length, passages.length);
  }
}

function toPoint(
  { documentId, name, title, language, format }: ReadDocument & { documentId: string; name: string },
  { text, place }: Passage,
  embedded: { ordinal: number; vector: Float32Array; text: string },
): PassagePoint {
  const { ordinal, vector } = embedded;
  return {
    documentId,
    ordinal,
    vector,
    terms: documentTerms(embedded.text),
    documentName: name,
    title,
    text,
    place,
    language,
    format,
  };
}

const summaryOf = ({ format, title, language, passages, pages }: ReadDocument) => ({
  format,
  title,
  language,
  passages: passages.length,
  ...(pages !== undefined && { pages }),
});

const unreadable = (problem: Problem): Reading => ({ type: "unreadable", problem });

function at<T>(items: readonly T[], i: number): T {
  const item = items[i];
  if (item === undefined) throw new Error("the embedder gave back fewer vectors than it got texts");
  return item;
}
