/** Vectors beside their documents, searched exactly: every one that passes the filters is compared. */
import type { DatabaseSync } from "node:sqlite";
import { asText, DeveloperError, fieldAt, isPlainObject, toSpecial, type Json, type JsonObject } from "../codec/value.ts";
import { isUndefined } from "../txn/expression.ts";
import { hasFilter, hashFilter, hashFilters } from "./filters.ts";

export type VectorIndex = {
  readonly id: number;
  /** `table.index` */
  readonly name: string;
  readonly vectorField: string;
  readonly dimensions: number;
  readonly filterFields: readonly string[];
};
export type VectorEntry = { readonly vector: Float32Array; readonly filters: Uint8Array };
export type VectorRequest = {
  readonly indexName: string;
  readonly limit?: number;
  readonly vector: readonly Json[];
  readonly expressions: Json;
};
type Wanted = { readonly at: number; readonly hash: Buffer };

const limitUsual = 10;
const limitMax = 256;
const filterValuesMax = 64;

/** Undefined for a document that has no vector of the index's length there: it is kept, and never found. */
export function toVectorEntry(index: VectorIndex, document: JsonObject): VectorEntry | undefined {
  const value = fieldAt(document, index.vectorField);
  const vector = Array.isArray(value) ? toVector(index, value) : undefined;
  return vector && { vector, filters: hashFilters(index.filterFields, document) };
}

function toVector(index: VectorIndex, value: readonly Json[]): Float32Array | undefined {
  if (value.length !== index.dimensions) return undefined;
  const vector = new Float32Array(value.length);
  for (const [at, one] of value.entries()) {
    const special = isPlainObject(one) ? toSpecial(one) : undefined;
    const number = special?.type === "float" ? special.value : one;
    if (typeof number !== "number" || !Number.isFinite(number)) return undefined;
    vector[at] = number;
  }
  return vector;
}

/** Of a question, which must fit. */
function mustBeVector(index: VectorIndex, value: readonly Json[]): Float32Array {
  if (value.length !== index.dimensions)
    throw new DeveloperError(`Expected a vector with dimensions ${index.dimensions}, received ${value.length}.`);
  const vector = toVector(index, value);
  if (!vector) throw new DeveloperError("A vector may hold finite floats only.");
  return vector;
}

export function openVectors(db: DatabaseSync) {
  const add = db.prepare("INSERT INTO searchVectors (indexId, id, vector, filters) VALUES (?, ?, ?, ?)");
  const remove = db.prepare("DELETE FROM searchVectors WHERE indexId = ? AND id = ?");
  const all = db.prepare("SELECT id, vector, filters FROM searchVectors WHERE indexId = ?");
  return {
    add: (indexId: number, id: Uint8Array, { vector, filters }: VectorEntry) =>
      void add.run(indexId, id, new Uint8Array(vector.buffer), filters),
    remove: (indexId: number, id: Uint8Array) => void remove.run(indexId, id),
    drop: (indexId: number) => void db.prepare("DELETE FROM searchVectors WHERE indexId = ?").run(indexId),
    /** Most alike first. */
    find(index: VectorIndex, request: VectorRequest): readonly { readonly id: Uint8Array; readonly score: number }[] {
      const limit = request.limit ?? limitUsual;
      if (!Number.isInteger(limit) || limit < 1 || limit > limitMax)
        throw new DeveloperError(`Vector queries require a limit between 1 and ${limitMax}.`);
      const wanted = mustBeVector(index, request.vector);
      const length = norm(wanted);
      const options = toOptions(index, request.expressions);
      let found: { id: Uint8Array; score: number }[] = [];
      for (const row of all.iterate(index.id) as Iterable<{ id: Uint8Array; vector: Uint8Array; filters: Uint8Array }>) {
        if (options && !options.some((one) => hasFilter(row.filters, one))) continue;
        const vector = toFloats(row.vector);
        found.push({ id: row.id, score: product(vector, wanted) / (norm(vector) * length || 1) });
        if (found.length >= limit * 8) found = best(found, limit);
      }
      return best(found, limit);
    },
  };
}

function best<T extends { readonly score: number }>(found: readonly T[], limit: number): T[] {
  return found.toSorted((a, b) => b.score - a.score).slice(0, limit);
}

/** Bytes of a row may begin anywhere in memory; floats may not. */
function toFloats(bytes: Uint8Array): Float32Array {
  return bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 4)
    : new Float32Array(bytes.slice().buffer);
}

function product(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] as number) * (b[at] as number);
  return sum;
}

function norm(vector: Float32Array): number {
  return Math.sqrt(product(vector, vector));
}

/** One of these must hold; undefined when nothing was asked. */
function toOptions(index: VectorIndex, expression: Json): readonly Wanted[] | undefined {
  if (expression === null || expression === undefined) return undefined;
  const options = toEqualities(expression).map(([left, right]) => {
    const field = isPlainObject(left) ? left["$field"] : undefined;
    const at = typeof field === "string" ? index.filterFields.indexOf(field) : -1;
    if (at < 0)
      throw new DeveloperError(
        `Vector query against ${index.name} filters on "${asText(field)}", which is not one of its \`filterFields\`.`,
      );
    const literal = isPlainObject(right) ? right["$literal"] : undefined;
    return { at, hash: hashFilter(literal === undefined || isUndefined(literal) ? undefined : literal) };
  });
  if (options.length > filterValuesMax)
    throw new DeveloperError(`Vector query against ${index.name} has more than ${filterValuesMax} filter values.`);
  return options;
}

function toEqualities(expression: Json): readonly (readonly [Json, Json])[] {
  const node = isPlainObject(expression) ? expression : {};
  const equal = node["$eq"];
  if (Array.isArray(equal) && equal.length === 2) return [equal as [Json, Json]];
  const either = node["$or"];
  if (Array.isArray(either)) return either.flatMap(toEqualities);
  throw new DeveloperError("A vector filter is made of `q.eq` and `q.or`.");
}
