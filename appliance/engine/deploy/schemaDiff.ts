/** What a schema would change of the indexes that there are, and how large its tables are: told before a push, printed after it. */
import { noSchema, parseSchema } from "../codec/schema.ts";
import { byCreationTime } from "../store/catalog.ts";
import type { Store } from "../store/store.ts";

/** As the command line reads one. */
export type IndexConfig = { readonly name: string; readonly staged: false } & (
  | { readonly type: "database"; readonly fields: readonly string[] }
  | { readonly type: "search"; readonly searchField: string; readonly filterFields: readonly string[] }
  | {
      readonly type: "vector";
      readonly vectorField: string;
      readonly dimensions: number;
      readonly filterFields: readonly string[];
    }
);
export type SchemaDiff = {
  readonly added: readonly IndexConfig[];
  readonly removed: readonly IndexConfig[];
  readonly same: readonly IndexConfig[];
  /** Of the schema's tables and those that have rows. */
  readonly tables: readonly {
    readonly name: string;
    readonly isDeclared: boolean;
    readonly count: number;
    readonly bytes: number;
  }[];
  readonly isEnforced: boolean;
};

/** `schema` is JSON text; null stands for no schema. */
export function diffSchema(store: Store, schema: string | null): SchemaDiff {
  const { tables, isEnforced } = schema === null ? noSchema : parseSchema(schema);
  const wanted = tables.flatMap(({ name, indexes, texts, vectors }) => [
    ...indexes.map((one) => configOf({ ...one, name: `${name}.${one.name}` })),
    ...texts.map((one) => configOf({ ...one, name: `${name}.${one.name}` })),
    ...vectors.map((one) => configOf({ ...one, name: `${name}.${one.name}` })),
  ]);
  const own = [...store.catalog.tables()].filter((one) => !one.name.startsWith("_"));
  const held = own.flatMap(({ indexes, texts, vectors }) =>
    [...indexes.filter((one) => !one.name.endsWith(`.${byCreationTime}`)), ...texts, ...vectors].map(configOf),
  );
  const texts = (list: readonly IndexConfig[]) => new Set(list.map((one) => JSON.stringify(one)));
  const [wantedTexts, heldTexts] = [texts(wanted), texts(held)];
  const names = new Set([...own.map((one) => one.name), ...tables.map((one) => one.name)]);
  return {
    added: wanted.filter((one) => !heldTexts.has(JSON.stringify(one))),
    removed: held.filter((one) => !wantedTexts.has(JSON.stringify(one))),
    same: held.filter((one) => wantedTexts.has(JSON.stringify(one))),
    tables: [...names].toSorted().map((name) => ({
      name,
      isDeclared: tables.some((one) => one.name === name),
      ...sizeOf(store, name),
    })),
    isEnforced,
  };
}

function sizeOf(store: Store, name: string): { readonly count: number; readonly bytes: number } {
  const table = store.catalog.table(name);
  if (!table) return { count: 0, bytes: 0 };
  return store.db
    .prepare("SELECT count(*) AS count, coalesce(sum(length(json)), 0) AS bytes FROM docs WHERE tableId = ?")
    .get(table.id) as { count: number; bytes: number };
}

type Held = { readonly name: string; readonly filterFields?: readonly string[] } & (
  | { readonly fields: readonly string[] }
  | { readonly searchField: string }
  | { readonly vectorField: string; readonly dimensions: number }
);

function configOf(index: Held): IndexConfig {
  const { name, filterFields = [] } = index;
  if ("fields" in index) return { name, staged: false, type: "database", fields: index.fields };
  if ("searchField" in index) return { name, staged: false, type: "search", searchField: index.searchField, filterFields };
  const { vectorField, dimensions } = index;
  return { name, staged: false, type: "vector", vectorField, dimensions, filterFields };
}
