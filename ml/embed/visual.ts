/**
 * A picture as 1,408 numbers without a model of pictures: the words that belong to it, as the offline baseline sees them, beside what it
 * looks like. A question in words is near to pictures with such words; a picture is near to those that look like it.
 */
import { baselineEmbedder, type BaselineEmbedder } from "./baseline.ts";
import { looksDimensions, looksOf, looksUnused } from "./looks.ts";

export type VisualDescriptor = {
  readonly id: string;
  readonly label: string;
  /** Fails when the picture cannot be decoded. */
  image(bytes: Uint8Array, words: string): Promise<Float32Array>;
  /** As a question: pictures with such looks are near, whether they have words or not. Fails as `image` does. */
  like(bytes: Uint8Array, words: string): Promise<Float32Array>;
  text(query: string): Float32Array;
};

/** How much of a picture's direction its words are. One without words is nowhere in particular there, so that looks weigh the same in all. */
const wordsShare = 0.5;

export function visualDescriptor(baseline: BaselineEmbedder = baselineEmbedder()): VisualDescriptor {
  const embed = (text: string): Float32Array | undefined => (/[\p{L}\p{N}]/u.test(text) ? baseline.embed([text])[0] : undefined);
  return {
    // Other words, other vectors: the baseline's name is part of this one's.
    id: `nika-visual-v1+${baseline.id}`,
    label: "nika-visual-v1: words of the picture and its looks, not its meaning",
    image: async (bytes, words) => {
      const said = embed(words);
      const vector = joined(baseline.dimensions, { said, saidShare: wordsShare, looks: await looksOf(bytes) });
      if (!said) vector[baseline.dimensions + looksUnused] = Math.sqrt(wordsShare);
      return vector;
    },
    like: async (bytes, words) => {
      const said = embed(words);
      return joined(baseline.dimensions, { said, saidShare: said ? wordsShare : 0, looks: await looksOf(bytes) });
    },
    text: (query) => joined(baseline.dimensions, { said: embed(query), saidShare: 1, looks: undefined }),
  };
}

type Parts = { readonly said: Float32Array | undefined; readonly saidShare: number; readonly looks: Float32Array | undefined };

function joined(wordsDimensions: number, { said, saidShare, looks }: Parts): Float32Array {
  const vector = new Float32Array(wordsDimensions + looksDimensions);
  if (said) vector.set(said.map((value) => value * Math.sqrt(saidShare)));
  if (looks)
    vector.set(
      looks.map((value) => value * Math.sqrt(1 - saidShare)),
      wordsDimensions,
    );
  return vector;
}
