/** The search tests' app, served to real clients. */
import { join } from "node:path";
import type { ConvexHttpClient } from "convex/browser";
import { anyApi, type ApiFromModules } from "convex/server";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { serve, type Served } from "../served.ts";
import type * as articles from "./app/articles.ts";

export const api = anyApi as unknown as ApiFromModules<{ articles: typeof articles }>;
export const appDir = join(import.meta.dirname, "app");

export function opened(functionsDir = appDir): Promise<Served> {
  return serve((dir, origin) => openCore({ dir, functionsDir, env: {}, origin, log: () => undefined }));
}

export async function addAll(client: ConvexHttpClient, texts: readonly string[], shelf = "a"): Promise<void> {
  for (const text of texts) await client.mutation(api.articles.add, { text, shelf });
}
