import { NikaError } from "../../convex/model/error.ts";
import type { Embedder } from "../../functions/ports/embedder.ts";

const dimensions = 16;

/** Counts letters into a unit vector: texts that share wording are near. */
export function fakeEmbedder(): Embedder {
  const embed = (text: string): Float32Array => {
    const vector = new Float32Array(dimensions);
    for (const char of text.toLowerCase()) vector[(char.codePointAt(0) ?? 0) % dimensions]! += 1;
    const norm = Math.hypot(...vector) || 1;
    return vector.map((x) => x / norm);
  };
  const stopped = (signal: AbortSignal): void => {
    if (signal.aborted) throw new NikaError("cancelled", "Embedding was cancelled.");
  };
  return {
    id: "letters-16",
    label: "counts letters",
    isBaseline: true,
    dimensions,
    async passages(texts, signal) {
      stopped(signal);
      return texts.map(embed);
    },
    async query(text, signal) {
      stopped(signal);
      return embed(text);
    },
  };
}
