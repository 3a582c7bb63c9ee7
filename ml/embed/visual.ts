/**
 * A picture as 1,408 numbers without a model of pictures: the words that belong to it, as the offline baseline sees them, beside what it
 * looks like. A question in words is near to pictures with such words; a picture is near to those that look like it.
 */
import { baselineEmbedder, type BaselineEmbedder } from "./baseline.ts";
import { looksDimensions, looksOf } from "./looks.ts";

export type VisualDescriptor = {
  readonly id: string;
  readonly label: string;
  /** Fails when the picture cannot be decoded. */
  image(bytes: Uint8Array, words: string): Promise<Float32Array>;
  text(query: string): Float32Array;
};

/** Of a picture with words, how much of its direction they are. */
const wordsShare = 0.5;

export function visualDescriptor(baseline: BaselineEmbedder = baselineEmbedder()): VisualDescriptor {
  const embed = (text: string): Float32Array | undefined => (/[\p{L}\p{N}]/u.test(text) ? baseline.embed([text])[0] : undefined);
  return {
    // Other words, other vectors: the baseline's name is part of this one's.
    id: `nika-visual-v1+${baseline.id}`,
    label: "nika-visual-v1: words of the picture and its looks, not its meaning",
    image: async (bytes, words) => {
      const said = embed(words);
      const looks = await looksOf(bytes);
      return joined(baseline.dimensions, { said, saidShare: said ? wordsShare : 0, looks });
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
