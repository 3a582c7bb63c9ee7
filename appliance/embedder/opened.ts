import type { Embedder } from "../../functions/ports/embedder.ts";

/** An embedder that holds processes, and lets them go. */
export type OpenedEmbedder = Embedder & { close(): Promise<void> };
