/** The vault in Qdrant, or in the embedded store that speaks its language: this folder cannot tell which. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import type { SearchFilter } from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { documentTerms, indexed } from "../../ml/retrieve/terms.ts";
import type { Branch, DocumentKey, Vectors } from "../../functions/ports/vectors.ts";
import { connect } from "./connect.ts";
import { isFound, toConditions, toHeld } from "./filter.ts";
import { opened } from "./opening.ts";
import { found, toLabels, toNumbers, toPassage, toPoint, toSparse, unfinished } from "./points.ts";
import { byTerms, fused } from "./ranking.ts";
import { openSpellings } from "./spellings.ts";
import { throwIfAborted, unlessAborted } from "./stopping.ts";
import { denseName, openVault, sparseName, vaultAlias, type StoredEmbedder } from "./vault.ts";

export type QdrantOptions = {
  /** Origin, such as http://127.0.0.1:6333. */
  readonly url: string;
  readonly apiKey?: string;
  /** Of the embedder in force. */
  readonly embedderId: string;
  readonly dimensions?: number;
};

export type QdrantVectors = Vectors & {
  /**
   * Whose vectors the vault holds. When it is not the embedder in force, searches go by words alone and `replace` fails with
   * `conflict`: vectors of two embedders cannot be compared. Moving over is a migration.
   */
  storedEmbedder(): Promise<StoredEmbedder>;
};

// A batch is one request and one commit. Larger ones hold up whoever asks meanwhile, and save little.
const passagesPerBatch = 64;
// Each ranking brings this many at least: fewer starve the fusion, more change nothing at the top.
const rankedMin = 60;
const passagesMax = 200;

export function qdrantVectors(options: QdrantOptions): QdrantVectors {
  const { embedderId, dimensions = 384 } = options;
  const inForce: StoredEmbedder = { id: embedderId, dimensions };
  const using = opened(async (): Promise<{ client: QdrantClient; stored: StoredEmbedder }> => {
    const client = await connect(options);
    return { client, stored: await openVault(client, inForce) };
  });

  const isInForce = (stored: StoredEmbedder): boolean => stored.id === embedderId && stored.dimensions === dimensions;
  const spellings = openSpellings(() => using(async ({ client }) => client));

  return {
    replace: ({ tenantId, documentId }, passages, signal) =>
      using(async ({ client, stored }) => {
        if (!isInForce(stored)) throw wrongEmbedder(stored.id);
        let written = 0;
        let held: string = found;
        let points: ReturnType<typeof toPoint>[] = [];
        const words = new Set<string>();
        for await (const passage of passages) {
          throwIfAborted(signal);
          // One batch is held back until another begins, so that the last one can take the rest away in the same write.
          if (points.length === passagesPerBatch) {
            // No search sees half a document.
            for (const { payload } of points) payload["held"] = unfinished;
            await client.upsert(vaultAlias, { wait: true, points });
            await spellings.keep(tenantId, words);
            words.clear();
            written += points.length;
            points = [];
          }
          if (passage.documentId !== documentId || passage.ordinal !== written + points.length)
            throw new NikaError("bug", "Passages were handed over out of order.");
          const point = toPoint(tenantId, passage);
          held = point.payload["held"] as string;
          points.push(point);
          for (const word of passage.spellings ?? []) words.add(word);
        }
        throwIfAborted(signal);
        const upsert = points.length > 0 ? [{ upsert: { points } }] : [];
        // What an earlier, longer version of the document left behind.
        const beyond = {
          must: [...toDocument({ tenantId, documentId }).must, { key: "ordinal", range: { gte: written + points.length } }],
        };
        const unfinishedOf = {
          must: [...toDocument({ tenantId, documentId }).must, { key: "held", match: { value: unfinished } }],
        };
        const finish = written > 0 ? [{ set_payload: { payload: { held }, filter: unfinishedOf } }] : [];
        await client.batchUpdate(vaultAlias, { wait: true, operations: [...upsert, { delete: { filter: beyond } }, ...finish] });
        await spellings.keep(tenantId, words);
      }),

    remove: (document) =>
      using(async ({ client }) => {
        // The words go first: cut off in between, the document is still there to be removed again.
        for await (const words of ownWords(client, document)) await spellings.drop(document.tenantId, words);
        await client.delete(vaultAlias, { wait: true, filter: toDocument(document) });
      }),

    label: (document, labels) =>
      using(async ({ client }) => {
        await client.setPayload(vaultAlias, { wait: true, payload: toLabels(labels), filter: toDocument(document) });
      }),

    release: (group) =>
      using(async ({ client }) => {
        await client.setPayload(vaultAlias, { wait: true, payload: { held: found }, filter: toHeld(group) });
      }),

    discard: (group) =>
      using(async ({ client }) => {
        await client.delete(vaultAlias, { wait: true, filter: toHeld(group) });
      }),

    search: ({ tenantId, branches, filter, limit }, signal) =>
      using(async ({ client, stored }) => {
        throwIfAborted(signal);
        const rankings = branches.flatMap((branch) => {
          const search = toSearch(branch, { tenantId, filter, limit, isDenseOf: isInForce(stored) });
          return search ? [{ name: branch.name, weight: branch.weight, search }] : [];
        });
        const best = await fused(client, vaultAlias, { rankings, limit }, signal);
        return best.map(({ payload, score, branches: ranks }) => ({ ...toPassage(tenantId, payload), score, branches: ranks }));
      }),

    passages: ({ from, to, ...document }, signal) =>
      using(async ({ client }) => {
        throwIfAborted(signal);
        const range = { gte: from, lte: Math.min(to, from + passagesMax - 1) };
        const filter = { must: [...toDocument(document).must, { key: "ordinal", range }] };
        const page = client.scroll(vaultAlias, { filter, limit: passagesMax, with_payload: true });
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
        return (await client.count(vaultAlias, { exact: true, filter })).count;
      }),

    storedEmbedder: () => using(async ({ stored: { id, dimensions } }) => ({ id, dimensions })),
  };
}

const wordsPerLook = 256;

/** Words that stand in this document and in no other of the tenant's, some at a time. Other forms of a word count as the word. */
async function* ownWords(client: QdrantClient, document: DocumentKey): AsyncGenerator<string[]> {
  const filter = toDocument(document);
  const elsewhere = {
    must: toConditions(document.tenantId).must,
    must_not: [{ key: "document_id", match: { value: document.documentId } }],
  };
  const seen = new Set<string>();
  let offset: string | number | undefined;
  do {
    const page = await client.scroll(vaultAlias, {
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
      const answers = await client.queryBatch(vaultAlias, { searches });
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
    `The vault holds vectors of "${storedId}"; put that embedder back, or move the vault over, to add documents.`,
  );
