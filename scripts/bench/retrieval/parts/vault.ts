/** A vault as the appliance has it: the embedded store behind its client, and the baseline embedder in this process. */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { qdrantVectors, type QdrantVectors } from "../../../../appliance/qdrant/vectors.ts";
import { startVectors } from "../../../../appliance/vectors/vectors.ts";
import type { Embedder } from "../../../../functions/ports/embedder.ts";
import { baselineEmbedder } from "../../../../ml/embed/baseline.ts";

export const tenantId = "owner";

export type BenchVault = {
  readonly vectors: QdrantVectors;
  readonly embedder: Embedder;
  diskMiB(): number;
  [Symbol.asyncDispose](): Promise<void>;
};

/** In a folder of its own that goes with it, or in one that stays. */
export async function openVault(kept?: string): Promise<BenchVault> {
  const dir = kept ?? mkdtempSync(join(tmpdir(), "nika-bench-"));
  const apiKey = "bench";
  const store = await startVectors({ dir, apiKey, host: "127.0.0.1", log: console.error });
  const baseline = baselineEmbedder();
  const embedder: Embedder = {
    ...baseline,
    isBaseline: true,
    passages: async (texts) => baseline.embed(texts),
    query: async (text) => baseline.embed([text])[0]!,
  };
  return {
    vectors: qdrantVectors({ url: store.url, apiKey, embedderId: embedder.id }),
    embedder,
    diskMiB: () => readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0) / 2 ** 20,
    async [Symbol.asyncDispose]() {
      await store.close();
      if (kept === undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
}
