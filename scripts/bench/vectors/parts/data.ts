/** Passages that look like a vault's: clustered vectors, Zipf-like words, a kilobyte of payload. Repeatable. */
import { clustered, random } from "../../../../tests/appliance/vectors/random.ts";

export const dimensions = 384;
export const collection = {
  vectors: { text: { size: dimensions, distance: "Cosine" } },
  sparse_vectors: { bm25: { modifier: "idf" } },
} as const;
export const indexes = {
  tenant_id: "keyword",
  document_id: "keyword",
  language: "keyword",
  domain: "keyword",
  ordinal: "integer",
} as const;

const passagesPerDocument = 10;
const termsPerPassage = 60;
const vocabulary = 50_000;

export function passages(seed: number) {
  const from = random(seed);
  const vector = clustered(from, dimensions, 256);
  const word = (): number => Math.floor(from.next() ** 4 * vocabulary);
  const numbers = (): number[] => Array.from(vector(), (x) => Math.round(x * 1e8) / 1e8);
  return {
    point(i: number) {
      const indices = [...new Set(Array.from({ length: termsPerPassage }, word))];
      return {
        id: `00000000-0000-5000-8000-${String(i).padStart(12, "0")}`,
        vector: { text: numbers(), bm25: { indices, values: indices.map(() => 0.5 + from.below(150) / 100) } },
        payload: {
          tenant_id: "owner",
          document_id: `document-${Math.floor(i / passagesPerDocument)}`,
          language: i % 3 ? "en" : "fr",
          domain: `domain ${i % 100}`,
          ordinal: i % passagesPerDocument,
          title: "A title of ordinary length",
          text: "some forty words of a passage, again. ".repeat(22),
          place: { page: i % 40, headings: ["Chapter", "Section"] },
        },
      };
    },
    /** As the vault asks: by meaning and by words, fused, one tenant. */
    question(limit = 10) {
      const filter = { must: [{ key: "tenant_id", match: { value: "owner" } }] };
      const indices = [...new Set(Array.from({ length: 6 }, word))];
      return {
        prefetch: [
          { query: numbers(), using: "text", limit: 60, filter },
          { query: { indices, values: indices.map(() => 1) }, using: "bm25", limit: 60, filter },
        ],
        query: { rrf: { k: 2, weights: [1, 2] } },
        filter,
        limit,
        with_payload: true,
      };
    },
  };
}
