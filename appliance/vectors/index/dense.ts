/**
 * One named dense vector of a collection, as int8 rows with a scale per row. It finds the rows worth an exact score; the floats
 * themselves stay in the database, so memory is a quarter of the raw vectors.
 */
import { openKernel, openMemory, pageBytes, type Kernel, type Memory } from "./kernel.ts";
import { bestSlots } from "./ranking.ts";
import { Refusal } from "../refusal.ts";

// Rows come in blocks, so growing moves nothing: about this many bytes each, and never more rows than the kernel's scratch holds.
const blockBytesTarget = 1_600_000;
const rowsPerBlockMax = 4096;
const lane = 32; // The kernel eats rows in steps of 32 bytes.

export class DenseIndex {
  readonly dimensions: number;
  #count = 0;
  readonly #bytes: number;
  readonly #rowsPerBlock: number;
  readonly #blockBytes: number;
  readonly #queryMax: number;
  readonly #out: number;
  readonly #list: number;
  readonly #head: number;
  #blocks = 0;
  readonly #memory: Memory;
  readonly #kernel: Kernel;

  constructor(dimensions: number, open: (memory: Memory) => Kernel = openKernel) {
    this.dimensions = dimensions;
    this.#bytes = Math.ceil(dimensions / lane) * lane;
    this.#rowsPerBlock = Math.min(rowsPerBlockMax, Math.max(64, 2 ** Math.floor(Math.log2(blockBytesTarget / this.#bytes))));
    this.#blockBytes = this.#rowsPerBlock * (this.#bytes + 4);
    // The sum over a row must fit 32 bits: 127 * queryMax * bytes < 2^31.
    this.#queryMax = Math.min(32_767, Math.floor((2 ** 31 - 1) / (127 * this.#bytes)));
    this.#out = this.#bytes * 2;
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
    let max = 0;
    for (let i = 0; i < vector.length; i++) max = Math.max(max, Math.abs(vector[i]!));
    const scale = max === 0 ? 1 : max / 127;
    const to = new Int8Array(this.#memory.buffer, this.#rowsAt(block) + row * this.#bytes, this.#bytes);
    const inverse = 1 / scale;
    // Adding a half and flooring rounds; the sum is positive after the shift, so truncation floors.
    for (let i = 0; i < vector.length; i++) to[i] = ((vector[i]! * inverse + 128.5) | 0) - 128;
    scales[row] = scale;
  }

  delete(slot: number): void {
    if (!this.has(slot)) return;
    // A scale that is not a number makes the score one too, and no comparison holds for it: the row can never be chosen.
    this.#scales(this.#blockOf(slot))[this.#rowOf(slot)] = Number.NaN;
    this.#count--;
  }

  /**
   * The `count` slots with the highest approximate dot product, plus those that tie with the last of them, in ascending order.
   * `among` limits the search to these (ascending) slots.
   */
  candidates(query: Float32Array, count: number, among?: Uint32Array): Uint32Array {
    this.#setQuery(query);
    const total = among ? among.length : this.#blocks * this.#rowsPerBlock;
    const scores = new Float32Array(total);
    if (among) this.#pick(among, scores);
    else this.#scan(scores);
    return bestSlots(scores, count, among);
  }

  #scan(scores: Float32Array): void {
    const n = this.#rowsPerBlock;
    for (let block = 0; block < this.#blocks; block++) {
      const scales = this.#blockAt(block);
      this.#kernel.scan(0, scales, scales + n * 4, n, this.#bytes, this.#out);
      scores.set(new Float32Array(this.#memory.buffer, this.#out, n), block * n);
    }
  }

  #pick(slots: Uint32Array, scores: Float32Array): void {
    const out = new Float32Array(this.#memory.buffer, this.#out, this.#rowsPerBlock);
    const list = new Uint32Array(this.#memory.buffer, this.#list, this.#rowsPerBlock);
    for (let from = 0; from < slots.length;) {
      const block = this.#blockOf(slots[from]!);
      if (block >= this.#blocks) {
        scores.fill(Number.NaN, from);
        return;
      }
      const first = block * this.#rowsPerBlock;
      let n = 0;
      while (from + n < slots.length && slots[from + n]! - first < this.#rowsPerBlock) {
        list[n] = slots[from + n]! - first;
        n++;
      }
      const scales = this.#blockAt(block);
      this.#kernel.pick(0, scales, scales + this.#rowsPerBlock * 4, this.#list, n, this.#bytes, this.#out);
      scores.set(out.subarray(0, n), from);
      from += n;
    }
  }

  /** The query as int16 with its own scale, which leaves the order alone and so is never multiplied back. */
  #setQuery(query: Float32Array): void {
    let max = 0;
    for (let i = 0; i < query.length; i++) max = Math.max(max, Math.abs(query[i]!));
    const factor = max === 0 ? 0 : this.#queryMax / max;
    const to = new Int16Array(this.#memory.buffer, 0, this.#bytes);
    for (let i = 0; i < query.length; i++) to[i] = Math.round(query[i]! * factor);
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
  #blockAt(block: number): number {
    return this.#head + block * this.#blockBytes;
  }
  #rowsAt(block: number): number {
    return this.#blockAt(block) + this.#rowsPerBlock * 4;
  }
  #scales(block: number): Float32Array {
    return new Float32Array(this.#memory.buffer, this.#blockAt(block), this.#rowsPerBlock);
  }
}
