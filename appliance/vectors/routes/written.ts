import type { Change } from "../writes.ts";
import type { Call } from "../route.ts";

/** Writes, and says so the way Qdrant does. It is durable either way; `wait` only decides the word. */
export function written({ store, path, search }: Call, change: Change): unknown {
  const operation_id = store.write(path["c"]!, change);
  return { operation_id, status: search.get("wait") === "true" ? "completed" : "acknowledged" };
}
