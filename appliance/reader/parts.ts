/**
 * How a large answer of the reader travels: in parts of about a megabyte, so that neither side holds it twice. `split` runs in the process
 * that read, `join` where it is asked from.
 */
import type { Bytes } from "../../functions/ports/files.ts";
import type { Entries, Entry, Passage, Reading, ReadPicture } from "../../functions/ports/reader.ts";

type ReadDocument = Extract<Reading, { type: "read" }>;
/** Bytes of the picture or entry named last follow it in slices. */
type Part =
  | { readonly type: "passages"; readonly passages: readonly Passage[] }
  | { readonly type: "bytes"; readonly bytes: Uint8Array };

const partBytesMax = 1024 * 1024;
/** What a passage takes beside its text, about. */
const passageBytes = 200;

/** An answer without its bulk, and the bulk. */
export type Split<T> = { readonly rest: T; readonly parts: Iterable<unknown> };

export function splitReading(reading: ReadDocument): Split<ReadDocument> {
  const { passages, pictures } = reading;
  return {
    rest: { ...reading, passages: [], ...(pictures && { pictures: pictures.map(withoutBytes) }) },
    parts: partsOf(passages, pictures ?? []),
  };
}

export function joinReading(rest: ReadDocument, parts: readonly unknown[]): ReadDocument {
  const passages = (parts as readonly Part[]).flatMap((part) => (part.type === "passages" ? part.passages : []));
  const { pictures } = rest;
  return { ...rest, passages, ...(pictures && { pictures: withSlices(pictures, parts).map(toPicture) }) };
}

/** A picture is decoded whole, so it is one piece. */
const toPicture = ([picture, slices]: [ReadPicture, Uint8Array[]]): ReadPicture => ({
  ...picture,
  bytes: slices.length === 1 ? (slices[0] as Uint8Array) : new Uint8Array(Buffer.concat(slices)),
});

export function splitEntries({ entries, ...rest }: HeldEntries): Split<Entries> {
  return { rest: { ...rest, entries: entries.map(withoutBytes) }, parts: partsOf([], entries) };
}

/** Large entries stay in their parts. */
export function joinEntries({ entries, ...rest }: Entries, parts: readonly unknown[]): Entries {
  return { ...rest, entries: withSlices(entries, parts).map(([entry, slices]) => ({ ...entry, bytes: toBytes(slices) })) };
}

function* partsOf(passages: readonly Passage[], held: readonly { readonly bytes: Uint8Array }[]): Generator<Part> {
  let some: Passage[] = [];
  let sizeBytes = 0;
  for (const passage of passages) {
    some.push(passage);
    sizeBytes += passage.text.length + passageBytes;
    if (sizeBytes < partBytesMax) continue;
    yield { type: "passages", passages: some };
    [some, sizeBytes] = [[], 0];
  }
  if (some.length > 0) yield { type: "passages", passages: some };
  for (const { bytes } of held)
    for (let at = 0; at < bytes.length; at += partBytesMax)
      // A copy: a view would take along all that it was cut from.
      yield { type: "bytes", bytes: new Uint8Array(bytes.subarray(at, at + partBytesMax)) };
}

type HeldEntries = Omit<Entries, "entries"> & { readonly entries: readonly (Entry & { readonly bytes: Uint8Array })[] };
type Sized = { readonly sizeBytes: number };

const nothing = new Uint8Array();

function withoutBytes<T extends { readonly bytes: Uint8Array }>(held: T): T & Sized {
  return { ...held, bytes: nothing, sizeBytes: held.bytes.length };
}

/** Each with as many bytes of the parts as it had, in order. */
function withSlices<T extends object>(held: readonly T[], parts: readonly unknown[]): [T, Uint8Array[]][] {
  const slices = (parts as readonly Part[]).flatMap((part) => (part.type === "bytes" ? [part.bytes] : [])).values();
  return (held as readonly (T & Sized)[]).map(({ sizeBytes, ...one }) => {
    const own: Uint8Array[] = [];
    for (let missing = sizeBytes; missing > 0;) {
      const slice = slices.next().value;
      if (!slice) throw new Error("A part of the reader's answer is missing.");
      own.push(slice);
      missing -= slice.length;
    }
    return [one as unknown as T, own];
  });
}

function toBytes(slices: readonly Uint8Array[]): Bytes {
  const [only = nothing] = slices;
  if (slices.length < 2) return only;
  return {
    sizeBytes: slices.reduce((sum, slice) => sum + slice.length, 0),
    async *pieces() {
      yield* slices;
    },
  };
}
