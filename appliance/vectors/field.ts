/**
 * One named vector of a collection: its table, and the index over it. Writes go to both, inside the caller's transaction; when
 * that is rolled back, the caller loads everything again.
 */
import type { VectorConfig } from "./config.ts";
import type { Database } from "./database.ts";
import { DenseIndex } from "./dense.ts";
import type { SlotIds } from "./pointId.ts";
import { bestHits, type Hit } from "./ranking.ts";
import { SlotList, intersect, lowerBound } from "./slots.ts";
import { SparseIndex, type Terms } from "./sparse.ts";

export type Search = { readonly limit: number; readonly among?: Uint32Array; readonly ids: SlotIds; readonly isExact?: boolean };

type Field<Value> = {
  readonly name: string;
  readonly id: number;
  /** Slots that have this vector. */
  readonly holders: SlotList;
  put(slot: number, value: Value): void;
  remove(slot: number): void;
  get(slot: number): Value | undefined;
};
export type DenseField = Field<Float32Array> & {
  readonly config: VectorConfig & { kind: "dense" };
  /** Best first. Scores as Qdrant gives them: for distances, smaller is better. */
  nearest(query: Float32Array, search: Search): Hit[];
};
export type SparseField = Field<Terms> & {
  readonly config: VectorConfig & { kind: "sparse" };
  /** Best first; only points that share a term. `corpus` narrows what the IDF counts. */
  nearest(query: Terms, search: Search & { readonly slotsMax: number; readonly corpus?: Uint32Array }): Hit[];
};
export type AnyField = DenseField | SparseField;

export const isSparse = (field: AnyField): field is SparseField => field.config.kind === "sparse";

export type FieldRow = { readonly id: number; readonly name: string };

export const createFieldTable = (id: number): string =>
  `CREATE TABLE vector_${id} (slot INTEGER PRIMARY KEY, value BLOB NOT NULL)`;
export const dropFieldTable = (id: number): string => `DROP TABLE vector_${id}`;

const isDense = (config: VectorConfig): config is DenseField["config"] => config.kind === "dense";

export function openField(db: Database, row: FieldRow, config: VectorConfig): AnyField {
  return isDense(config) ? openDense(db, row, config) : openSparse(db, row, config as SparseField["config"]);
}

/** The table of one vector, as blobs by slot. */
function openTable(db: Database, id: number) {
  const insert = db.prepare(`INSERT OR REPLACE INTO vector_${id} VALUES (?, ?)`);
  const remove = db.prepare(`DELETE FROM vector_${id} WHERE slot = ?`);
  const read = db.prepare(`SELECT value FROM vector_${id} WHERE slot = ?`);
  const all = db.prepare(`SELECT slot, value FROM vector_${id} ORDER BY slot`);
  const some = db.prepare(`SELECT slot, value FROM vector_${id} WHERE slot IN (SELECT value FROM json_each(?))`);
  for (const statement of [read, all, some]) statement.setReturnArrays(true);
  return {
    insert: (slot: number, value: Uint8Array): void => void insert.run(slot, value),
    remove: (slot: number): void => void remove.run(slot),
    read: (slot: number): Uint8Array | undefined => (read.get(slot) as unknown as [Uint8Array] | undefined)?.[0],
    all: (): Iterable<[number, Uint8Array]> => all.iterate() as Iterable<unknown> as Iterable<[number, Uint8Array]>,
    /** One statement for many rows costs a third of one each. */
    some: (slots: Uint32Array): [number, Uint8Array][] => some.all(`[${slots.join()}]`) as unknown as [number, Uint8Array][],
  };
}

const bytesOf = (array: Float32Array | Uint32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

// Rows read at once when floats are scored one by one.
const exactBatch = 512;
// The int8 scan is off by about 0.0004 on unit vectors, so the true best are near the top of it: half as many again as asked, and
// 32 at least, found all of them in every data set of tests/appliance/vectors/recall.test.ts and scripts/bench/vectors.
const rescored = (limit: number): number => limit + Math.max(32, limit >> 1);

function openDense(db: Database, { id, name }: FieldRow, config: DenseField["config"]): DenseField {
  const table = openTable(db, id);
  const holders = new SlotList();
  const { size, distance } = config;
  // The scan orders by dot product; for distances every float is looked at instead.
  const index = distance === "Cosine" || distance === "Dot" ? new DenseIndex(size) : undefined;
  const isNearBetter = index === undefined;
  const score = distance === "Euclid" ? euclid : distance === "Manhattan" ? manhattan : dot;
  const toVector = (blob: Uint8Array): Float32Array => new Float32Array(blob.buffer, blob.byteOffset, size);
  for (const [slot, blob] of table.all()) {
    holders.add(slot);
    index?.set(slot, toVector(blob));
  }
  return {
    name,
    id,
    config,
    holders,
    put(slot, vector) {
      table.insert(slot, bytesOf(vector));
      holders.add(slot);
      index?.set(slot, vector);
    },
    remove(slot) {
      if (!holders.has(slot)) return;
      table.remove(slot);
      holders.delete(slot);
      index?.delete(slot);
    },
    get(slot) {
      const blob = holders.has(slot) ? table.read(slot) : undefined;
      return blob && toVector(blob);
    },
    nearest(query, { limit, among, ids, isExact }) {
      const slots = index && !isExact ? index.candidates(query, rescored(limit), among) : (among ?? holders.view());
      const found = new Uint32Array(slots.length);
      const scores = new Float64Array(slots.length);
      let n = 0;
      for (let from = 0; from < slots.length; from += exactBatch) {
        for (const [slot, blob] of table.some(slots.subarray(from, from + exactBatch))) {
          found[n] = slot;
          scores[n++] = isNearBetter ? -score(query, toVector(blob)) : score(query, toVector(blob));
        }
      }
      const hits = bestHits(found.subarray(0, n), scores.subarray(0, n), limit, ids);
      return isNearBetter ? hits.map((hit) => ({ slot: hit.slot, score: -hit.score })) : hits;
    },
  };
}

function openSparse(db: Database, { id, name }: FieldRow, config: SparseField["config"]): SparseField {
  const table = openTable(db, id);
  const holders = new SlotList();
  const index = new SparseIndex();
  const toTerms = (blob: Uint8Array): Terms => {
    const n = blob.byteLength / 8;
    return {
      indices: new Uint32Array(blob.buffer, blob.byteOffset, n),
      values: new Float32Array(blob.buffer, blob.byteOffset + n * 4, n),
    };
  };
  for (const [slot, blob] of table.all()) {
    holders.add(slot);
    index.add(slot, toTerms(blob));
  }
  const remove = (slot: number): void => {
    const blob = holders.has(slot) ? table.read(slot) : undefined;
    if (!blob) return;
    table.remove(slot);
    holders.delete(slot);
    index.remove(slot, toTerms(blob));
  };
  return {
    name,
    id,
    config,
    holders,
    put(slot, terms) {
      remove(slot);
      table.insert(slot, Buffer.concat([bytesOf(terms.indices), bytesOf(terms.values)]));
      holders.add(slot);
      index.add(slot, terms);
    },
    remove,
    get(slot) {
      const blob = holders.has(slot) ? table.read(slot) : undefined;
      return blob && toTerms(blob);
    },
    nearest(query, { limit, among, ids, slotsMax, corpus }) {
      const population = corpus && intersect(corpus, holders.view());
      const isAll = population === undefined || population.length === holders.size;
      const weighted = config.isIdf ? withIdf(query, index, isAll ? undefined : population) : query;
      const { slots, scores } = index.scores(weighted, slotsMax, among);
      return bestHits(slots, scores, limit, ids);
    },
  };
}

/** Qdrant's IDF, ln(1 + (N - df + 0.5) / (df + 0.5)), over all points with this vector or over the corpus among them. */
function withIdf(query: Terms, index: SparseIndex, corpus: Uint32Array | undefined): Terms {
  const n = corpus?.length ?? index.count;
  const values = query.values.map((value, i) => {
    const { slots } = index.postings(query.indices[i]!);
    const df = corpus ? overlap(slots, corpus) : slots.length;
    return value * Math.log(1 + (n - df + 0.5) / (df + 0.5));
  });
  return { indices: query.indices, values };
}

function overlap(a: Uint32Array, b: Uint32Array): number {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  let n = 0;
  for (let i = 0, at = 0; i < short.length && at < long.length; i++) {
    at = lowerBound(long, short[i]!, at);
    if (long[at] === short[i]) n++;
  }
  return n;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function euclid(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum);
}

function manhattan(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum;
}
