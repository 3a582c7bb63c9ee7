/** `ctx.vectorSearch` of an action, answered by a query thread: it scans, and must hold up neither mutations nor sockets. */
import { encodeId } from "../codec/id.ts";
import { DeveloperError, toFloat } from "../codec/value.ts";
import type { Result } from "../model/call.ts";
import type { Store } from "../store/store.ts";
import type { VectorRequest } from "./vectors.ts";

/** Goes to the query threads as the path of a function that no app can have. */
export const vectorSearch = "_system:vectorSearch";

/** `args` is the JSON text of the query as the client library wrote it. */
export function searchVectors(store: Store, args: string): Result {
  try {
    const request = JSON.parse(args) as VectorRequest;
    const table = store.catalog.table(request.indexName.slice(0, request.indexName.indexOf(".")));
    const index = table?.vectors.find((one) => one.name === request.indexName);
    if (!table || !index) throw new DeveloperError(`Index ${request.indexName} not found.`);
    const found = store.searches.vectors.find(index, request);
    const results = found.map(({ id, score }) => ({ _id: encodeId(table.number, id), _score: toFloat(score) }));
    return { ok: true, value: JSON.stringify({ results }) };
  } catch (error) {
    if (error instanceof DeveloperError) return { ok: false, message: error.message };
    throw error;
  }
}
