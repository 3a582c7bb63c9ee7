/**
 * What the owner's own texts teach before any question is learned from, in closed form. Directions that all passages share say little and are
 * made smaller (whitening), and a word moves towards the passages that it stands in and, where somebody used an answer, towards the passages
 * that answered it: words that keep the same company come together. Both are linear, so the model stays a table.
 */
import { addBag, type Bag } from "./bag.ts";
import { composeTable, type Features } from "./rows.ts";

/** Another beginning than what is known without any text: see the top. */
export type Beginning = {
  /** Whether directions that all passages share are made smaller. */
  readonly isEven: boolean;
  /** Of the company a word keeps, beside 1 of its own row, what is added to it; 0 leaves company out. */
  readonly company: number;
  /** What an answer that was used counts beside a passage; 0 leaves use out. */
  readonly use: number;
};

/** A text and, by the passage's position, what its words are about: of a passage itself, of a question what answered it. */
export type Company = { readonly words: Bag; readonly about: number; readonly weight: number };

export type Pretraining = {
  /** The features' values. */
  begin(beginning: Beginning): Float32Array;
};

/** Of a direction's spread, what is added before it is made even: without it the least telling directions would be as loud as any. */
const floor = 1;
/** Enough to know how texts spread; more would not change it. */
const sampleMax = 6_000;
const sweepsMax = 12;
/** What two directions may still share, as a cosine. */
const sharedMax = 1e-5;

/** `passages`: all of the owner's; `asked`: questions that may be learned from. */
export function openPretraining(features: Features, { passages, asked }: Texts): Pretraining {
  const { dimensions } = features;
  let even: Float32Array | undefined;
  const evened = (): Float32Array => {
    const step = Math.ceil(passages.length / sampleMax);
    const sample = passages.filter((_, at) => at % step === 0);
    const vectors = vectorsOf(sample, composeTable(features, features.values), dimensions);
    return mapped(features.values, evening(vectors, dimensions), dimensions);
  };
  return {
    begin: ({ isEven, company, use }) => {
      const values = isEven ? (even ??= evened()) : features.values;
      if (company === 0) return values;
      const table = composeTable(features, values);
      const texts: Company[] = [
        ...passages.map((words, about) => ({ words, about, weight: 1 })),
        ...(use > 0 ? asked.map((one) => ({ ...one, weight: use * one.weight })) : []),
      ];
      return withCompany(features, { values, table, vectors: vectorsOf(passages, table, dimensions), texts, company });
    },
  };
}

type Texts = { readonly passages: readonly Bag[]; readonly asked: readonly Company[] };

type Moving = {
  readonly values: Float32Array;
  readonly table: Float32Array;
  readonly vectors: Float32Array;
  readonly texts: readonly Company[];
  readonly company: number;
};

function withCompany(features: Features, { values, table, vectors, texts, company }: Moving): Float32Array {
  const { dimensions, starts, kinds } = features;
  const sums = new Float32Array(values.length);
  for (const { words, about, weight } of texts) {
    for (const [i, id] of words.ids.entries()) {
      for (let part = starts[id]!; part < starts[id + 1]!; part += 1) {
        const feature = features.features[part]!;
        // Stems and letters are shared by words of other company: tried, and worse.
        if (kinds[feature] !== "word") continue;
        const share = weight * words.weights[i]! * features.coefficients[part]!;
        for (let d = 0; d < dimensions; d += 1) sums[feature * dimensions + d]! += share * vectors[about * dimensions + d]!;
      }
    }
  }
  // How long a feature's part of a row has to be to be `company` of it: as its most telling piece has it.
  const lengths = new Float32Array(kinds.length);
  for (let id = 0; id < starts.length - 1; id += 1) {
    const length = lengthAt(table, id * dimensions, dimensions);
    for (let part = starts[id]!; part < starts[id + 1]!; part += 1) {
      const feature = features.features[part]!;
      const coefficient = features.coefficients[part]!;
      if (coefficient > 0) lengths[feature] = Math.max(lengths[feature]!, length / coefficient);
    }
  }
  const moved = Float32Array.from(values);
  for (let feature = 0; feature < kinds.length; feature += 1) {
    const length = lengthAt(sums, feature * dimensions, dimensions);
    if (length === 0) continue;
    const scale = (company * lengths[feature]!) / length;
    for (let d = 0; d < dimensions; d += 1) moved[feature * dimensions + d]! += scale * sums[feature * dimensions + d]!;
  }
  return moved;
}

function lengthAt(numbers: Float32Array, at: number, size: number): number {
  let square = 0;
  for (let d = 0; d < size; d += 1) square += numbers[at + d]! * numbers[at + d]!;
  return Math.sqrt(square);
}

/** Unit vectors, one after the other. */
function vectorsOf(bags: readonly Bag[], table: Float32Array, dimensions: number): Float32Array {
  const vectors = new Float32Array(bags.length * dimensions);
  for (const [at, bag] of bags.entries()) {
    addBag(bag, table, { dimensions, out: vectors, at: at * dimensions });
    const length = lengthAt(vectors, at * dimensions, dimensions);
    if (length > 0) for (let d = 0; d < dimensions; d += 1) vectors[at * dimensions + d]! /= length;
  }
  return vectors;
}

/** Each row of `values` times the square `matrix`, whose size is a multiple of four: four of its rows at a time go through memory once. */
function mapped(values: Float32Array, matrix: Float64Array, size: number): Float32Array {
  const out = new Float32Array(values.length);
  const row = new Float64Array(size);
  for (let at = 0; at < values.length; at += size) {
    row.fill(0);
    for (let from = 0; from < size; from += 4) {
      const [a, b, c, d] = [values[at + from]!, values[at + from + 1]!, values[at + from + 2]!, values[at + from + 3]!];
      const one = from * size;
      const two = one + size;
      const three = two + size;
      const four = three + size;
      for (let to = 0; to < size; to += 1)
        row[to]! += a * matrix[one + to]! + b * matrix[two + to]! + c * matrix[three + to]! + d * matrix[four + to]!;
    }
    out.set(row, at);
  }
  return out;
}

/** The matrix (spread + floor)^-1/2, scaled so that a direction of the mean spread keeps its length. */
function evening(vectors: Float32Array, size: number): Float64Array {
  const count = Math.max(1, vectors.length / size);
  const spread = new Float64Array(size * size);
  for (let at = 0; at < vectors.length; at += size) {
    for (let i = 0; i < size; i += 1) {
      const value = vectors[at + i]! / count;
      for (let j = i; j < size; j += 1) spread[i * size + j]! += value * vectors[at + j]!;
    }
  }
  let trace = 0;
  for (let i = 0; i < size; i += 1) {
    trace += spread[i * size + i]!;
    for (let j = 0; j < i; j += 1) spread[i * size + j] = spread[j * size + i]!;
  }
  const mean = trace / size;
  for (let i = 0; i < size; i += 1) spread[i * size + i]! += floor * mean;
  const root = inverseRoot(spread, size);
  const scale = Math.sqrt((1 + floor) * mean);
  return root.map((value) => value * scale);
}

/**
 * A^-1/2 of a symmetric positive matrix: its rows are turned against each other until none shares anything with another (Hestenes' one-sided
 * Jacobi). What was turned along with them are the axes, and the rows' lengths are the spreads along these.
 */
function inverseRoot(matrix: Float64Array, size: number): Float64Array {
  const rows = Array.from({ length: size }, (_, i) => matrix.slice(i * size, (i + 1) * size));
  const axes = Array.from({ length: size }, (_, i) => Float64Array.from({ length: size }, (_none, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < sweepsMax; sweep += 1) if (!turned(rows, axes)) break;
  const root = new Float64Array(size * size);
  for (const [k, axis] of axes.entries()) {
    const scale = 1 / Math.sqrt(Math.sqrt(dot(rows[k]!, rows[k]!)));
    for (let i = 0; i < size; i += 1) {
      const share = scale * axis[i]!;
      for (let j = 0; j < size; j += 1) root[i * size + j]! += share * axis[j]!;
    }
  }
  return root;
}

/** Turns every two rows that still share something against each other; whether there were any. */
function turned(rows: readonly Float64Array[], axes: readonly Float64Array[]): boolean {
  let any = false;
  const squares = rows.map((row) => dot(row, row));
  for (let p = 0; p < rows.length; p += 1) {
    for (let q = p + 1; q < rows.length; q += 1) {
      const shared = dot(rows[p]!, rows[q]!);
      const [one, other] = [squares[p]!, squares[q]!];
      if (Math.abs(shared) <= sharedMax * Math.sqrt(one * other)) continue;
      any = true;
      const angle = (other - one) / (2 * shared);
      const tangent = (angle < 0 ? -1 : 1) / (Math.abs(angle) + Math.sqrt(angle * angle + 1));
      const cosine = 1 / Math.sqrt(tangent * tangent + 1);
      turn(rows[p]!, rows[q]!, cosine, tangent * cosine);
      turn(axes[p]!, axes[q]!, cosine, tangent * cosine);
      squares[p] = one - tangent * shared;
      squares[q] = other + tangent * shared;
    }
  }
  return any;
}

function dot(one: Float64Array, other: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < one.length; at += 1) sum += one[at]! * other[at]!;
  return sum;
}

function turn(one: Float64Array, other: Float64Array, cosine: number, sine: number): void {
  for (let at = 0; at < one.length; at += 1) {
    const x = one[at]!;
    const y = other[at]!;
    one[at] = cosine * x - sine * y;
    other[at] = sine * x + cosine * y;
  }
}
