/**
 * One named sparse vector of a collection as an inverted index: per term the slots that carry it, ascending, with their weights.
 * All lists live in two arrays that are cut into runs of a power of two, so a hundred thousand rare terms cost no objects.
 */
import { lowerBound } from "./slots.ts";
import type { Terms } from "./values.ts";

/** Scores by slot: only slots that share a term with the query are there. */
export type Scored = { readonly slots: Uint32Array; readonly scores: Float64Array };

type Run = { at: number; size: number; order: number };

export class SparseIndex {
  #count = 0;
  readonly #runs = new Map<number, Run>();
  #slots = new Uint32Array(1024);
  #weights = new Float32Array(1024);
  #used = 0;
  readonly #free: number[][] = [];
  // Scratch for scoring, by slot: all zero between calls.
  #sums = new Float64Array(0);
  #seen = new Uint8Array(0);
  #found = new Uint32Array(0);

  /** Points that have this vector, empty ones too: the N of the IDF. */
  get count(): number {
    return this.#count;
  }

  /** The slot must not hold a vector yet. */
  add(slot: number, { indices, values }: Terms): void {
    for (let i = 0; i < indices.length; i++) this.#insert(indices[i]!, slot, values[i]!);
    this.#count++;
  }

  /** `terms` is what was added. */
  remove(slot: number, { indices }: Terms): void {
    for (const term of indices) this.#drop(term, slot);
    this.#count--;
  }

  /**
   * Instead of `before`, which is what was added. Terms that both have stay where they are: taking a common word out of its list and putting it
   * back moves all that comes after it, twice.
   */
  replace(slot: number, before: Terms, after: Terms): void {
    const [old, now] = [before.indices, after.indices];
    for (let i = 0, j = 0; i < old.length || j < now.length;) {
      const [one, other] = [old[i] ?? Infinity, now[j] ?? Infinity];
      if (one < other) this.#drop(one, slot);
      else if (one > other) this.#insert(other, slot, after.values[j]!);
      else if (before.values[i] !== after.values[j]) this.#weigh(one, slot, after.values[j]!);
      if (one <= other) i++;
      if (one >= other) j++;
    }
  }

  /** Slots and weights of a term; valid until the next change. */
  postings(term: number): { slots: Uint32Array; weights: Float32Array } {
    const run = this.#runs.get(term);
    if (!run) return { slots: new Uint32Array(0), weights: new Float32Array(0) };
    const end = run.at + run.size;
    return { slots: this.#slots.subarray(run.at, end), weights: this.#weights.subarray(run.at, end) };
  }

  /** Dot products with `query`. `among` limits them to these (ascending) slots. */
  scores(query: Terms, slotsMax: number, among?: Uint32Array): Scored {
    if (this.#sums.length < slotsMax) {
      this.#sums = new Float64Array(Math.ceil(slotsMax * 1.5));
      this.#found = new Uint32Array(this.#sums.length);
      this.#seen = new Uint8Array(this.#sums.length);
    }
    const [sums, seen, found] = [this.#sums, this.#seen, this.#found];
    const allowed = among && mask(among, slotsMax);
    let n = 0;
    for (let i = 0; i < query.indices.length; i++) {
      const factor = query.values[i]!;
      const { slots, weights } = this.postings(query.indices[i]!);
      for (let j = 0; j < slots.length; j++) {
        const slot = slots[j]!;
        if (allowed && allowed[slot] === 0) continue;
        sums[slot]! += factor * weights[j]!;
        if (seen[slot] === 0) {
          seen[slot] = 1;
          found[n++] = slot;
        }
      }
    }
    const slots = found.slice(0, n);
    const scores = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const slot = slots[i]!;
      scores[i] = sums[slot]!;
      sums[slot] = 0;
      seen[slot] = 0;
    }
    return { slots, scores };
  }

  #insert(term: number, slot: number, weight: number): void {
    let run = this.#runs.get(term);
    if (!run) {
      run = { at: this.#allocate(0), size: 0, order: 0 };
      this.#runs.set(term, run);
    }
    if (run.size === 2 ** run.order) this.#enlarge(run);
    const end = run.at + run.size;
    const isLast = run.size === 0 || this.#slots[end - 1]! < slot;
    const at = isLast ? end : run.at + lowerBound(this.#slots.subarray(run.at, end), slot);
    if (!isLast) {
      this.#slots.copyWithin(at + 1, at, end);
      this.#weights.copyWithin(at + 1, at, end);
    }
    this.#slots[at] = slot;
    this.#weights[at] = weight;
    run.size++;
  }

  #weigh(term: number, slot: number, weight: number): void {
    const run = this.#runs.get(term)!;
    this.#weights[run.at + lowerBound(this.#slots.subarray(run.at, run.at + run.size), slot)] = weight;
  }

  #drop(term: number, slot: number): void {
    const run = this.#runs.get(term);
    if (!run) return;
    const end = run.at + run.size;
    const at = run.at + lowerBound(this.#slots.subarray(run.at, end), slot);
    if (at === end || this.#slots[at] !== slot) return;
    this.#slots.copyWithin(at, at + 1, end);
    this.#weights.copyWithin(at, at + 1, end);
    run.size--;
    if (run.size > 0) return;
    this.#release(run);
    this.#runs.delete(term);
  }

  #enlarge(run: Run): void {
    const at = this.#allocate(run.order + 1);
    this.#slots.copyWithin(at, run.at, run.at + run.size);
    this.#weights.copyWithin(at, run.at, run.at + run.size);
    this.#release(run);
    run.at = at;
    run.order++;
  }

  #allocate(order: number): number {
    const reused = this.#free[order]?.pop();
    if (reused !== undefined) return reused;
    const at = this.#used;
    this.#used += 2 ** order;
    if (this.#used > this.#slots.length) {
      const length = Math.max(this.#used, Math.ceil(this.#slots.length * 1.5));
      const slots = new Uint32Array(length);
      const weights = new Float32Array(length);
      slots.set(this.#slots);
      weights.set(this.#weights);
      this.#slots = slots;
      this.#weights = weights;
    }
    return at;
  }

  #release(run: Run): void {
    (this.#free[run.order] ??= []).push(run.at);
  }
}

function mask(slots: Uint32Array, slotsMax: number): Uint8Array {
  const bits = new Uint8Array(slotsMax);
  for (const slot of slots) bits[slot] = 1;
  return bits;
}
