/** Vectors as clients send them, checked against the collection and brought into the form that is stored. */
import { isAbsent, isObject, toArray } from "./body.ts";
import { unnamed, type CollectionConfig, type DenseConfig, type VectorConfig } from "./config.ts";
import { roundTo } from "./index/codec.ts";
import { isRows, isTerms, rowsOf, type Terms, type VectorValue } from "./index/values.ts";
import { badFormat, invalid, unsupported, wrongInput } from "./refusal.ts";

/** The vectors of one point, by name. */
export function toVectors(value: unknown, config: CollectionConfig): Map<string, VectorValue> {
  const vectors = new Map<string, VectorValue>();
  if (isAbsent(value)) return vectors;
  const named = Array.isArray(value) ? { [unnamed]: value as unknown } : value;
  if (!isObject(named)) throw badFormat("vector: expected an array, or an object of vectors by name");
  for (const [name, vector] of Object.entries(named)) {
    const shape = vectorConfig(config, name);
    vectors.set(name, prepared(readVector(vector, shape), shape));
  }
  return vectors;
}

export function vectorConfig(config: CollectionConfig, name: string): VectorConfig {
  const found = config.vectors.get(name);
  if (!found) throw wrongInput(`Not existing vector name error: ${name}`);
  return found;
}

/** As it was sent: of the right shape, not yet in the form that is stored and compared. */
export function readVector(value: unknown, config: VectorConfig): VectorValue {
  if (config.kind === "sparse") return toTerms(value);
  if (isObject(value)) {
    throw "indices" in value
      ? wrongInput("a dense vector was expected, got a sparse one")
      : unsupported("inference: send vectors");
  }
  const list = toArray(value, "vector");
  if (!config.isMulti) return toDense(list, config.size);
  const rows = Array.isArray(list[0]) ? list : [list];
  if (list.length === 0) throw invalid("vector", "a multivector must hold at least one vector");
  const all = new Float32Array(rows.length * config.size);
  for (const [i, row] of rows.entries()) all.set(toDense(toArray(row, "vector"), config.size), i * config.size);
  return { rows: all, size: config.size };
}

function toDense(values: readonly unknown[], size: number): Float32Array {
  if (Array.isArray(values[0])) throw wrongInput("one vector was expected, got several; the collection has no multivectors here");
  if (values.length !== size) throw wrongInput(`Vector dimension error: expected dim: ${size}, got ${values.length}`);
  const vector = new Float32Array(size);
  let squares = 0;
  for (let i = 0; i < size; i++) {
    const value = values[i];
    if (typeof value !== "number") throw badFormat("vector: expected numbers");
    vector[i] = value;
    squares += value * value;
  }
  if (!Number.isFinite(squares)) throw wrongInput("a vector holds numbers too large for 32-bit floats");
  return vector;
}

/** In the form that is stored and compared: cosines of length one, rounded to the datatype. Changes dense vectors in place. */
export function prepared(value: VectorValue, config: VectorConfig): VectorValue {
  if (config.kind === "sparse" || isTerms(value)) return value;
  if (!isRows(value)) return preparedRow(value, config);
  for (const row of rowsOf(value)) preparedRow(row, config);
  return value;
}

// Below this norm a direction is noise; Qdrant leaves such vectors as they are.
const normMin = 1.19e-7;

function preparedRow(vector: Float32Array, { distance, datatype }: DenseConfig): Float32Array {
  if (distance === "Cosine" && datatype !== "uint8") {
    let squares = 0;
    for (const value of vector) squares += value * value;
    const norm = Math.sqrt(squares);
    if (norm > normMin) for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! / norm;
  }
  return roundTo(datatype, vector);
}

const indexMax = 2 ** 32 - 1;

function toTerms(value: unknown): Terms {
  if (!isObject(value)) throw wrongInput("a sparse vector was expected: {indices, values}");
  const indices = toArray(value["indices"], "vector.indices");
  const values = toArray(value["values"], "vector.values");
  if (indices.length !== values.length) throw invalid("values", "must be the same length as indices");
  for (const index of indices) {
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index > indexMax) {
      throw badFormat("vector.indices: expected unsigned 32-bit integers");
    }
  }
  const order = indices.map((_, i) => i).sort((a, b) => (indices[a] as number) - (indices[b] as number));
  const terms = { indices: new Uint32Array(order.length), values: new Float32Array(order.length) };
  for (const [at, i] of order.entries()) {
    const weight = values[i];
    if (typeof weight !== "number") throw badFormat("vector.values: expected numbers");
    terms.indices[at] = indices[i] as number;
    terms.values[at] = weight;
    if (at > 0 && terms.indices[at] === terms.indices[at - 1]) throw invalid("indices", "must be unique");
  }
  return terms;
}
