/**
 * The words that a tenant's documents are written in, as points of a collection of their own: a word's vector is its letters by
 * threes, so that what looks like a misspelt word is one query away, on Qdrant and on the embedded store alike.
 */
import { createHash } from "node:crypto";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { closest, trigrams } from "../../ml/retrieve/spelling.ts";
import { statusOf } from "./errors.ts";
import { ours } from "./generation.ts";

const collection = "nika_words";
const vectorName = "letters";
const wordsPerBatch = 512;
/** Words known to be stored; about 6 MB. When it is full it is emptied, which costs writing some again. */
const rememberedMax = 100_000;
/** Looked at closely for each word; the letters' ranking has the right one among the first few. */
const candidates = 24;

export type Spellings = {
  /** Keeps words; those kept lately are not written again. */
  keep(tenantId: string, words: Iterable<string>): Promise<void>;
  /** Lets go of words that nothing is written in any more. */
  drop(tenantId: string, words: Iterable<string>): Promise<void>;
  /** See `Vectors.spellings`. */
  find(tenantId: string, words: readonly string[]): Promise<Map<string, readonly string[]>>;
};

/** `remembers`: words that were kept are not looked at again, because nobody else lets go of any. */
export function openSpellings(client: () => Promise<QdrantClient>, { remembers }: { readonly remembers: boolean }): Spellings {
  const kept = new Set<string>();
  let making: Promise<void> | undefined;
  const made = (): Promise<void> =>
    (making ??= make(client).catch((error: unknown) => {
      making = undefined;
      throw error;
    }));

  return {
    keep: async (tenantId, words) => {
      const fresh = [...new Set(words)].filter((word) => !kept.has(keyOf(tenantId, word)));
      if (fresh.length === 0) return;
      await made();
      const qdrant = await client();
      for (let at = 0; at < fresh.length; at += wordsPerBatch) {
        const some = fresh.slice(at, at + wordsPerBatch);
        await qdrant.upsert(collection, {
          wait: true,
          points: some.map((word) => ({
            id: idOf(tenantId, word),
            vector: { [vectorName]: toVector(word) },
            payload: { tenant_id: tenantId, word },
          })),
        });
        if (kept.size > rememberedMax) kept.clear();
        if (remembers) for (const word of some) kept.add(keyOf(tenantId, word));
      }
    },
    drop: async (tenantId, words) => {
      const gone = [...new Set(words)];
      if (gone.length === 0) return;
      await made();
      const qdrant = await client();
      // Forgotten here first: a word that is written again meanwhile is kept again.
      for (const word of gone) kept.delete(keyOf(tenantId, word));
      for (let at = 0; at < gone.length; at += wordsPerBatch) {
        const points = gone.slice(at, at + wordsPerBatch).map((word) => idOf(tenantId, word));
        await qdrant.delete(collection, { wait: true, points });
      }
    },
    find: async (tenantId, words) => {
      const asked = [...new Set(words)];
      const found = new Map<string, readonly string[]>();
      if (asked.length === 0) return found;
      await made();
      const qdrant = await client();
      const known = new Set(
        (await qdrant.retrieve(collection, { ids: asked.map((word) => idOf(tenantId, word)), with_payload: ["word"] })).map(
          ({ payload }) => String(payload?.["word"]),
        ),
      );
      const unknown = asked.filter((word) => !known.has(word));
      if (unknown.length === 0) return found;
      const filter = { must: [{ key: "tenant_id", match: { value: tenantId } }] };
      const searches = unknown.map((word) => ({
        query: toVector(word),
        using: vectorName,
        filter,
        limit: candidates,
        with_payload: ["word"],
      }));
      const answers = await qdrant.queryBatch(collection, { searches });
      for (const [at, word] of unknown.entries()) {
        const alike = (answers[at]?.points ?? []).map(({ payload }) => String(payload?.["word"]));
        found.set(word, closest(word, alike));
      }
      return found;
    },
  };
}

async function make(client: () => Promise<QdrantClient>): Promise<void> {
  const qdrant = await client();
  try {
    await qdrant.createCollection(collection, { ...ours, vectors: {}, sparse_vectors: { [vectorName]: { modifier: "idf" } } });
  } catch (error) {
    if (statusOf(error) !== 409) throw error;
  }
  const field_schema = { type: "keyword", is_tenant: true } as const;
  await qdrant.createPayloadIndex(collection, { field_name: "tenant_id", field_schema, wait: true });
}

const keyOf = (tenantId: string, word: string): string => `${tenantId}\n${word}`;

/** The length counts, so that a word is nearest to words of about its own letters, not to long ones that contain it. */
function toVector(word: string): { indices: number[]; values: number[] } {
  const indices = trigrams(word).sort((one, other) => one - other);
  const value = 1 / Math.sqrt(indices.length);
  return { indices, values: indices.map(() => value) };
}

function idOf(tenantId: string, word: string): string {
  const hex = createHash("sha1")
    .update(JSON.stringify([tenantId, word]))
    .digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
