/** Which tables and indexes there are. Each thread keeps its own copy and reloads it when the clock row says that it changed. */
import type { DatabaseSync } from "node:sqlite";
import type { IndexDefinition, SearchDefinition, VectorDefinition } from "../codec/schema.ts";
import type { TextIndex } from "../search/texts.ts";
import type { VectorIndex } from "../search/vectors.ts";

export type Index = {
  readonly id: number;
  /** `table.index`, the name under which reads and writes are published. */
  readonly name: string;
  readonly fields: readonly string[];
};
export type Table = {
  readonly id: number;
  readonly name: string;
  readonly number: number;
  /** Those with rows of their own: by_creation_time and the app's. */
  readonly indexes: readonly Index[];
  readonly texts: readonly TextIndex[];
  readonly vectors: readonly VectorIndex[];
};

export type Catalog = {
  readonly version: number;
  table(name: string): Table | undefined;
  tableOfNumber(number: number): Table | undefined;
  tables(): Iterable<Table>;
};

export const systemTables = { _scheduled_functions: 539, _storage: 540 } as const;
const firstUserNumber = 10_001;
export const byCreationTime = "by_creation_time";

export function readCatalog(db: DatabaseSync, version: number): Catalog {
  const byName = new Map<string, Table>();
  const byNumber = new Map<number, Table>();
  const indexes = db.prepare("SELECT id, tableId, name, fields FROM indexes ORDER BY id").all() as {
    id: number;
    tableId: number;
    name: string;
    fields: string;
  }[];
  const rows = db.prepare("SELECT id, name, number FROM tables").all() as { id: number; name: string; number: number }[];
  for (const { id, name, number } of rows) {
    const table = { id, name, number, indexes: [] as Index[], texts: [] as TextIndex[], vectors: [] as VectorIndex[] };
    for (const one of indexes) {
      if (one.tableId !== id) continue;
      const known = { id: one.id, name: `${name}.${one.name}` };
      const definition = JSON.parse(one.fields) as string[] | Omit<TextIndex, "id" | "name"> | Omit<VectorIndex, "id" | "name">;
      if (Array.isArray(definition)) table.indexes.push({ ...known, fields: definition });
      else if ("searchField" in definition) table.texts.push({ ...known, ...definition });
      else table.vectors.push({ ...known, ...definition });
    }
    byName.set(name, table);
    byNumber.set(number, table);
  }
  return {
    version,
    table: (name) => byName.get(name),
    tableOfNumber: (number) => byNumber.get(number),
    tables: () => byName.values(),
  };
}

/** Adds a table with its by_creation_time index. The number is the lowest free one, and stays with the name for ever. */
export function addTable(db: DatabaseSync, name: string, wanted?: number): void {
  const number =
    wanted ??
    (
      db
        .prepare(
          "SELECT min(n) AS number FROM (SELECT ? AS n UNION SELECT number + 1 FROM tables WHERE component = '' AND number >= ?) WHERE n NOT IN (SELECT number FROM tables WHERE component = '')",
        )
        .get(firstUserNumber, firstUserNumber) as { number: number }
    ).number;
  const { lastInsertRowid } = db.prepare("INSERT INTO tables (component, name, number) VALUES ('', ?, ?)").run(name, number);
  addIndex(db, Number(lastInsertRowid), { name: byCreationTime, fields: [] });
}

/** What the `fields` column holds: a list for an ordinary index, an object for those that are searched. */
export function definitionText(index: IndexDefinition | SearchDefinition | VectorDefinition): string {
  if ("fields" in index) return JSON.stringify(index.fields);
  const { filterFields } = index;
  return JSON.stringify(
    "searchField" in index
      ? { searchField: index.searchField, filterFields }
      : { vectorField: index.vectorField, dimensions: index.dimensions, filterFields },
  );
}

/** Adds the definition only; whoever calls fills in the rows. Returns its id. */
export function addIndex(
  db: DatabaseSync,
  tableId: number,
  index: IndexDefinition | SearchDefinition | VectorDefinition,
): number {
  const { lastInsertRowid } = db
    .prepare("INSERT INTO indexes (tableId, name, fields) VALUES (?, ?, ?)")
    .run(tableId, index.name, definitionText(index));
  return Number(lastInsertRowid);
}
