/** The vault in Qdrant, or in the embedded store that speaks its language: this folder cannot tell which. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import type { SearchFilter } from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { documentTerms, indexed } from "../../ml/retrieve/terms.ts";
import type { Branch, DocumentKey, PassagePoint, Vectors } from "../../functions/ports/vectors.ts";
import type { Spaces } from "../../functions/ports/spaces.ts";
import { openAlone, openRecorded, readBook, type Book, type FollowedRecord, type GenerationRecord, type InUse } from "./book.ts";
import { connect } from "./connect.ts";
import { statusOf } from "./errors.ts";
import { openFence } from "./fence.ts";
import { isFound, toConditions, toHeld } from "./filter.ts";
import { opened } from "./opening.ts";
import { found, toLabels, toNumbers, toPassage, toPoint, toSparse, unfinished } from "./points.ts";
import { byTerms, fused } from "./ranking.ts";
import { openMoves, openTouched } from "./moves.ts";
import { openSpellings } from "./spellings.ts";
import { throwIfAborted, unlessAborted } from "./stopping.ts";
import { denseName, sparseName, type StoredEmbedder } from "./vault.ts";
import { mustBeRecent } from "./version.ts";

export type QdrantOptions = {
  /** Origin, such as http://127.0.0.1:6333. */
  readonly url: string;
  readonly apiKey?: string;
  /** Of a vault that is made, or empty. */
  readonly embedderId: string;
  readonly dimensions?: number;
  /** What is in force. Without it the vault is what its alias stands for, and stays so. */
  readonly record?: GenerationRecord | FollowedRecord;
  /** Bytes that are free where the store lies, when it is on this machine. */
  readonly freeBytes?: () => number;
};

export type QdrantVectors = Vectors & {
  /**
   * Whose vectors are searched. Without a record: when it is another embedder than the options', searches go by words alone and `replace`
   * fails with `conflict`, because vectors of two embedders cannot be compared.
   */
  storedEmbedder(): Promise<StoredEmbedder>;
  /** To move the vault to another embedder; it needs the record. */
  readonly spaces: Omit<Spaces, "find">;
};

// A batch is one request and one commit. Larger ones hold up whoever asks meanwhile, and save little.
const passagesPerBatch = 64;
// Each ranking brings this many at least: fewer starve the fusion, more change nothing at the top.
const rankedMin = 60;
const passagesMax = 200;

export function qdrantVectors(options: QdrantOptions): QdrantVectors {
  const { embedderId, dimensions = 384, record } = options;
  const given: StoredEmbedder = { id: embedderId, dimensions };
  const keeper = record && "adopt" in record ? record : undefined;
  const [fence, touched] = [openFence(), openTouched()];
  let book: Book | undefined;
  let reading: Promise<unknown> = Promise.resolve();

  const using = opened(async (): Promise<{ client: QdrantClient }> => {
    const client = await connect(options);
    mustBeRecent(options.url, (await client.versionInfo()).version);
    if (!record) book = await openAlone(client, given);
    else book = keeper ? await openRecorded(client, given, keeper) : await readBook(record);
    return { client };
  });
  /** One reading after the other, so that an older one never comes last. */
  const reread = (): Promise<void> => {
    const next = reading.then(async () => {
      if (record && book) book = await readBook(record);
    });
    reading = next.catch(() => undefined);
    return next;
  };
  record?.watch(() => void reread().catch(() => undefined));
  const now = (): Book => {
    if (!book) throw new NikaError("bug", "The vault was used before it was opened.");
    return book;
  };

  /** A write goes to every space there is. `documentId` is what it is about; without one it may be about any. */
  const write = (documentId: string | undefined, work: (space: InUse) => Promise<void>): Promise<void> =>
    fence.shared(documentId === undefined ? undefined : new Set([documentId]), async () => {
      const { live, beside } = now();
      const written = touched.add(documentId);
      try {
        await work(live);
        if (beside) await work(beside).catch(onLost(beside));
      } finally {
        written();
      }
    });

  /** A space that was let go a moment ago may be gone already. */
  const onLost =
    (space: InUse) =>
    async (error: unknown): Promise<void> => {
      if (!(error instanceof SpaceLostError) && statusOf(error) !== 404) throw error;
      const { beside } = now();
      if (error instanceof SpaceLostError && keeper && beside)
        await keeper.lose(beside, "Its model is no longer on this machine.");
      await reread();
      if (now().beside?.collection === space.collection) throw error;
    };

  /** The numbers of some passages in a space: as they came, or made anew for its embedder. */
  const vectorsFor = async (space: InUse, passages: readonly PassagePoint[], signal: AbortSignal): Promise<Float32Array[]> => {
    const ofWhom = (passage: PassagePoint): string => passage.embedderId ?? (record ? now().live.embedderId : embedderId);
    const others = passages.filter((passage) => ofWhom(passage) !== space.embedderId);
    if (others.length === 0) return passages.map(({ vector }) => vector);
    const embedder = await record?.embedder(space.embedderId);
    if (!embedder) throw space.collection === now().live.collection ? wrongEmbedder(space.embedderId) : new SpaceLostError();
    const made = await embedder.passages(others.map(textToEmbed), signal);
    return passages.map((passage) => made[others.indexOf(passage)] ?? passage.vector);
  };

  // Where words go while others write, what was stored a moment ago may be gone.
  const spellings = openSpellings(() => using(async ({ client }) => client), { remembers: keeper !== undefined || !record });
  const moves = openMoves({
    client: () => using(async ({ client }) => client),
    book: now,
    reread,
    fence,
    touched,
    embedder: async (id) => record?.embedder(id),
    freeBytes: options.freeBytes,
  });

  return {
    spaces: moves,

    generation: () => using(async () => now().live),

    replace: ({ tenantId, documentId }, passages, signal) =>
      using(async ({ client }) => {
        const document = toDocument({ tenantId, documentId });
        /** Made before anybody else is held up; a space that came since is served where it is written. */
        const pointsOf = async (some: readonly PassagePoint[]) => {
          const make = async (space: InUse): Promise<ReturnType<typeof toPoint>[]> => {
            const vectors = await vectorsFor(space, some, signal);
            return some.map((passage, at) => toPoint(tenantId, { ...passage, vector: vectors[at]! }));
          };
          const { live, beside } = now();
          const made = new Map([[live.collection, await make(live)]]);
          // Whether it is still needed shows when it is written.
          const other = beside && (await make(beside).catch(() => undefined));
          if (other) made.set(beside.collection, other);
          return async (space: InUse) => made.get(space.collection) ?? make(space);
        };
        let written = 0;
        let batch: PassagePoint[] = [];
        const words = new Set<string>();
        for await (const passage of passages) {
          throwIfAborted(signal);
          // One batch is held back until another begins, so that the last one can take the rest away in the same write.
          if (batch.length === passagesPerBatch) {
            const toPoints = await pointsOf(batch);
            await write(documentId, async (space) => {
              const points = await toPoints(space);
              // No search sees half a document.
              for (const { payload } of points) payload["held"] = unfinished;
              await client.upsert(space.collection, { wait: true, points });
            });
            await spellings.keep(tenantId, words);
            words.clear();
            written += batch.length;
            batch = [];
          }
          if (passage.documentId !== documentId || passage.ordinal !== written + batch.length)
            throw new NikaError("bug", "Passages were handed over out of order.");
          batch.push(passage);
          for (const word of passage.spellings ?? []) words.add(word);
        }
        throwIfAborted(signal);
        const held = batch.at(-1)?.hold?.batchId ?? found;
        // What an earlier, longer version of the document left behind.
        const beyond = { must: [...document.must, { key: "ordinal", range: { gte: written + batch.length } }] };
        const unfinishedOf = { must: [...document.must, { key: "held", match: { value: unfinished } }] };
        const finish = written > 0 ? [{ set_payload: { payload: { held }, filter: unfinishedOf } }] : [];
        const toPoints = await pointsOf(batch);
        await write(documentId, async (space) => {
          const points = await toPoints(space);
          // A Qdrant does one after the other: cut off in between, none of a large document is found, rather than its end alone.
          if (written > 0) for (const { payload } of points) payload["held"] = unfinished;
          const upsert = points.length > 0 ? [{ upsert: { points } }] : [];
          const operations = [...upsert, { delete: { filter: beyond } }, ...finish];
          await client.batchUpdate(space.collection, { wait: true, operations });
        });
        await spellings.keep(tenantId, words);
      }),

    remove: (document) =>
      using(async ({ client }) => {
        // The words go first: cut off in between, the document is still there to be removed again.
        for await (const words of ownWords(client, now().live.collection, document))
          await spellings.drop(document.tenantId, words);
        await write(document.documentId, async ({ collection }) => {
          await client.delete(collection, { wait: true, filter: toDocument(document) });
        });
      }),

    label: (document, labels) =>
      using(({ client }) =>
        write(document.documentId, async ({ collection }) => {
          await client.setPayload(collection, { wait: true, payload: toLabels(labels), filter: toDocument(document) });
        }),
      ),

    release: (group) =>
      using(({ client }) =>
        write(undefined, async ({ collection }) => {
          await client.setPayload(collection, { wait: true, payload: { held: found }, filter: toHeld(group) });
        }),
      ),

    discard: (group) =>
      using(({ client }) =>
        write(undefined, async ({ collection }) => {
          await client.delete(collection, { wait: true, filter: toHeld(group) });
        }),
      ),

    search: ({ tenantId, branches, filter, limit, generation }, signal) =>
      using(async ({ client }) => {
        throwIfAborted(signal);
        const { live } = now();
        const { collection, fusion } = generation ?? live;
        const isDenseOf = generation !== undefined || record !== undefined || isSame(live, given);
        const rankings = branches.flatMap((branch) => {
          const search = toSearch(branch, { tenantId, filter, limit, isDenseOf });
          return search ? [{ name: branch.name, weight: branch.weight, search }] : [];
        });
        const answered = moves.searching();
        try {
          const best = await fused(client, collection, { rankings, limit, method: fusion }, signal);
          return best.map(({ payload, score, branches: ranks }) => ({ ...toPassage(tenantId, payload), score, branches: ranks }));
        } finally {
          answered();
        }
      }),

    passages: ({ from, to, ...document }, signal) =>
      using(async ({ client }) => {
        throwIfAborted(signal);
        const range = { gte: from, lte: Math.min(to, from + passagesMax - 1) };
        const filter = { must: [...toDocument(document).must, { key: "ordinal", range }] };
        const page = client.scroll(now().live.collection, { filter, limit: passagesMax, with_payload: true });
        const { points } = await unlessAborted(page, signal);
        return points
          .map(({ payload }) => toPassage(document.tenantId, payload))
          .sort((one, other) => one.ordinal - other.ordinal);
      }),

    spellings: ({ tenantId, words }, signal) =>
      using(async () => {
        throwIfAborted(signal);
        return await unlessAborted(spellings.find(tenantId, words), signal);
      }),

    count: ({ tenantId, documentId }) =>
      using(async ({ client }) => {
        const filter = documentId === undefined ? toConditions(tenantId) : toDocument({ tenantId, documentId });
        return (await client.count(now().live.collection, { exact: true, filter })).count;
      }),

    storedEmbedder: () =>
      using(async () => {
        const { embedderId: id, dimensions: size } = now().live;
        return { id, dimensions: size };
      }),
  };
}

/** The embedder of a space beside is gone. */
class SpaceLostError extends Error {}

const isSame = ({ embedderId, dimensions }: InUse, other: StoredEmbedder): boolean =>
  embedderId === other.id && dimensions === other.dimensions;

const wordsPerLook = 256;

/** Words that stand in this document and in no other of the tenant's, some at a time. Other forms of a word count as the word. */
async function* ownWords(client: QdrantClient, collection: string, document: DocumentKey): AsyncGenerator<string[]> {
  const filter = toDocument(document);
  const elsewhere = {
    must: toConditions(document.tenantId).must,
    must_not: [{ key: "document_id", match: { value: document.documentId } }],
  };
  const seen = new Set<string>();
  let offset: string | number | undefined;
  do {
    const page = await client.scroll(collection, {
      filter,
      limit: passagesMax,
      with_payload: ["text", "title", "place"],
      ...(offset !== undefined && { offset }),
    });
    const fresh = page.points
      .flatMap(({ payload }) => indexed(textToEmbed(payload as Parameters<typeof textToEmbed>[0])).spellings)
      .filter((word) => !seen.has(word) && seen.add(word));
    for (let at = 0; at < fresh.length; at += wordsPerLook) {
      const some = fresh.slice(at, at + wordsPerLook);
      const searches = some.map((word) => ({
        query: toSparse(documentTerms(word)),
        using: sparseName,
        filter: elsewhere,
        limit: 1,
      }));
      const answers = await client.queryBatch(collection, { searches });
      yield some.filter((_, i) => (answers[i]?.points.length ?? 0) === 0);
    }
    const next = page.next_page_offset;
    offset = typeof next === "string" || typeof next === "number" ? next : undefined;
  } while (offset !== undefined);
}

const toDocument = ({ tenantId, documentId }: DocumentKey) => toConditions(tenantId, { documentIds: [documentId] });

type SearchOptions = {
  readonly tenantId: string;
  readonly filter: SearchFilter | undefined;
  readonly limit: number;
  /** Whether the vectors asked with and those stored are of one embedder. */
  readonly isDenseOf: boolean;
};

/** A branch as one query of a batch; undefined when it ranks nothing. */
function toSearch(branch: Branch, { tenantId, filter, limit, isDenseOf }: SearchOptions) {
  const { must } = toConditions(tenantId, filter, branch.filter);
  const phrase = branch.phrase === undefined ? [] : [{ key: "text", match: { phrase: branch.phrase } }];
  const shared = { filter: { must: [...must, isFound, ...phrase] }, limit: Math.max(rankedMin, limit) };
  if ("terms" in branch) {
    if (branch.terms.indices.length === 0) return undefined;
    return { ...shared, ...byTerms(tenantId, branch.terms, sparseName) };
  }
  const numbers = isDenseOf ? toNumbers(branch.vector) : undefined;
  return numbers && { ...shared, query: numbers, using: denseName };
}

const wrongEmbedder = (storedId: string): NikaError =>
  new NikaError(
    "conflict",
    `The vault holds vectors of "${storedId}"; put that embedder back, or move the vault with \`nika model deploy\`, to add documents.`,
  );
