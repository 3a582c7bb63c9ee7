/** Several rankings asked for in one request and fused. */
import type { QdrantClient, Schemas } from "@qdrant/js-client-rest";
import type { Terms } from "../../functions/ports/vectors.ts";
import { fuse, type Fused, type FusionMethod } from "../../ml/retrieve/fuse.ts";
import { isFound, toConditions } from "./filter.ts";
import { toSparse } from "./points.ts";
import { unlessAborted } from "./stopping.ts";

type Query = Schemas["QueryRequest"];

/** A ranking by words. How rare a word is counts among what the tenant may find: what others write moves nobody's results. */
export const byTerms = (tenantId: string, terms: Terms, using: string): Query => ({
  query: toSparse(terms),
  using,
  params: { idf: { corpus: { must: [...toConditions(tenantId).must, isFound] } } },
});

export type Ranking = { readonly name: string; readonly weight: number; readonly search: Query };
type Found = Fused<string | number> & { readonly payload: Record<string, unknown> | null | undefined };

/** The best `limit` of all rankings together. Only those bring their payload: most of what is ranked is never shown. */
export async function fused(
  client: QdrantClient,
  collection: string,
  { rankings, limit, method }: { rankings: readonly Ranking[]; limit: number; method?: FusionMethod },
  signal: AbortSignal,
): Promise<Found[]> {
  if (rankings.length === 0) return [];
  const searches = rankings.map(({ search }) => ({ ...search, with_payload: false }));
  const answers = await unlessAborted(client.queryBatch(collection, { searches }), signal);
  const lists = rankings.map(({ name, weight }, at) => ({ name, weight, hits: answers[at]?.points ?? [] }));
  const best = fuse(lists, method).slice(0, limit);
  if (best.length === 0) return [];
  const ids = best.map(({ id }) => id);
  const records = await unlessAborted(client.retrieve(collection, { ids, with_payload: true }), signal);
  const payloads = new Map(records.map(({ id, payload }) => [id, payload]));
  // One that was removed in between is simply no longer there.
  return best.filter(({ id }) => payloads.has(id)).map((hit) => ({ ...hit, payload: payloads.get(hit.id) }));
}
