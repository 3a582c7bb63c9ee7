/** The best of many scores. Equal scores are ordered by id, so that the same question has the same answer every time. */
import type { SlotIds } from "../pointId.ts";

export type Hit = {
  readonly slot: number;
  readonly score: number;
  /** What it was ordered by, where it was ordered by a payload key. */
  readonly order?: number;
};
type Scores = Float32Array | Float64Array;

/** Best first, at most `limit`. */
export function bestHits(slots: Uint32Array, scores: Float64Array, limit: number, ids: SlotIds): Hit[] {
  const hits = Array.from(bestPlaces(scores, limit), (i) => ({ slot: slots[i]!, score: scores[i]! }));
  return ranked(hits, ids).slice(0, limit);
}

export function ranked(hits: Hit[], ids: SlotIds): Hit[] {
  return hits.sort((a, b) => b.score - a.score || ids.compare(a.slot, b.slot));
}

function bestPlaces(scores: Scores, count: number): Uint32Array {
  const best = new Best(Math.min(count, scores.length));
  for (let i = 0; i < scores.length; i++) if (scores[i]! >= best.cut) best.offer(i, scores[i]!);
  return best.places();
}

/**
 * The `count` highest of the scores that are offered one after the other, and all that equal the lowest of those, within a bound: a heap
 * of the scores, whose top is the lowest kept, beside a list of what came in. NaN must not be offered.
 */
export class Best {
  readonly #count: number;
  readonly #heap: Float64Array;
  #places: Uint32Array;
  #scores: Float64Array;
  #size = 0;

  constructor(count: number) {
    this.#count = count;
    this.#heap = new Float64Array(Math.max(1, count)).fill(Number.NEGATIVE_INFINITY);
    this.#places = new Uint32Array(count * 2 + 64);
    this.#scores = new Float64Array(this.#places.length);
  }

  /** What scores less is out already. */
  get cut(): number {
    return this.#heap[0]!;
  }

  offer(place: number, score: number): void {
    const heap = this.#heap;
    if (score < heap[0]!) return;
    if (this.#size === this.#places.length) this.#makeRoom();
    this.#places[this.#size] = place;
    this.#scores[this.#size++] = score;
    if (score === heap[0]) return;
    let at = 0;
    for (let child = 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= score) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = score;
  }

  /** In the order they were offered in. */
  places(): Uint32Array {
    this.#finish();
    return this.#places.slice(0, this.#size);
  }

  /** Of `places()`, one by one. */
  scores(): Float64Array {
    this.#finish();
    return this.#scores.slice(0, this.#size);
  }

  #finish(): void {
    const [places, scores, cut] = [this.#places, this.#scores, this.cut];
    // More ties than this are cut arbitrarily: nobody can tell a thousand identical vectors apart.
    let ties = this.#count + 1024;
    let n = 0;
    for (let i = 0; i < this.#size; i++) {
      if (scores[i]! < cut || (scores[i] === cut && ties-- <= 0)) continue;
      places[n] = places[i]!;
      scores[n++] = scores[i]!;
    }
    this.#size = n;
  }

  /** Drops what has fallen under the cut since; when that is little, the lists grow. */
  #makeRoom(): void {
    let n = 0;
    for (let i = 0; i < this.#size; i++) {
      if (this.#scores[i]! < this.cut) continue;
      this.#places[n] = this.#places[i]!;
      this.#scores[n++] = this.#scores[i]!;
    }
    this.#size = n;
    if (n < this.#places.length / 2) return;
    const [places, scores] = [this.#places, this.#scores];
    this.#places = new Uint32Array(places.length * 2);
    this.#scores = new Float64Array(places.length * 2);
    this.#places.set(places);
    this.#scores.set(scores);
  }
}
