/** A picture as it is kept, with the words that belong to it: caption, recognised text, the heading it stands under. */
export type VisualPicture = { readonly bytes: Uint8Array; readonly words: string };

/** How many numbers every visual embedder gives: what Vertex's multimodal model does, which others fill up to with zeros. */
export const visualDimensions = 1_408;

/** Pictures and questions to unit vectors of one space. One is in force at a time; its `id` is kept with what it made. */
export type VisualEmbedder = {
  /** Changes whenever the same picture would give another vector. */
  readonly id: string;
  /** One line for people: what it is and what it is not. */
  readonly label: string;
  readonly dimensions: typeof visualDimensions;
  /** Whether a picture without a word can be found by what it shows. */
  readonly seesMeaning: boolean;
  /** Whether pictures leave the machine to be embedded. */
  readonly isRemote: boolean;
  /**
   * One vector of L2 norm 1 per picture, in order; undefined for one that cannot be decoded or is not taken. Fails with `cancelled`,
   * `unavailable` when it does not answer, `denied` when the key is not taken.
   */
  images(pictures: readonly VisualPicture[], signal: AbortSignal): Promise<readonly (Float32Array | undefined)[]>;
  /** What pictures like this one are near to; undefined when it cannot be decoded or is not taken. */
  like(picture: VisualPicture, signal: AbortSignal): Promise<Float32Array | undefined>;
  /** What a picture that this describes would be near to. */
  text(query: string, signal: AbortSignal): Promise<Float32Array>;
};
