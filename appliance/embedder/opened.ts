import type { Embedder } from "../../functions/ports/embedder.ts";
import type { VisualEmbedder } from "../../functions/ports/visual.ts";

/** An embedder that holds processes, and lets them go. */
export type OpenedEmbedder = Embedder & { close(): Promise<void> };
/** The same for pictures. */
export type OpenedVisual = VisualEmbedder & { close(): Promise<void> };
