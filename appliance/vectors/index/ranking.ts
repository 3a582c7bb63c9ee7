/** The best of many scores. Equal scores are ordered by id, so that the same question has the same answer every time. */
import type { SlotIds } from "../pointId.ts";

export type Hit = {
  readonly slot: number;
  readonly score: number;
  /** What it was ordered by, where it was ordered by a payload key. */
  readonly order?: number;
};
type Scores = Float32Array | Float64Array;

/**
 * Slots of the `count` highest scores and of all that equal the lowest of those, within a bound. Score i belongs to slot
 * `slots[i]`, or to slot i. NaN is never chosen.
 */
export function bestSlots(scores: Scores, count: number, slots?: Uint32Array): Uint32Array {
  const places = bestPlaces(scores, count);
  return slots ? places.map((i) => slots[i]!) : places;
}

/** Best first, at most `limit`. */
export function bestHits(slots: Uint32Array, scores: Float64Array, limit: number, ids: SlotIds): Hit[] {
  const hits = Array.from(bestPlaces(scores, limit), (i) => ({ slot: slots[i]!, score: scores[i]! }));
  return ranked(hits, ids).slice(0, limit);
}

export function ranked(hits: Hit[], ids: SlotIds): Hit[] {
  return hits.sort((a, b) => b.score - a.score || ids.compare(a.slot, b.slot));
}

function bestPlaces(scores: Scores, count: number): Uint32Array {
  const cut = lowestOfBest(scores, count);
  // More ties than this are cut arbitrarily: nobody can tell a thousand identical vectors apart.
  const out = new Uint32Array(Math.min(scores.length, count * 2 + 1024));
  let n = 0;
  for (let i = 0; i < scores.length && n < out.length; i++) {
    if (scores[i]! > cut) out[n++] = i;
  }
  for (let i = 0; i < scores.length && n < out.length; i++) {
    if (cut === scores[i]) out[n++] = i;
  }
  return out.subarray(0, n).sort();
}

/** The `count`-th highest score, by a heap of that size whose top is the lowest kept. */
function lowestOfBest(scores: Scores, count: number): number {
  const heap = new Float64Array(Math.max(1, Math.min(count, scores.length))).fill(Number.NEGATIVE_INFINITY);
  const size = heap.length;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!;
    if (!(score > heap[0]!)) continue;
    let at = 0;
    for (let child = 1; child < size; child = at * 2 + 1) {
      if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= score) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = score;
  }
  return heap[0]!;
}
