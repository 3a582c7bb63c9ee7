/**
 * One named sparse vector of a collection as an inverted index: per term the slots that carry it, ascending, with their weights.
 * All lists live in two arrays that are cut into runs of a power of two, so a hundred thousand rare terms cost no objects.
 */
import { Best } from "./ranking.ts";
import { lowerBound } from "./slots.ts";
import type { Terms } from "./values.ts";

/** Scores by slot: only slots that share a term with the query are there. */
export type Scored = { readonly slots: Uint32Array; readonly scores: Float64Array };

/** `most` is at least the largest weight there: what was heavier once may be gone. */
type Run = { at: number; size: number; order: number; most: number };

/** A term of a question: what it adds at most to a score, and at what rate. */
type Asked = { readonly run: Run; readonly factor: number; readonly most: number };

type Looking = {
  readonly limit: number;
  /** One more than the highest slot in use. */
  readonly slotsMax: number;
  /** Limits the answer to these (ascending) slots. */
  readonly among?: Uint32Array | undefined;
};

/** Sums of the same numbers in another order differ by less than this share. */
const rounding = 1e-9;
/** Looking a slot up in a list costs as much as walking over this many of it. */
const searchCost = 12;

export class SparseIndex {
  #count = 0;
  /** Then a further term may make a score less, and nothing can be left out. */
  #hasNegative = false;
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

  /**
   * Dot products with `query` of the `limit` slots that have the highest, of all that equal the last of them, and of some others. The words that
   * say most are added up first. As soon as the others cannot bring a slot among the best that has none of the first, only slots that were seen
   * are looked up in their lists, which may hold every slot there is.
   */
  best(query: Terms, { limit, slotsMax, among }: Looking): Scored {
    this.#makeRoom(slotsMax);
    const [sums, seen, found] = [this.#sums, this.#seen, this.#found];
    const allowed = among && mask(among, slotsMax);
    const { asked, isPruned } = this.#asked(query);
    const rest = restsOf(asked);
    let n = 0;
    let at = 0;
    let cut = Number.NEGATIVE_INFINITY;
    for (; at < asked.length && !(rest[at]! < cut); at++) {
      const { run, factor } = asked[at]!;
      for (let j = run.at; j < run.at + run.size; j++) {
        const slot = this.#slots[j]!;
        if (allowed && allowed[slot] === 0) continue;
        sums[slot]! += factor * this.#weights[j]!;
        if (seen[slot] === 0) {
          seen[slot] = 1;
          found[n++] = slot;
        }
      }
      // Finding out costs a walk over what was found, so there must be more than that to be saved.
      if (isPruned && n >= limit && left(asked, at + 1) > n) cut = cutOf(found.subarray(0, n), sums, limit);
    }
    let slots: Uint32Array = found.slice(0, n);
    if (at < asked.length) slots = this.#lookedUp(slots, { asked, rest, at, cut, limit });
    const scores = Float64Array.from(slots, (slot) => sums[slot]!);
    for (let i = 0; i < n; i++) {
      sums[found[i]!] = 0;
      seen[found[i]!] = 0;
    }
    return { slots, scores };
  }

  /** Adds what the terms from `at` on give to these slots, and leaves out on the way what cannot be among the best any more. */
  #lookedUp(
    slots: Uint32Array,
    { asked, rest, at, cut, limit }: { asked: readonly Asked[]; rest: Float64Array; at: number; cut: number; limit: number },
  ): Uint32Array {
    const sums = this.#sums;
    let kept = slots.filter((slot) => sums[slot]! + rest[at]! >= cut).sort();
    for (let i = at; i < asked.length; i++) {
      const { run, factor } = asked[i]!;
      const list = this.#slots.subarray(run.at, run.at + run.size);
      const isSearched = kept.length * searchCost < list.length;
      let from = 0;
      for (const slot of kept) {
        if (isSearched) from = lowerBound(list, slot, from);
        else while (from < list.length && list[from]! < slot) from++;
        if (from === list.length) break;
        if (list[from] === slot) sums[slot]! += factor * this.#weights[run.at + from]!;
      }
      const least = cutOf(kept, sums, limit);
      if (i + 1 < asked.length) kept = kept.filter((slot) => sums[slot]! + rest[i + 1]! >= least);
    }
    return kept;
  }

  /** What says most comes first; the lists of what says little are the long ones. */
  #asked({ indices, values }: Terms): { readonly asked: readonly Asked[]; readonly isPruned: boolean } {
    const asked: Asked[] = [];
    let isPruned = !this.#hasNegative;
    for (let i = 0; i < indices.length; i++) {
      const run = this.#runs.get(indices[i]!);
      const factor = values[i]!;
      if (factor < 0) isPruned = false;
      if (run) asked.push({ run, factor, most: factor * run.most });
    }
    return { asked: asked.sort((one, other) => other.most - one.most || one.run.size - other.run.size), isPruned };
  }

  #makeRoom(slotsMax: number): void {
    if (this.#sums.length >= slotsMax) return;
    this.#sums = new Float64Array(Math.ceil(slotsMax * 1.5));
    this.#found = new Uint32Array(this.#sums.length);
    this.#seen = new Uint8Array(this.#sums.length);
  }

  #insert(term: number, slot: number, weight: number): void {
    let run = this.#runs.get(term);
    if (!run) {
      run = { at: this.#allocate(0), size: 0, order: 0, most: 0 };
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
    this.#put(run, at, weight);
    run.size++;
  }

  #put(run: Run, at: number, weight: number): void {
    this.#weights[at] = weight;
    if (weight > run.most) run.most = weight;
    // What is no number is not more than nothing either.
    if (!(weight >= 0)) this.#hasNegative = true;
  }

  #weigh(term: number, slot: number, weight: number): void {
    const run = this.#runs.get(term)!;
    this.#put(run, run.at + lowerBound(this.#slots.subarray(run.at, run.at + run.size), slot), weight);
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

/** What the terms from each place on can add together, rounding included. */
function restsOf(asked: readonly Asked[]): Float64Array {
  const rest = new Float64Array(asked.length + 1);
  for (let i = asked.length - 1; i >= 0; i--) rest[i] = rest[i + 1]! + asked[i]!.most;
  return rest.map((most) => most * (1 + rounding));
}

const left = (asked: readonly Asked[], from: number): number => asked.slice(from).reduce((sum, { run }) => sum + run.size, 0);

/** The `limit`th highest sum of these slots, less what rounding could make of it. */
function cutOf(slots: Uint32Array, sums: Float64Array, limit: number): number {
  const best = new Best(limit);
  let cut = best.cut;
  for (const slot of slots) {
    const sum = sums[slot]!;
    if (sum < cut) continue;
    best.offer(slot, sum);
    cut = best.cut;
  }
  return cut * (1 - rounding);
}

function mask(slots: Uint32Array, slotsMax: number): Uint8Array {
  const bits = new Uint8Array(slotsMax);
  for (const slot of slots) bits[slot] = 1;
  return bits;
}
