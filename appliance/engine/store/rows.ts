/** Documents and index entries as prepared statements. Knows nothing of transactions, budgets or reads sets. */
import type { DatabaseSync } from "node:sqlite";

export type IndexRow = { readonly key: Uint8Array; readonly json: string };
export type Span = {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  readonly isDescending: boolean;
  readonly limit: number;
};

export type Rows = ReturnType<typeof openRows>;

export function openRows(db: DatabaseSync) {
  const get = db.prepare("SELECT json FROM docs WHERE tableId = ? AND id = ?");
  const insert = db.prepare("INSERT INTO docs (tableId, id, json) VALUES (?, ?, ?)");
  const update = db.prepare("UPDATE docs SET json = ? WHERE tableId = ? AND id = ?");
  const remove = db.prepare("DELETE FROM docs WHERE tableId = ? AND id = ?");
  const count = db.prepare("SELECT count(*) AS count FROM docs WHERE tableId = ?");
  const addEntry = db.prepare("INSERT INTO idx (indexId, key, id) VALUES (?, ?, ?)");
  const removeEntry = db.prepare("DELETE FROM idx WHERE indexId = ? AND key = ?");
  // CROSS JOIN fixes the order of the loops: the index first, then one look-up per entry.
  const scan = (order: string) =>
    db.prepare(
      `SELECT i.key AS key, d.json AS json FROM idx i CROSS JOIN docs d ON d.tableId = ? AND d.id = i.id
       WHERE i.indexId = ? AND i.key >= ? AND i.key < ? ORDER BY i.key ${order} LIMIT ?`,
    );
  const scanById = (order: string) =>
    db.prepare(`SELECT id AS key, json FROM docs WHERE tableId = ? AND id >= ? AND id < ? ORDER BY id ${order} LIMIT ?`);
  const [up, down, upById, downById] = [scan("ASC"), scan("DESC"), scanById("ASC"), scanById("DESC")];
  return {
    get: (tableId: number, id: Uint8Array) => (get.get(tableId, id) as { json: string } | undefined)?.json,
    insert: (tableId: number, id: Uint8Array, json: string) => void insert.run(tableId, id, json),
    update: (tableId: number, id: Uint8Array, json: string) => void update.run(json, tableId, id),
    remove: (tableId: number, id: Uint8Array) => void remove.run(tableId, id),
    count: (tableId: number) => (count.get(tableId) as { count: number }).count,
    addEntry: (indexId: number, key: Uint8Array, id: Uint8Array) => void addEntry.run(indexId, key, id),
    removeEntry: (indexId: number, key: Uint8Array) => void removeEntry.run(indexId, key),
    scan: (tableId: number, indexId: number, span: Span) =>
      (span.isDescending ? down : up).all(tableId, indexId, span.lower, span.upper, span.limit) as unknown as IndexRow[],
    scanById: (tableId: number, span: Span) =>
      (span.isDescending ? downById : upById).all(tableId, span.lower, span.upper, span.limit) as unknown as IndexRow[],
  };
}
