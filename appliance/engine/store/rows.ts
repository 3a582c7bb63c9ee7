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

/** Of documents kept in memory: in each of two halves, of which the older one goes when the younger is full. */
const keptCountMax = 8192;
const keptCharsMax = 2 * 1024 * 1024;
const keptEachMax = 16 * 1024;

/** `isAlone`: nobody else writes to this file, so that what was read or written last may be kept in memory. */
export function openRows(db: DatabaseSync, isAlone: boolean) {
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
  // Lists cost half of what objects with names do.
  for (const one of [get, up, down, upById, downById]) one.setReturnArrays(true);
  const toRows = (rows: unknown): IndexRow[] => (rows as [Uint8Array, string][]).map(([key, json]) => ({ key, json }));
  const kept = isAlone ? openKept() : undefined;
  const read = (tableId: number, id: Uint8Array, _name?: string) =>
    (get.get(tableId, id) as unknown as [string] | undefined)?.[0];
  return {
    /** `name` is what `nameOf` says, for who knows it already. */
    get: kept
      ? (tableId: number, id: Uint8Array, name = nameOf(tableId, id)) => {
          const known = kept.get(name);
          if (known !== undefined) return known;
          const json = read(tableId, id);
          if (json !== undefined) kept.set(name, json);
          return json;
        }
      : read,
    insert: (tableId: number, id: Uint8Array, json: string) => {
      insert.run(tableId, id, json);
      kept?.set(nameOf(tableId, id), json);
    },
    update: (tableId: number, id: Uint8Array, json: string) => {
      update.run(json, tableId, id);
      kept?.set(nameOf(tableId, id), json);
    },
    remove: (tableId: number, id: Uint8Array) => {
      remove.run(tableId, id);
      kept?.drop(nameOf(tableId, id));
    },
    /** Something that was written was undone: what is kept in memory may be wrong. */
    forget: () => kept?.clear(),
    count: (tableId: number) => (count.get(tableId) as { count: number }).count,
    addEntry: (indexId: number, key: Uint8Array, id: Uint8Array) => void addEntry.run(indexId, key, id),
    removeEntry: (indexId: number, key: Uint8Array) => void removeEntry.run(indexId, key),
    scan: (tableId: number, indexId: number, span: Span) =>
      toRows((span.isDescending ? down : up).all(tableId, indexId, span.lower, span.upper, span.limit)),
    scanById: (tableId: number, span: Span) =>
      toRows((span.isDescending ? downById : upById).all(tableId, span.lower, span.upper, span.limit)),
  };
}

/** Of a document, for a map: one character per byte of its id. */
export function nameOf(tableId: number, id: Uint8Array): string {
  return `${tableId} ${String.fromCharCode.apply(null, id as unknown as number[])}`;
}

/** Text by name, the least lately used forgotten first, about. */
function openKept() {
  let young = new Map<string, string>();
  let old = new Map<string, string>();
  let chars = 0;
  const set = (name: string, text: string): void => {
    if (text.length > keptEachMax) return drop(name);
    chars += text.length;
    if (young.size >= keptCountMax || chars > keptCharsMax) {
      old = young;
      young = new Map();
      chars = text.length;
    }
    young.set(name, text);
  };
  const drop = (name: string): void => {
    young.delete(name);
    old.delete(name);
  };
  return {
    get: (name: string): string | undefined => {
      const found = young.get(name);
      if (found !== undefined) return found;
      const older = old.get(name);
      if (older !== undefined) set(name, older);
      return older;
    },
    set,
    drop,
    clear: (): void => {
      young.clear();
      old.clear();
      chars = 0;
    },
  };
}
