/** Rows of a file into tables, in the transaction thread: all of them or none. Ids and creation times that a row brings are kept. */
import { randomUUID } from "node:crypto";
import { closeSync, existsSync, openSync, readSync, renameSync } from "node:fs";
import { decodeId } from "../codec/id.ts";
import { DeveloperError, isPlainObject, type Json, type JsonObject } from "../codec/value.ts";
import { addTable, type Table } from "../store/catalog.ts";
import { blobPath, syncBlobs } from "../store/files.ts";
import { fileDocument, type Run } from "../txn/syscalls.ts";
import { inOrder, Transaction } from "../txn/transaction.ts";
import { parseExportJson } from "./exportJson.ts";

export type ImportMode = "requireEmpty" | "append" | "replace" | "replaceAll";
export type ImportWork = {
  readonly mode: ImportMode;
  readonly tables: readonly {
    readonly name: string;
    readonly number: number | undefined;
    /** With a row a line. */
    readonly file: string;
    /** See exportJson.ts. */
    readonly isTyped: boolean;
  }[];
  /** Undefined leaves what is stored alone, whatever the mode. */
  readonly files: readonly ImportedFile[] | undefined;
};
export type ImportedFile = {
  readonly id: string;
  /** Where its bytes lie, synced, on the filesystem of the store. */
  readonly file: string;
  /** Hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly contentType: string | null;
  /** The last part of its address. */
  readonly uuid: string | undefined;
  readonly creationTime: number | undefined;
};

const slice = 1000; // Rows between two looks at the budget, which is that of one function run.

/** Returns how many rows were written; files count as rows. */
export function importTables(run: Run, { mode, tables, files }: ImportWork): number {
  const { store, nowMs } = run.txn;
  const fresh = (): Transaction => new Transaction(store, { ts: run.txn.ts, nowMs, isWritable: true });
  if (mode === "replaceAll") for (const table of store.catalog.tables()) if (!table.name.startsWith("_")) clear(fresh, table);
  let count = files ? importFiles(run, { mode, files, fresh }) : 0;
  for (const wanted of tables) {
    if (!/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(wanted.name)) throw new DeveloperError(`"${wanted.name}" cannot name a table.`);
    const table = preparedTable(run, wanted, mode, fresh);
    let txn = fresh();
    let inSlice = 0;
    for (const line of linesOf(wanted.file)) {
      const row = parseRow(line, wanted.isTyped);
      if (++inSlice > slice) {
        txn = fresh();
        inSlice = 1;
      }
      insertRow(txn, table, row);
      count++;
    }
  }
  return count;
}

/** Bytes take their final name here; those of a failed import are forgotten by `forgetBlobs`. */
function importFiles(
  run: Run,
  { mode, files, fresh }: { mode: ImportMode; files: readonly ImportedFile[]; fresh: () => Transaction },
): number {
  const { store, nowMs } = run.txn;
  const { surroundings } = run;
  const table = store.catalog.table("_storage") as Table;
  if (mode === "requireEmpty" && store.rows.count(table.id) > 0)
    throw new DeveloperError("Table _storage already exists. Please choose a new table name or use replace/append modes.");
  if (mode === "replace" || mode === "replaceAll") {
    for (const row of surroundings.files.all()) surroundings.files.remove(row, nowMs);
    clear(fresh, table);
  }
  for (const { id, file, sha256, sizeBytes, contentType, uuid, creationTime } of files) {
    const decoded = decodeId(id) as { id: Uint8Array };
    if (store.rows.get(table.id, decoded.id) !== undefined)
      throw new DeveloperError(`There is a stored file with the id "${id}" already.`);
    if (existsSync(file)) renameSync(file, blobPath(surroundings.dir, sha256));
    fresh().restore(table, decoded.id, {
      ...fileDocument({ sha256, sizeBytes, contentType }),
      _id: id,
      _creationTime: creationTime ?? store.nextCreationTime(nowMs),
    });
    const isTaken = uuid === undefined || surroundings.files.findByUuid(uuid) !== undefined;
    surroundings.files.add({ id: decoded.id, uuid: isTaken ? randomUUID() : uuid, sha256, sizeBytes, contentType });
  }
  syncBlobs(surroundings.dir);
  return files.length;
}

function preparedTable(
  run: Run,
  { name, number, file }: ImportWork["tables"][number],
  mode: ImportMode,
  fresh: () => Transaction,
): Table {
  const { store } = run.txn;
  const wanted = number ?? numberOfFirstRow(file);
  const held = store.catalog.table(name);
  if (held && mode === "requireEmpty" && store.rows.count(held.id) > 0)
    throw new DeveloperError(`Table ${name} already exists. Please choose a new table name or use replace/append modes.`);
  if (held && mode === "replace") clear(fresh, held);
  const owner = wanted === undefined ? undefined : store.catalog.tableOfNumber(wanted);
  if (wanted !== undefined && owner && owner.name !== name) {
    if (owner.name.startsWith("_") || store.rows.count(owner.id) > 0)
      throw new DeveloperError(`The ids of table "${name}" belong to table "${owner.name}" here; import with --replace-all.`);
    // An empty table has no ids to lose, so it gives up its number.
    const free = store.db.prepare("SELECT max(number) + 1 AS number FROM tables").get() as { number: number };
    store.db.prepare("UPDATE tables SET number = ? WHERE id = ?").run(Math.max(free.number, 10_001), owner.id);
  }
  if (!held) addTable(store.db, name, wanted);
  else if (wanted !== undefined && held.number !== wanted && store.rows.count(held.id) === 0)
    store.db.prepare("UPDATE tables SET number = ? WHERE id = ?").run(wanted, held.id);
  store.noteCatalogChange();
  return store.catalog.table(name) as Table;
}

function insertRow(txn: Transaction, table: Table, row: JsonObject): void {
  const { _id, _creationTime, ...fields } = row;
  if (_id === undefined) {
    txn.insert(table.name, fields);
    return;
  }
  const decoded = typeof _id === "string" ? decodeId(_id) : undefined;
  if (!decoded || decoded.table !== table.number)
    throw new DeveloperError(`The id ${JSON.stringify(_id)} is not one of table "${table.name}".`);
  if (txn.store.rows.get(table.id, decoded.id) !== undefined)
    throw new DeveloperError(`Table "${table.name}" has a row with the id ${JSON.stringify(_id)} already.`);
  const created = typeof _creationTime === "number" ? _creationTime : txn.store.nextCreationTime(txn.nowMs);
  txn.restore(table, decoded.id, inOrder(fields, _id, created));
}

function clear(fresh: () => Transaction, table: Table): void {
  for (;;) {
    const txn = fresh();
    const span = { lower: new Uint8Array(0), upper: new Uint8Array(18).fill(0xff), isDescending: false, limit: slice };
    const rows = txn.store.rows.scanById(table.id, span);
    for (const { key, json } of rows) txn.remove(table, key, JSON.parse(json) as JsonObject);
    if (rows.length < slice) return;
  }
}

function numberOfFirstRow(file: string): number | undefined {
  for (const line of linesOf(file)) {
    const { _id } = parseRow(line, false);
    return typeof _id === "string" ? decodeId(_id)?.table : undefined;
  }
  return undefined;
}

function parseRow(line: string, isTyped: boolean): JsonObject {
  let row: Json;
  try {
    row = parseExportJson(line, isTyped);
  } catch {
    throw new DeveloperError(`This line is not JSON: ${line.slice(0, 200)}`);
  }
  if (isPlainObject(row)) return row;
  throw new DeveloperError(`This line is not an object: ${line.slice(0, 200)}`);
}

/** Lines that are not empty, with no more than one chunk and one line in memory. */
function* linesOf(path: string): Generator<string> {
  const file = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(256 * 1024);
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const count = readSync(file, chunk);
      const bytes = Buffer.concat([rest, chunk.subarray(0, count)]);
      let from = 0;
      for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
        const line = bytes.subarray(from, at).toString().trim();
        from = at + 1;
        if (line !== "") yield line;
      }
      rest = Buffer.from(bytes.subarray(from));
      if (count > 0) continue;
      const line = rest.toString().trim();
      if (line !== "") yield line;
      return;
    }
  } finally {
    closeSync(file);
  }
}
