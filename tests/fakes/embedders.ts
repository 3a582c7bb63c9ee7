import { learnedId } from "../../convex/model/generation.ts";
import type { Embedder, Embedders } from "../../functions/ports/embedder.ts";

/** Counts letters, each at a place that depends on who counts: what one makes means nothing to the other. */
export function madeEmbedder(id: string, dimensions = 384): Embedder {
  let salt = 7;
  for (let at = 0; at < id.length; at += 1) salt = (salt * 31 + id.charCodeAt(at)) >>> 0;
  const embed = (text: string): Float32Array => {
    const vector = new Float32Array(dimensions);
    for (let at = 0; at + 2 < text.length; at += 1) {
      const three = (text.charCodeAt(at) * 961 + text.charCodeAt(at + 1) * 31 + text.charCodeAt(at + 2) + salt) >>> 0;
      vector[(Math.imul(three ^ salt, 2654435761) >>> 0) % dimensions]! += 1;
    }
    const norm = Math.hypot(...vector) || 1;
    return vector.map((value) => value / norm);
  };
  return {
    id,
    label: `made, ${id}`,
    dimensions,
    isBaseline: false,
    passages: async (texts) => texts.map(embed),
    query: async (text) => embed(text),
  };
}

/** Two of them, and what is asked of whoever holds the files of models. */
export function madeEmbedders(modelId = "learned"): Embedders & {
  readonly old: Embedder;
  readonly fresh: Embedder;
  find(wanted: string): Promise<{ embedderId: string; dimensions: number }>;
} {
  const [old, fresh] = [madeEmbedder("nika-baseline-made"), madeEmbedder(learnedId(modelId, "made"))];
  const all = new Map([old, fresh].map((one) => [one.id, one]));
  return {
    old,
    fresh,
    of: async (id) => all.get(id),
    find: async (wanted) => {
      const { id: embedderId, dimensions } = wanted === "baseline" ? old : fresh;
      return { embedderId, dimensions };
    },
  };
}
