/**
 * One named vector of a collection: its table, and the index over it. Writes go to both, inside the caller's transaction; when
 * that is rolled back, the caller loads everything again.
 */
import type { DenseConfig, SparseConfig, VectorConfig } from "../config.ts";
import type { Database } from "../database.ts";
import type { SlotIds } from "../pointId.ts";
import { codecs } from "./codec.ts";
import { DenseIndex } from "./dense.ts";
import { denseLikeness, isNearBetter, likenessOf, shown } from "./likeness.ts";
import { bestHits, type Hit } from "./ranking.ts";
import { intersect, SlotList } from "./slots.ts";
import { SparseIndex } from "./sparse.ts";
import { isRows, isTerms, type Terms, type VectorValue } from "./values.ts";

export type Search = {
  readonly limit: number;
  readonly among?: Uint32Array;
  readonly ids: SlotIds;
  readonly isExact?: boolean;
  /** One more than the highest slot in use. */
  readonly slotsMax: number;
  /** Narrows what the IDF counts. */
  readonly corpus?: Uint32Array;
};

export type Field = {
  readonly name: string;
  readonly id: number;
  readonly config: VectorConfig;
  /** Slots that have this vector. */
  readonly holders: SlotList;
  put(slot: number, value: VectorValue): void;
  remove(slot: number): void;
  get(slot: number): VectorValue | undefined;
  /** Those of `among` (ascending) that have this vector, with it; all that have it when absent. */
  each(among?: Uint32Array): Iterable<[slot: number, value: VectorValue]>;
  /** Larger is more alike, whatever the distance. */
  likeness(a: VectorValue, b: VectorValue): number;
  /** For a smaller score is the better one. */
  readonly isNearBetter: boolean;
  /** Best first, with the scores Qdrant gives. For sparse vectors only points that share a term. */
  nearest(query: VectorValue, search: Search): Hit[];
};

export type FieldRow = { readonly id: number; readonly name: string };

export const createFieldTable = (id: number): string =>
  `CREATE TABLE vector_${id} (slot INTEGER PRIMARY KEY, value BLOB NOT NULL)`;
export const dropFieldTable = (id: number): string => `DROP TABLE vector_${id}`;

export function openField(db: Database, row: FieldRow, config: VectorConfig): Field {
  return config.kind === "sparse" ? openSparse(db, row, config) : openDense(db, row, config);
}

/** What a vector is in the file, and back. `value` is of the shape that `config` asks for. */
export function toBlob(config: VectorConfig, value: VectorValue): Uint8Array {
  if (isTerms(value)) return Buffer.concat([bytesOf(value.indices), bytesOf(value.values)]);
  const { encode } = codecs[config.kind === "dense" ? config.datatype : "float32"];
  return encode(isRows(value) ? value.rows : value);
}

export function fromBlob(config: VectorConfig, blob: Uint8Array): VectorValue {
  if (config.kind === "dense") {
    const floats = codecs[config.datatype].decode(blob);
    return config.isMulti ? { rows: floats, size: config.size } : floats;
  }
  const n = blob.byteLength / 8;
  return {
    indices: new Uint32Array(blob.buffer, blob.byteOffset, n),
    values: new Float32Array(blob.buffer, blob.byteOffset + n * 4, n),
  };
}

const bytesOf = (array: Float32Array | Uint32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

// Rows read at once when vectors are looked at one by one.
const readBatch = 512;

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
    *some(slots: Uint32Array): Generator<[number, Uint8Array]> {
      for (let from = 0; from < slots.length; from += readBatch) {
        yield* some.all(`[${slots.subarray(from, from + readBatch).join()}]`) as unknown as [number, Uint8Array][];
      }
    },
  };
}

// The int8 scan is off by about 0.0004 on unit vectors, so the true best are near the top of it: half as many again as asked, and
// 32 at least, found all of them in every data set of tests/appliance/vectors/recall.test.ts and scripts/bench/vectors. Of these the
// index leaves out again what cannot be among the best.
const rescored = (limit: number): number => limit + Math.max(32, limit >> 1);

function openDense(db: Database, { id, name }: FieldRow, config: DenseConfig): Field {
  const table = openTable(db, id);
  const holders = new SlotList();
  const { size, distance } = config;
  const isNear = isNearBetter(distance);
  // The scan orders by dot product; for distances, and for many vectors in one, all are looked at instead.
  const index = isNear || config.isMulti ? undefined : new DenseIndex(size);
  // Bytes are not of length one, which the scan's order supposes of cosines.
  const toIndexed = distance === "Cosine" && config.datatype === "uint8" ? normalised : (vector: Float32Array) => vector;
  const likeness = likenessOf(config);
  const ofTwo = denseLikeness(config);
  const toValue = (blob: Uint8Array): VectorValue => fromBlob(config, blob);
  for (const [slot, blob] of table.all()) {
    holders.add(slot);
    index?.set(slot, toIndexed(toValue(blob) as Float32Array));
  }
  return {
    name,
    id,
    config,
    holders,
    likeness,
    isNearBetter: isNear,
    put(slot, value) {
      table.insert(slot, toBlob(config, value));
      holders.add(slot);
      if (!isTerms(value) && !isRows(value)) index?.set(slot, toIndexed(value));
    },
    remove(slot) {
      if (!holders.has(slot)) return;
      table.remove(slot);
      holders.delete(slot);
      index?.delete(slot);
    },
    get(slot) {
      const blob = holders.has(slot) ? table.read(slot) : undefined;
      return blob && toValue(blob);
    },
    *each(among) {
      const slots = among ? intersect(among, holders.view()) : holders.view();
      for (const [slot, blob] of table.some(slots)) yield [slot, toValue(blob)];
    },
    nearest(query, { limit, among, ids, isExact }) {
      if (isTerms(query)) return [];
      const isScanned = index && !isExact && !isRows(query);
      const slots = isScanned ? index.candidates(toIndexed(query), rescored(limit), among, limit) : (among ?? holders.view());
      const found = new Uint32Array(slots.length);
      const scores = new Float64Array(slots.length);
      const compare = isRows(query) ? likeness : (ofTwo as typeof likeness);
      let n = 0;
      for (const [slot, blob] of table.some(slots)) {
        found[n] = slot;
        scores[n++] = compare(query, toValue(blob));
      }
      const hits = bestHits(found.subarray(0, n), scores.subarray(0, n), limit, ids);
      return isNear ? hits.map((hit) => ({ slot: hit.slot, score: shown(distance, hit.score) })) : hits;
    },
  };
}

function normalised(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  return squares === 0 ? vector : vector.map((value) => value / Math.sqrt(squares));
}

function openSparse(db: Database, { id, name }: FieldRow, config: SparseConfig): Field {
  const table = openTable(db, id);
  const holders = new SlotList();
  const index = new SparseIndex();
  const toTerms = (blob: Uint8Array): Terms => fromBlob(config, blob) as Terms;
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
    likeness: likenessOf(config),
    isNearBetter: false,
    put(slot, value) {
      if (!isTerms(value)) return;
      const before = holders.has(slot) ? table.read(slot) : undefined;
      table.insert(slot, toBlob(config, value));
      if (before) return index.replace(slot, toTerms(before), value);
      holders.add(slot);
      index.add(slot, value);
    },
    remove,
    get(slot) {
      const blob = holders.has(slot) ? table.read(slot) : undefined;
      return blob && toTerms(blob);
    },
    *each(among) {
      const slots = among ? intersect(among, holders.view()) : holders.view();
      for (const [slot, blob] of table.some(slots)) yield [slot, toTerms(blob)];
    },
    nearest(query, { limit, among, ids, slotsMax, corpus }) {
      if (!isTerms(query)) return [];
      const population = corpus && intersect(corpus, holders.view());
      const isAll = population === undefined || population.length === holders.size;
      const weighted = config.isIdf ? withIdf(query, index, isAll ? undefined : population) : query;
      const { slots, scores } = index.best(weighted, { limit, slotsMax, among });
      return bestHits(slots, scores, limit, ids);
    },
  };
}

/** Qdrant's IDF, ln(1 + (N - df + 0.5) / (df + 0.5)), over all points with this vector or over the corpus among them. */
function withIdf(query: Terms, index: SparseIndex, corpus: Uint32Array | undefined): Terms {
  const n = corpus?.length ?? index.count;
  const values = query.values.map((value, i) => {
    const { slots } = index.postings(query.indices[i]!);
    const df = corpus ? intersect(slots, corpus).length : slots.length;
    return value * Math.log(1 + (n - df + 0.5) / (df + 0.5));
  });
  return { indices: query.indices, values };
}
