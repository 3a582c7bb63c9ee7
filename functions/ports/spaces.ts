import type { Space } from "../../convex/model/generation.ts";

/** A collection that is about to be filled. */
export type NewSpace = Pick<Space, "collection" | "embedderId" | "dimensions">;

/** The spaces of vectors behind the vault, for whoever moves it from one embedder to another. Fails as `Vectors` does. */
export type Spaces = {
  /** Which embedder "baseline", "bge" or the id of a trained model stands for. Fails with `missing` when it is not on this machine. */
  find(wanted: string): Promise<Pick<Space, "embedderId" | "dimensions">>;
  /**
   * Reads again which spaces there are. Once it has resolved, every write goes to all of them, and none that began before is still under
   * way.
   */
  refresh(): Promise<void>;
  /** Makes an empty collection; one that is there is left as it is. */
  prepare(space: NewSpace): Promise<void>;
  /** Passages there are, what a second space takes of the disk, and what is free; nothing is known of a disk elsewhere. */
  room(): Promise<{ readonly passages: number; readonly needBytes: number; readonly freeBytes: number }>;
  /** Passages in the space in force and in the one beside it, both at one moment. */
  sizes(): Promise<{ readonly live: number; readonly beside: number }>;
  /**
   * Some passages more into the space beside, each as it is at that moment, embedded for that space. `cursor` is where to go on, null at the
   * beginning and, in the answer, at the end. The same may be copied again. It answers after a rest, as `compare` does: how much and how fast
   * follows how long searches take meanwhile.
   */
  copy(cursor: string | null, signal: AbortSignal): Promise<{ readonly cursor: string | null; readonly copied: number }>;
  /** Compares some passages of both spaces and puts right what differs. `mended`: how many did. */
  compare(cursor: string | null, signal: AbortSignal): Promise<{ readonly cursor: string | null; readonly mended: number }>;
  /** The least cosine, over a sample of the space beside, between what is stored and what its embedder gives now; 1 when it is empty. */
  sample(signal: AbortSignal): Promise<number>;
  /** Has the vault's public name stand for the space in force: one request, at once. */
  point(): Promise<void>;
  /** A collection that is not there is not an error. */
  drop(collection: string): Promise<void>;
};
