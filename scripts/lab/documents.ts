import type { ConvexClient } from "convex/browser";
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";

export type Listed = FunctionReturnType<typeof api.documents.page>["page"][number];

/** Every document of an appliance, newest first. */
export async function everyDocument(client: ConvexClient): Promise<Listed[]> {
  const all: Listed[] = [];
  for (let cursor: string | null = null; ;) {
    const found: FunctionReturnType<typeof api.documents.page> = await client.query(api.documents.page, {
      paginationOpts: { numItems: 200, cursor },
    });
    all.push(...found.page);
    if (found.isDone) return all;
    cursor = found.continueCursor;
  }
}
