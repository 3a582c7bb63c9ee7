/**
 * One named dense vector of a collection, as int8 rows with a scale per row. It finds the rows worth an exact score; the floats
 * themselves stay in the database, so memory is a quarter of the raw vectors.
 *
 * A scan is bound by memory, so it reads half of it: the rows' high nibbles give a coarse score each, and the best few hundred are
 * scored again with all their bits. How far the coarse scores of those were off tells which rows outside could still belong to the best;
 * these are scored again, too, or, when they are many, all rows. So nothing is lost that a plain scan would have found.
 *
 * Rows and questions are turned the same way first, which leaves every dot product as it is: each number becomes a sum of many, so that none
 * stands out. Where a few numbers are large and most are nothing, rounding by the largest would leave little of the others.
 */
import { openKernel, openMemory, pageBytes, type Kernel, type Memory } from "./kernel.ts";
import { Best } from "./ranking.ts";
import { Refusal } from "../refusal.ts";

// Rows come in blocks, so growing moves nothing: about this many bytes each, and never more rows than the kernel's scratch holds.
const blockBytesTarget = 1_600_000;
const rowsPerBlockMax = 4096;
const lane = 32; // The kernel eats rows in steps of 32 numbers.
const queryMax = 8191; // 14 bits, signed.
const coarseMax = 127;
/** From this share of all rows on, scanning all of them in order beats looking the wanted ones up. */
const scanShare = 0.25;
/** What a coarse look is worth trying for: with fewer rows it saves nothing. */
const coarseRowsMin = 8192;
/** Scored again after a coarse look: for ten results of 100,000 isotropic vectors (the worst case) some 300 were needed. */
const refined = (count: number): number => 256 + 8 * count;
/** A score is off by more than this many times its usual error once in three million. */
const doubt = 5;
/** What a coarse look leaves to be scored again, as a share of all rows: from here on it saves nothing. */
const leftShare = 0.2;
/** Coarse looks that are left out after one that did not suffice: where vectors lie that close together, the next would not either. */
const restAfterDoubt = 16;

/** Half of them minus, without a pattern, and the same for ever. */
const signOf = (i: number): number =>
  Math.imul(Math.imul(i + 1, 0x9e3779b1) ^ 0x5bd1e995, 0x85ebca6b + 2 * i) >>> 31 === 0 ? 1 : -1;

type Looked = { readonly query: Uint8Array; readonly isCoarse: boolean; readonly version: number };

export class DenseIndex {
  readonly dimensions: number;
  #count = 0;
  /** Numbers in a row, filled up to whole lanes. */
  readonly #width: number;
  readonly #half: number;
  /** Numbers that are mixed with each other: the largest power of two that a row is made of. */
  readonly #stretch: number;
  readonly #signs: Float64Array;
  readonly #turned: Float64Array;
  readonly #rowsPerBlock: number;
  readonly #blockBytes: number;
  readonly #out: number;
  readonly #list: number;
  readonly #head: number;
  #blocks = 0;
  readonly #memory: Memory;
  readonly #kernel: Kernel;
  // What takes the 128 off that rows are raised by, for the query in place.
  #offset = 0;
  #coarseOffset = 0;
  /** Length of the query in place, in its own whole numbers. */
  #norm = 0;
  /** Changes with every row. */
  #version = 0;
  /** Whose scores the blocks hold: one question is often asked several times, under other filters. */
  #looked: Looked | undefined;
  #rest = 0;

  constructor(dimensions: number, open: (memory: Memory) => Kernel = openKernel) {
    this.dimensions = dimensions;
    this.#width = Math.ceil(dimensions / lane) * lane;
    this.#half = this.#width / 2;
    this.#stretch = this.#width & -this.#width;
    this.#turned = new Float64Array(this.#width);
    this.#signs = Float64Array.from(this.#turned, (_, i) => signOf(i) / Math.sqrt(this.#stretch));
    this.#rowsPerBlock = Math.min(rowsPerBlockMax, Math.max(64, 2 ** Math.floor(Math.log2(blockBytesTarget / this.#width))));
    this.#blockBytes = this.#rowsPerBlock * (this.#width + 8);
    this.#out = this.#width * 3;
    this.#list = this.#out + rowsPerBlockMax * 4;
    this.#head = this.#list + rowsPerBlockMax * 4;
    this.#memory = openMemory(Math.ceil(this.#head / pageBytes));
    this.#kernel = open(this.#memory);
  }

  /** Rows held. */
  get count(): number {
    return this.#count;
  }

  has(slot: number): boolean {
    return slot < this.#blocks * this.#rowsPerBlock && !Number.isNaN(this.#scales(this.#blockOf(slot))[this.#rowOf(slot)]);
  }

  set(slot: number, vector: Float32Array): void {
    while (slot >= this.#blocks * this.#rowsPerBlock) this.#grow();
    const block = this.#blockOf(slot);
    const row = this.#rowOf(slot);
    const scales = this.#scales(block);
    if (Number.isNaN(scales[row])) this.#count++;
    const numbers = this.#turn(vector);
    let max = 0;
    for (let i = 0; i < numbers.length; i++) max = Math.max(max, Math.abs(numbers[i]!));
    const scale = max === 0 ? 1 : max / 127;
    const inverse = 1 / scale;
    const high = new Uint8Array(this.#memory.buffer, this.#highAt(block) + row * this.#half, this.#half);
    const low = new Uint8Array(this.#memory.buffer, this.#lowAt(block) + row * this.#half, this.#half);
    for (let at = 0; at < high.length; at++) {
      const i = (at >> 4) * lane + (at & 15);
      // Adding a half and truncating rounds, since the sum is positive.
      const one = (numbers[i]! * inverse + 128.5) | 0;
      const other = (numbers[i + 16]! * inverse + 128.5) | 0;
      high[at] = (one >> 4) | (other & 240);
      low[at] = (one & 15) | ((other & 15) << 4);
    }
    scales[row] = scale;
    this.#version++;
  }

  delete(slot: number): void {
    if (!this.has(slot)) return;
    // A scale that is not a number makes the score one too, and no comparison holds for it: the row can never be chosen.
    this.#scales(this.#blockOf(slot))[this.#rowOf(slot)] = Number.NaN;
    this.#count--;
    this.#version++;
  }

  /**
   * The `count` slots with the highest approximate dot product, plus those that tie with the last of them, in ascending order; less
   * those that cannot be among the true `wanted` best. `among` limits the search to these (ascending) slots.
   */
  candidates(query: Float32Array, count: number, among?: Uint32Array, wanted = count): Uint32Array {
    this.#setQuery(query);
    return this.#likely(this.#best(count, among), wanted);
  }

  #best(count: number, among: Uint32Array | undefined): Best {
    const total = this.#blocks * this.#rowsPerBlock;
    if (among && among.length < total * scanShare) return this.#exactOf(among, count);
    if (total >= coarseRowsMin && refined(count) * 4 < (among?.length ?? this.#count)) {
      if (this.#rest > 0) this.#rest--;
      else {
        const found = this.#coarsely(count, among);
        if (found) return found;
        this.#rest = restAfterDoubt;
      }
    }
    this.#lookAt(false);
    return this.#bestOfLooked(count, among);
  }

  /** Without those whose score is further below the last wanted one's than rounding to bytes explains. */
  #likely(best: Best, wanted: number): Uint32Array {
    const scores = best.scores();
    const slots = best.places();
    if (slots.length <= wanted) return slots;
    const last = scores.toSorted()[scores.length - wanted]!;
    let scaleMax = 0;
    for (const slot of slots) scaleMax = Math.max(scaleMax, this.#scales(this.#blockOf(slot))[this.#rowOf(slot)]!);
    // Rounding is off by up to half a step, evenly, so by this much in each number; and both rows may be.
    const lowest = last - 2 * doubt * ((scaleMax * this.#norm) / Math.sqrt(12));
    return slots.filter((_, i) => scores[i]! >= lowest);
  }

  /** Undefined when too many rows had to be scored again. */
  #coarsely(count: number, among: Uint32Array | undefined): Best | undefined {
    this.#lookAt(true);
    const coarse = this.#bestOfLooked(refined(count), among);
    let slots = coarse.places();
    for (let outside = coarse.cut; ;) {
      const best = new Best(count);
      const scores = this.#pick(slots);
      let squares = 0;
      for (const [i, slot] of slots.entries()) {
        best.offer(slot, scores[i]!);
        squares += (scores[i]! - this.#lookedScore(slot)) ** 2;
      }
      const needed = best.cut - doubt * Math.sqrt(squares / slots.length);
      if (outside <= needed) return best;
      slots = this.#lookedAbove(needed, among);
      if (slots.length > leftShare * (among?.length ?? this.#count)) return undefined;
      outside = needed;
    }
  }

  /** Slots with at least this score in the last look. */
  #lookedAbove(score: number, among: Uint32Array | undefined): Uint32Array {
    if (among) return among.filter((slot) => slot < this.#blocks * this.#rowsPerBlock && this.#lookedScore(slot) >= score);
    const found: number[] = [];
    const list = new Uint32Array(this.#memory.buffer, this.#list, this.#rowsPerBlock);
    for (let block = 0; block < this.#blocks; block++) {
      const first = block * this.#rowsPerBlock;
      const n = this.#kernel.above(this.#scores(block).byteOffset, this.#rowsPerBlock, score, this.#list);
      for (let i = 0; i < n; i++) found.push(first + list[i]!);
    }
    return Uint32Array.from(found);
  }

  /** Fills every block's scores, unless they are those of this very question. */
  #lookAt(isCoarse: boolean): void {
    const query = new Uint8Array(this.#memory.buffer, 0, this.#width * 3);
    const last = this.#looked;
    if (last?.version === this.#version && last.isCoarse === isCoarse && Buffer.compare(last.query, query) === 0) return;
    const [n, half] = [this.#rowsPerBlock, this.#half];
    for (let block = 0; block < this.#blocks; block++) {
      const scales = this.#blockAt(block);
      const [scores, high] = [scales + n * 4, this.#highAt(block)];
      if (isCoarse) this.#kernel.coarse(0, scales, high, n, half, queryMax / coarseMax, this.#coarseOffset, scores);
      else this.#kernel.scan(0, scales, high, this.#lowAt(block), n, half, this.#offset, scores);
    }
    this.#looked = { query: query.slice(), isCoarse, version: this.#version };
  }

  #bestOfLooked(count: number, among: Uint32Array | undefined): Best {
    const best = new Best(count);
    if (among) {
      const end = this.#blocks * this.#rowsPerBlock;
      let block = -1;
      let scores = this.#scales(0);
      for (let i = 0; i < among.length && among[i]! < end; i++) {
        const slot = among[i]!;
        if (this.#blockOf(slot) !== block) {
          block = this.#blockOf(slot);
          scores = this.#scores(block);
        }
        const score = scores[this.#rowOf(slot)]!;
        if (score >= best.cut) best.offer(slot, score);
      }
      return best;
    }
    const list = new Uint32Array(this.#memory.buffer, this.#list, this.#rowsPerBlock);
    for (let block = 0; block < this.#blocks; block++) {
      const scores = this.#scores(block);
      const first = block * this.#rowsPerBlock;
      const n = this.#kernel.above(scores.byteOffset, this.#rowsPerBlock, best.cut, this.#list);
      for (let i = 0; i < n; i++) best.offer(first + list[i]!, scores[list[i]!]!);
    }
    return best;
  }

  #exactOf(slots: Uint32Array, count: number): Best {
    const scores = this.#pick(slots);
    const best = new Best(Math.min(count, slots.length));
    for (let i = 0; i < slots.length; i++) if (scores[i]! >= best.cut) best.offer(slots[i]!, scores[i]!);
    return best;
  }

  /** Exact scores of these (ascending) slots; not a number where there is no row. */
  #pick(slots: Uint32Array): Float32Array {
    const scores = new Float32Array(slots.length);
    const out = new Float32Array(this.#memory.buffer, this.#out, this.#rowsPerBlock);
    const list = new Uint32Array(this.#memory.buffer, this.#list, this.#rowsPerBlock);
    for (let from = 0; from < slots.length;) {
      const block = this.#blockOf(slots[from]!);
      if (block >= this.#blocks) return scores.fill(Number.NaN, from);
      const first = block * this.#rowsPerBlock;
      let n = 0;
      while (from + n < slots.length && slots[from + n]! - first < this.#rowsPerBlock) {
        list[n] = slots[from + n]! - first;
        n++;
      }
      const [scales, high, low] = [this.#blockAt(block), this.#highAt(block), this.#lowAt(block)];
      this.#kernel.pick(0, scales, high, low, this.#list, n, this.#half, this.#offset, this.#out);
      scores.set(out.subarray(0, n), from);
      from += n;
    }
    return scores;
  }

  /** The query as whole numbers with a scale of its own, which leaves the order alone and so is never multiplied back. */
  #setQuery(given: Float32Array): void {
    const query = this.#turn(given);
    let max = 0;
    for (let i = 0; i < query.length; i++) max = Math.max(max, Math.abs(query[i]!));
    const factor = max === 0 ? 0 : 1 / max;
    const to = new Int8Array(this.#memory.buffer, 0, this.#width * 3).fill(0);
    let [sum, squares, coarseSum] = [0, 0, 0];
    for (let i = 0; i < query.length; i++) {
      const share = query[i]! * factor;
      const exact = Math.round(share * queryMax);
      const coarse = Math.round(share * coarseMax);
      to[i] = coarse;
      to[this.#width + i] = exact >> 7;
      to[this.#width * 2 + i] = exact & 127;
      sum += exact;
      squares += exact * exact;
      coarseSum += coarse;
    }
    this.#norm = Math.sqrt(squares);
    this.#offset = -128 * sum;
    // The low nibbles are taken as their mean.
    this.#coarseOffset = (queryMax / coarseMax) * (7.5 - 128) * coarseSum;
  }

  /** Valid until the next vector is turned. */
  #turn(vector: Float32Array): Float64Array {
    const [turned, signs, stretch] = [this.#turned, this.#signs, this.#stretch];
    const width = turned.length;
    for (let i = 0; i < width; i++) turned[i] = i < vector.length ? vector[i]! * signs[i]! : 0;
    // The fast Walsh-Hadamard transform of each stretch.
    for (let half = 1; half < stretch; half *= 2)
      for (let from = 0; from < width; from += half * 2)
        for (let i = from, end = from + half; i < end; i++) {
          const one = turned[i]!;
          const other = turned[i + half]!;
          turned[i] = one + other;
          turned[i + half] = one - other;
        }
    return turned;
  }

  #grow(): void {
    const needed = this.#blockAt(this.#blocks + 1);
    const pages = Math.ceil((needed - this.#memory.buffer.byteLength) / pageBytes);
    try {
      if (pages > 0) this.#memory.grow(pages);
    } catch {
      throw new Refusal(507, "Service internal error: no memory left for more vectors");
    }
    this.#scales(this.#blocks).fill(Number.NaN);
    this.#blocks++;
  }

  #blockOf(slot: number): number {
    return Math.floor(slot / this.#rowsPerBlock);
  }
  #rowOf(slot: number): number {
    return slot % this.#rowsPerBlock;
  }
  /** A block is its rows' scales, the scores of the last look, the high nibbles, the low nibbles. */
  #blockAt(block: number): number {
    return this.#head + block * this.#blockBytes;
  }
  #highAt(block: number): number {
    return this.#blockAt(block) + this.#rowsPerBlock * 8;
  }
  #lowAt(block: number): number {
    return this.#highAt(block) + this.#rowsPerBlock * this.#half;
  }
  #scales(block: number): Float32Array {
    return new Float32Array(this.#memory.buffer, this.#blockAt(block), this.#rowsPerBlock);
  }
  #scores(block: number): Float32Array {
    return new Float32Array(this.#memory.buffer, this.#blockAt(block) + this.#rowsPerBlock * 4, this.#rowsPerBlock);
  }
  #lookedScore(slot: number): number {
    return this.#scores(this.#blockOf(slot))[this.#rowOf(slot)]!;
  }
}
