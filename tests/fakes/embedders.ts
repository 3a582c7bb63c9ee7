import type { GenerationRecord } from "../../appliance/qdrant/book.ts";
import { internal } from "../../convex/_generated/api.js";
import { learnedId, wantedOf } from "../../convex/model/generation.ts";
import type { Embedder, Embedders } from "../../functions/ports/embedder.ts";
import type { State } from "../../functions/ports/state.ts";

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

/** Some of them, and what is asked of whoever holds the files of models. */
export function madeEmbedders(modelId = "learned"): Embedders & {
  readonly old: Embedder;
  readonly fresh: Embedder;
  find(wanted: string): Promise<{ embedderId: string; dimensions: number }>;
} {
  const [old, fresh, bge] = [
    madeEmbedder("nika-baseline-made"),
    madeEmbedder(learnedId(modelId, "made")),
    madeEmbedder("bge-made"),
  ];
  const all = [old, fresh, bge];
  return {
    old,
    fresh,
    of: async (id) => all.find((one) => one.id === id),
    find: async (wanted) => {
      const { id: embedderId, dimensions } = all.find(({ id }) => wantedOf(id) === wanted)!;
      return { embedderId, dimensions };
    },
  };
}

/** The record of what is in force, read from a control plane. */
export const recordOf = (state: State, embedders: Embedders): GenerationRecord => ({
  read: () => state.query(internal.generations.spaces, {}),
  adopt: (found) => state.mutation(internal.generations.adopt, found),
  lose: async ({ generationId }, problem) => {
    await state.mutation(internal.generations.lapse, { generationId, problem });
  },
  watch: (changed) => void state.watch(internal.generations.spaces, {}, changed, () => undefined),
  embedder: (id) => embedders.of(id),
});
