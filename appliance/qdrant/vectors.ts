/** The vault in Qdrant, or in the embedded store that speaks its language: this folder cannot tell which. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { NikaError } from "../../convex/model/error.ts";
import type { Vectors } from "../../functions/ports/vectors.ts";
import { statusOf, toStoreError } from "./errors.ts";
import { toHit, toNumbers, toPoint, toSparse } from "./points.ts";
import { denseName, openVault, sparseName, vaultAlias, type StoredEmbedder } from "./vault.ts";

export type QdrantOptions = {
  /** Origin, such as http://127.0.0.1:6333. */
  readonly url: string;
  readonly apiKey?: string;
  /** Everything is written and asked under this tenant; nothing of another is ever seen. */
  readonly tenantId: string;
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
// Each side of the fusion brings this many at least: fewer starve it, more change nothing at the top.
const prefetchMin = 60;
// Words count twice as much as the vector, with the k that such weights act on. Measured on headings against their sections: better
// than equal weights, and far better than the k of 60 that is often copied.
const fusion = { k: 2, lexical: 2, dense: 1 };
const timeoutMs = 30_000;

export function qdrantVectors(options: QdrantOptions): QdrantVectors {
  const { tenantId, embedderId, dimensions = 384 } = options;
  const inForce: StoredEmbedder = { id: embedderId, dimensions };
  let opening: Promise<{ client: QdrantClient; stored: StoredEmbedder }> | undefined;

  async function open(): Promise<{ client: QdrantClient; stored: StoredEmbedder }> {
    const client = await connect(options);
    return { client, stored: await openVault(client, inForce) };
  }

  /** Runs `work` on an open vault. What failed to open, or was lost since, is opened again by the next call. */
  async function using<T>(work: (vault: { client: QdrantClient; stored: StoredEmbedder }) => Promise<T>): Promise<T> {
    const mine = (opening ??= open());
    try {
      return await work(await mine);
    } catch (error) {
      const isLost =
        statusOf(error) === 404 ||
        (await mine.then(
          () => false,
          () => true,
        ));
      if (isLost && opening === mine) opening = undefined;
      throw toStoreError(error);
    }
  }

  const isInForce = (stored: StoredEmbedder): boolean => stored.id === embedderId && stored.dimensions === dimensions;
  const ofTenant = { key: "tenant_id", match: { value: tenantId } };
  const ofDocument = (documentId: string) => ({ must: [ofTenant, { key: "document_id", match: { value: documentId } }] });

  return {
    replace: (documentId, passages, signal) =>
      using(async ({ client, stored }) => {
        if (!isInForce(stored)) throw wrongEmbedder(stored.id);
        let written = 0;
        let points: ReturnType<typeof toPoint>[] = [];
        for await (const passage of passages) {
          throwIfAborted(signal);
          // One batch is held back until another begins, so that the last one can take the rest away in the same write.
          if (points.length === passagesPerBatch) {
            await client.upsert(vaultAlias, { wait: true, points });
            written += points.length;
            points = [];
          }
          if (passage.documentId !== documentId || passage.ordinal !== written + points.length)
            throw new NikaError("bug", "Passages were handed over out of order.");
          points.push(toPoint(tenantId, passage));
        }
        throwIfAborted(signal);
        const upsert = points.length > 0 ? [{ upsert: { points } }] : [];
        // What an earlier, longer version of the document left behind.
        const beyond = { must: [...ofDocument(documentId).must, { key: "ordinal", range: { gte: written + points.length } }] };
        await client.batchUpdate(vaultAlias, { wait: true, operations: [...upsert, { delete: { filter: beyond } }] });
      }),

    remove: (documentId) =>
      using(async ({ client }) => {
        await client.delete(vaultAlias, { wait: true, filter: ofDocument(documentId) });
      }),

    search: ({ vector, terms, limit }, signal) =>
      using(async ({ client, stored }) => {
        throwIfAborted(signal);
        const mine = { must: [ofTenant] };
        const side = { limit: Math.max(prefetchMin, limit * 2), filter: mine };
        const numbers = isInForce(stored) ? toNumbers(vector) : undefined;
        const sides = [
          ...(numbers ? [{ prefetch: { ...side, query: numbers, using: denseName }, weight: fusion.dense }] : []),
          ...(terms.indices.length > 0
            ? [{ prefetch: { ...side, query: toSparse(terms), using: sparseName }, weight: fusion.lexical }]
            : []),
        ];
        if (sides.length === 0) return [];
        const answer = client.query(vaultAlias, {
          prefetch: sides.map(({ prefetch }) => prefetch),
          query: { rrf: { k: fusion.k, weights: sides.map(({ weight }) => weight) } },
          // Once in each prefetch and once here: a mistake in one of the two must not show another tenant's passages.
          filter: mine,
          limit,
          with_payload: true,
        });
        const { points } = await unlessAborted(answer, signal);
        return points.map(toHit);
      }),

    count: (documentId) =>
      using(async ({ client }) => {
        const filter = documentId === undefined ? { must: [ofTenant] } : ofDocument(documentId);
        return (await client.count(vaultAlias, { exact: true, filter })).count;
      }),

    storedEmbedder: () => using(async ({ stored }) => stored),
  };
}

async function connect({ url, apiKey }: QdrantOptions): Promise<QdrantClient> {
  const { QdrantClient } = await import("@qdrant/js-client-rest");
  return new QdrantClient({
    url,
    // As a header, because the client prints a warning for every key it sends over plain http, loopback or not.
    ...(apiKey !== undefined && { headers: { "api-key": apiKey } }),
    timeout: timeoutMs,
    checkCompatibility: false,
  });
}

const wrongEmbedder = (storedId: string): NikaError =>
  new NikaError(
    "conflict",
    `The vault holds vectors of "${storedId}"; put that embedder back, or move the vault over, to add documents.`,
  );

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled(signal);
}

const cancelled = (signal: AbortSignal): NikaError => new NikaError("cancelled", "It was cancelled.", { cause: signal.reason });

/** The client takes no signal, so what comes after it fired is left to finish unheard. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: stop, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(cancelled(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, stop]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
