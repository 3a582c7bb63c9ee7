/** Sets of slots (a point's row number inside its collection) as ascending u32 arrays: filters are set algebra over them. */

/** A set that changes. Appending in order is cheap; anything else moves what comes after it. */
export class SlotList {
  #slots: Uint32Array<ArrayBuffer>;
  #size = 0;

  constructor(capacity = 4) {
    this.#slots = new Uint32Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  add(slot: number): void {
    const at = this.#size === 0 || this.#slots[this.#size - 1]! < slot ? this.#size : lowerBound(this.view(), slot);
    if (at < this.#size && this.#slots[at] === slot) return;
    if (this.#size === this.#slots.length) {
      const grown = new Uint32Array(Math.ceil(this.#size * 1.5) + 4);
      grown.set(this.#slots);
      this.#slots = grown;
    }
    this.#slots.copyWithin(at + 1, at, this.#size);
    this.#slots[at] = slot;
    this.#size++;
  }

  delete(slot: number): void {
    const at = lowerBound(this.view(), slot);
    if (at === this.#size || this.#slots[at] !== slot) return;
    this.#slots.copyWithin(at, at + 1, this.#size);
    this.#size--;
  }

  has(slot: number): boolean {
    return contains(this.view(), slot);
  }

  /** Valid until the next change. */
  view(): Uint32Array {
    return this.#slots.subarray(0, this.#size);
  }
}

/** First position whose slot is at least `slot`. */
export function lowerBound(slots: Uint32Array, slot: number, from = 0): number {
  let low = from;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slots[middle]! < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function contains(slots: Uint32Array, slot: number): boolean {
  const at = lowerBound(slots, slot);
  return at < slots.length && slots[at] === slot;
}

/** True when `long` has no gaps and reaches over all of `short`: the common case of one tenant that owns everything. */
function spans(long: Uint32Array, short: Uint32Array): boolean {
  const [first, last] = [long[0]!, long[long.length - 1]!];
  return short.length === 0 || (last - first + 1 === long.length && short[0]! >= first && short[short.length - 1]! <= last);
}

// A merge walks both sides; from this ratio on, searching the long side for each of the short one is cheaper.
const searchRatio = 16;

export function intersect(a: Uint32Array, b: Uint32Array): Uint32Array {
  if (a === b) return a;
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (spans(long, short)) return short;
  const out = new Uint32Array(short.length);
  let n = 0;
  if (long.length > short.length * searchRatio) {
    for (let i = 0, at = 0; i < short.length; i++) {
      at = lowerBound(long, short[i]!, at);
      if (at === long.length) break;
      if (long[at] === short[i]) out[n++] = short[i]!;
    }
    return out.subarray(0, n);
  }
  for (let i = 0, j = 0; i < short.length && j < long.length;) {
    const x = short[i]!;
    const y = long[j]!;
    if (x === y) out[n++] = x;
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return out.subarray(0, n);
}

export function union(lists: readonly Uint32Array[]): Uint32Array {
  if (lists.length === 0) return new Uint32Array(0);
  if (lists.length === 1) return lists[0]!;
  const all = new Uint32Array(lists.reduce((sum, list) => sum + list.length, 0));
  let n = 0;
  for (const list of lists) {
    all.set(list, n);
    n += list.length;
  }
  all.sort();
  let kept = 0;
  for (let i = 0; i < all.length; i++) {
    if (i === 0 || all[i] !== all[i - 1]) all[kept++] = all[i]!;
  }
  return all.subarray(0, kept);
}

export function difference(a: Uint32Array, b: Uint32Array): Uint32Array {
  if (b.length === 0) return a;
  const out = new Uint32Array(a.length);
  let n = 0;
  for (let i = 0, j = 0; i < a.length; i++) {
    while (j < b.length && b[j]! < a[i]!) j++;
    if (j === b.length || b[j] !== a[i]) out[n++] = a[i]!;
  }
  return out.subarray(0, n);
}

export function keep(slots: Uint32Array, test: (slot: number) => boolean): Uint32Array {
  const out = new Uint32Array(slots.length);
  let n = 0;
  for (const slot of slots) {
    if (test(slot)) out[n++] = slot;
  }
  return out.subarray(0, n);
}
