/** From the `source` of a query to a span of one index. */
import type { Catalog, Index, Table } from "../store/catalog.ts";
import { afterPrefix, compareKeys, encodeKey } from "../codec/key.ts";
import { decodeId } from "../codec/id.ts";
import { DeveloperError, type Json } from "../codec/value.ts";
import { toTextQuery, type SearchFilter, type TextQuery } from "../search/textQuery.ts";
import { isUndefined } from "./expression.ts";

export type QuerySource =
  | { readonly type: "FullTableScan"; readonly tableName: string; readonly order: Order }
  | { readonly type: "IndexRange"; readonly indexName: string; readonly range: readonly Bound[]; readonly order: Order }
  | { readonly type: "Search"; readonly indexName: string; readonly filters: readonly SearchFilter[] };
type Order = "asc" | "desc" | null;
type Bound = { readonly type: "Eq" | "Gt" | "Gte" | "Lt" | "Lte"; readonly fieldPath: string; readonly value: Json };

/** `table` is undefined when nothing was ever stored under that name; its reads count all the same. */
export type ResolvedSource = {
  readonly tableName: string;
  readonly table: Table | undefined;
  /** Undefined is by_id. */
  readonly index: Index | undefined;
  /** The name under which reads and writes of this index are published. */
  readonly readName: string;
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  readonly isDescending: boolean;
  /** Set for a text search: its rows come by rank, and its keys are places in that order. */
  readonly search?: TextQuery;
};

const everything = { lower: new Uint8Array(0), upper: afterPrefix(new Uint8Array(0)) };

export function resolveSource(catalog: Catalog, source: QuerySource): ResolvedSource {
  if (source.type === "Search") return resolveSearch(catalog, source);
  const isDescending = source.order === "desc";
  if (source.type === "FullTableScan") {
    const table = catalog.table(source.tableName);
    const readName = `${source.tableName}.by_creation_time`;
    return { tableName: source.tableName, table, index: table?.indexes[0], readName, ...everything, isDescending };
  }
  const dot = source.indexName.indexOf(".");
  const tableName = source.indexName.slice(0, dot);
  const table = catalog.table(tableName);
  const readName = source.indexName;
  if (source.indexName.endsWith(".by_id"))
    return { tableName, table, index: undefined, readName, ...spanOfIds(source.range, table), isDescending };
  const index = table?.indexes.find((one) => one.name === source.indexName);
  // by_creation_time exists even where no table does yet.
  if (!index && !source.indexName.endsWith(".by_creation_time")) throw new DeveloperError(`Index ${source.indexName} not found.`);
  const fields = [...(index?.fields ?? []), "_creationTime"];
  return { tableName, table, index, readName, ...spanOf(source.range, fields, source.indexName), isDescending };
}

function resolveSearch(catalog: Catalog, source: QuerySource & { readonly type: "Search" }): ResolvedSource {
  const readName = source.indexName;
  const tableName = readName.slice(0, readName.indexOf("."));
  const table = catalog.table(tableName);
  const found = table?.texts.find((one) => one.name === readName);
  if (!found) throw new DeveloperError(`Index ${readName} not found.`);
  const search = toTextQuery(found, source.filters);
  return { tableName, table, index: undefined, readName, ...everything, isDescending: false, search };
}

function spanOf(range: readonly Bound[], fields: readonly string[], name: string): { lower: Uint8Array; upper: Uint8Array } {
  const equal = new Map<string, Json | undefined>();
  const bounds = new Map<"lower" | "upper", Bound>();
  for (const bound of range) {
    if (!fields.includes(bound.fieldPath))
      throw new DeveloperError(
        `The index range includes a comparison with "${bound.fieldPath}", but ${name} is not indexed on it (fields: ${fields.join(", ")}).`,
      );
    if (bound.type === "Eq") {
      if (equal.has(bound.fieldPath))
        throw new DeveloperError(`Already defined equality bound for "${bound.fieldPath}" in index ${name}.`);
      equal.set(bound.fieldPath, toKeyValue(bound.value));
      continue;
    }
    const side = bound.type.startsWith("G") ? "lower" : "upper";
    if (bounds.has(side))
      throw new DeveloperError(`Already defined ${side} bound in index range of ${name}. Can't add another one.`);
    bounds.set(side, bound);
  }
  const values = fields.slice(0, equal.size).map((field) => {
    if (!equal.has(field))
      throw new DeveloperError(`Index ${name} must be used with its fields in order; "${field}" was left out.`);
    return equal.get(field);
  });
  const prefix = encodeKey(values);
  const next = fields[equal.size];
  for (const bound of bounds.values())
    if (bound.fieldPath !== next)
      throw new DeveloperError(
        next === undefined || equal.has(bound.fieldPath)
          ? `Field "${bound.fieldPath}" of index ${name} has both an equality and a bound.`
          : `Bounds of index ${name} must be on "${next}", the field after the equalities, not on "${bound.fieldPath}".`,
      );
  const [lower, upper] = [bounds.get("lower"), bounds.get("upper")];
  return {
    lower: lower ? edge([...values, toKeyValue(lower.value)], lower.type === "Gt") : prefix,
    upper: upper ? edge([...values, toKeyValue(upper.value)], upper.type === "Lte") : afterPrefix(prefix),
  };
}

function edge(values: readonly (Json | undefined)[], isAfter: boolean): Uint8Array {
  const key = encodeKey(values);
  return isAfter ? afterPrefix(key) : key;
}

/** by_id is kept by raw bytes, whose order is that of the written ids of one table. */
function spanOfIds(range: readonly Bound[], table: Table | undefined): { lower: Uint8Array; upper: Uint8Array } {
  let { lower, upper }: { lower: Uint8Array; upper: Uint8Array } = everything;
  for (const bound of range) {
    if (bound.fieldPath !== "_id") throw new DeveloperError(`by_id is not indexed on "${bound.fieldPath}".`);
    const decoded = typeof bound.value === "string" ? decodeId(bound.value) : undefined;
    if (!decoded || decoded.table !== table?.number) throw new DeveloperError("A range of by_id needs ids of its own table.");
    const from = bound.type === "Gt" ? afterPrefix(decoded.id) : decoded.id;
    const to = bound.type === "Lt" ? decoded.id : afterPrefix(decoded.id);
    if (bound.type !== "Lt" && bound.type !== "Lte" && compareKeys(from, lower) > 0) lower = from;
    if (bound.type !== "Gt" && bound.type !== "Gte" && compareKeys(to, upper) < 0) upper = to;
  }
  return { lower, upper };
}

function toKeyValue(value: Json): Json | undefined {
  return isUndefined(value) ? undefined : value;
}
