/** Which tables and indexes there are. Each thread keeps its own copy and reloads it when the clock row says that it changed. */
import type { DatabaseSync } from "node:sqlite";
import type { IndexDefinition } from "../codec/schema.ts";

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
    const own = indexes
      .filter((one) => one.tableId === id)
      .map((one) => ({ id: one.id, name: `${name}.${one.name}`, fields: JSON.parse(one.fields) as string[] }));
    const table = { id, name, number, indexes: own };
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

/** Adds the definition only; whoever calls fills in the rows. Returns its id. */
export function addIndex(db: DatabaseSync, tableId: number, index: IndexDefinition): number {
  const { lastInsertRowid } = db
    .prepare("INSERT INTO indexes (tableId, name, fields) VALUES (?, ?, ?)")
    .run(tableId, index.name, JSON.stringify(index.fields));
  return Number(lastInsertRowid);
}
