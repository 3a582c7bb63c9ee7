/** What a collection is made of: checked on creation, kept as JSON, shown back as it was given. */
import { isAbsent, refuseOthers, toObject, type Json } from "./body.ts";
import { badFormat, invalid, unsupported, wrongInput } from "./refusal.ts";

export const distances = ["Cosine", "Dot", "Euclid", "Manhattan"] as const;
export type Distance = (typeof distances)[number];

const datatypes = ["float32", "float16", "uint8"] as const;
export type Datatype = (typeof datatypes)[number];

export type DenseConfig = {
  readonly kind: "dense";
  readonly size: number;
  readonly distance: Distance;
  readonly datatype: Datatype;
  /** Several vectors of this size under one name, compared by MaxSim. */
  readonly isMulti: boolean;
  readonly given: Json;
};
export type SparseConfig = { readonly kind: "sparse"; readonly isIdf: boolean; readonly given: Json };
export type VectorConfig = DenseConfig | SparseConfig;

/** The vector that has no name, for collections that need only one. */
export const unnamed = "";

export type CollectionConfig = {
  readonly vectors: ReadonlyMap<string, VectorConfig>;
  /** Tuning of a graph index, of segments and shards: nothing here to tune, so kept for showing and nothing else. */
  readonly given: Json;
};

const tuning = [
  "hnsw_config",
  "optimizers_config",
  "quantization_config",
  "wal_config",
  "on_disk_payload",
  "shard_number",
  "replication_factor",
  "write_consistency_factor",
  "payload",
] as const;

export function parseCollection(body: Json): CollectionConfig {
  refuseOthers(body, ["vectors", "sparse_vectors", "metadata", "strict_mode_config", ...tuning], "creating a collection");
  const strict = body["strict_mode_config"];
  if (!isAbsent(strict) && toObject(strict, "strict_mode_config")["enabled"] === true) throw unsupported("strict mode");
  const vectors = new Map<string, VectorConfig>();
  const dense = isAbsent(body["vectors"]) ? {} : toObject(body["vectors"], "vectors");
  if ("size" in dense) vectors.set(unnamed, parseDense(dense, "vectors"));
  else
    for (const [name, value] of Object.entries(dense)) vectors.set(checkVectorName(name), parseDense(value, `vectors.${name}`));
  for (const [name, value] of Object.entries(toObject(body["sparse_vectors"] ?? {}, "sparse_vectors"))) {
    if (vectors.has(name)) throw wrongInput(`vector name ${name} is used twice`);
    vectors.set(checkVectorName(name), parseSparse(value, `sparse_vectors.${name}`));
  }
  const given = Object.fromEntries([...tuning, "metadata"].filter((key) => !isAbsent(body[key])).map((key) => [key, body[key]]));
  if ("metadata" in given) toObject(given["metadata"], "metadata");
  return { vectors, given };
}

/** `{dense: …}` or `{sparse: …}`: one vector added to a collection that exists. */
export function parseAddedVector(body: Json): VectorConfig {
  refuseOthers(body, ["dense", "sparse"], "adding a vector");
  if (!isAbsent(body["dense"])) return parseDense(body["dense"], "dense");
  if (!isAbsent(body["sparse"])) return parseSparse(body["sparse"], "sparse");
  throw badFormat("expected `dense` or `sparse`");
}

const sizeMax = 65_536;

export function parseDense(value: unknown, path: string): DenseConfig {
  const given = toObject(value, path);
  refuseOthers(
    given,
    ["size", "distance", "hnsw_config", "quantization_config", "on_disk", "memory", "datatype", "multivector_config"],
    "the parameters of a dense vector",
  );
  const { size, distance } = given;
  if (typeof size !== "number" || !Number.isInteger(size)) throw badFormat(`${path}.size: expected an unsigned integer`);
  if (size < 1 || size > sizeMax) throw invalid(`${path}.size`, `value ${size} invalid, must be from 1 to ${sizeMax}`);
  const datatype = isAbsent(given["datatype"]) ? "float32" : datatypes.find((name) => name === given["datatype"]);
  if (!datatype) throw unsupported(`vector datatype \`${JSON.stringify(given["datatype"])}\``);
  const known = distances.find((name) => name === distance);
  if (!known)
    throw badFormat(`${path}.distance: unknown variant ${JSON.stringify(distance)}, expected one of ${distances.join(", ")}`);
  return { kind: "dense", size, distance: known, datatype, isMulti: parseMulti(given["multivector_config"], path), given };
}

function parseMulti(value: unknown, path: string): boolean {
  if (isAbsent(value)) return false;
  const { comparator } = toObject(value, `${path}.multivector_config`);
  if (comparator !== "max_sim")
    throw badFormat(`${path}.multivector_config.comparator: unknown variant ${JSON.stringify(comparator)}, expected max_sim`);
  return true;
}

export function parseSparse(value: unknown, path: string): SparseConfig {
  const given = toObject(value ?? {}, path);
  refuseOthers(given, ["modifier", "index"], "the parameters of a sparse vector");
  const { modifier } = given;
  if (!isAbsent(modifier) && modifier !== "idf" && modifier !== "none") {
    throw badFormat(`${path}.modifier: unknown variant ${JSON.stringify(modifier)}, expected none or idf`);
  }
  return { kind: "sparse", isIdf: modifier === "idf", given };
}

// eslint-disable-next-line no-control-regex -- the unit separator and NUL are what Qdrant forbids
const forbidden = /[<>:"/\\|?*\u0000\u001f]/;
const nameBytesMax = 255;
const vectorNameBytesMax = 200;

export function checkName(name: string, what: string): string {
  if (name === "" || Buffer.byteLength(name) > nameBytesMax) throw invalid(what, `must be 1 to ${nameBytesMax} bytes long`);
  const found = forbidden.exec(name);
  if (found) throw invalid(what, `must not contain ${JSON.stringify(found[0])}`);
  return name;
}

export function checkVectorName(name: string): string {
  if (Buffer.byteLength(name) > vectorNameBytesMax) throw invalid("vector name", `must be at most ${vectorNameBytesMax} bytes`);
  return checkName(name, "vector name");
}
