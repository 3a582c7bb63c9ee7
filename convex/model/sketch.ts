/** Near-duplicates by their sketches, which ml/retrieve/sketch.ts makes and files under keys that near-duplicates share. */
import { v, type Infer } from "convex/values";

/** What a document says, in short, and the keys it is found by. */
export const vWording = v.object({ sketch: v.array(v.number()), bands: v.array(v.string()) });
export type Wording = Infer<typeof vWording>;

/** More than ml/retrieve/sketch.ts makes of either. */
export const sketchMax = 256;
export const bandsMax = 32;

/** Below this, two documents are alike in kind and not in wording. */
export const likenessMin = 0.6;
/** Shown of one document. */
export const likenessesMax = 8;

/** The share of wording two documents have in common, estimated from their sketches; 0 when these do not compare. */
export function likeness(one: readonly number[], other: readonly number[]): number {
  if (one.length === 0 || one.length !== other.length) return 0;
  return one.filter((value, at) => value === other[at]).length / one.length;
}
