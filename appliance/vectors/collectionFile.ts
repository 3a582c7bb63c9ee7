/** A collection in a SQLite file of its own, and back. What comes back may be from anywhere, so all of it is checked before it counts. */
import type { StatementSync } from "node:sqlite";
import { isObject, type Json } from "./body.ts";
import { createPointsTable } from "./collection.ts";
import { parseDense, parseSparse, type VectorConfig } from "./config.ts";
import type { Database } from "./database.ts";
import { parsePath } from "./filter/payloadPath.ts";
import { parseFieldSchema } from "./filter/payloadIndex.ts";
import { codecs } from "./index/codec.ts";
import { createFieldTable } from "./index/field.ts";
import { badRequest, type Refusal } from "./refusal.ts";

// "NkVs", so that no other SQLite file is taken for one.
const applicationId = 0x4e6b5673;
const formatVersion = 1;

/** Writes the collection with this row id into a new file at `path`. */
export function writeCollectionFile(db: Database, id: number, path: string): void {
  attached(db, path, () => {
    db.exec(`PRAGMA snap.application_id = ${applicationId}; PRAGMA snap.user_version = ${formatVersion}`);
    db.transaction(() => {
      db.exec(`CREATE TABLE snap.collection AS SELECT given, version FROM main.collections WHERE id = ${id};
        CREATE TABLE snap.vectors AS SELECT id, name, config FROM main.vectors WHERE collection = ${id};
        CREATE TABLE snap.payload_indexes AS SELECT field, schema FROM main.payload_indexes WHERE collection = ${id};
        CREATE TABLE snap.points AS SELECT slot, id, version, payload FROM main.points_${id}`);
      for (const { id: field } of db.prepare(`SELECT id FROM main.vectors WHERE collection = ${id}`).all() as { id: number }[])
        db.exec(`CREATE TABLE snap.vector_${field} AS SELECT slot, value FROM main.vector_${field}`);
    });
  });
}

/** Takes the file in as a new collection under this name and returns its row id. Runs `around` inside the same transaction. */
export function readCollectionFile(db: Database, name: string, path: string, around: (id: number) => void): number {
  return attached(db, path, () => {
    checkFile(db);
    return db.transaction(() => {
      const id = copyIn(db, name);
      around(id);
      return id;
    });
  });
}

function attached<T>(db: Database, path: string, work: () => T): T {
  try {
    db.prepare("ATTACH DATABASE ? AS snap").run(path);
  } catch {
    throw notOurs();
  }
  try {
    return work();
  } catch (error) {
    // SQLite found the file damaged, which is the file's fault and not ours. A full disk is reported as such further up.
    const isDamaged = error instanceof Error && "errcode" in error && [11, 26].includes(Number(error.errcode) & 0xff);
    throw isDamaged ? notOurs() : error;
  } finally {
    db.exec("DETACH DATABASE snap");
  }
}

const notOurs = (): Refusal =>
  badRequest("the file is not a snapshot of this store, or it is damaged; a Qdrant server's cannot be read here");

function checkFile(db: Database): void {
  const get = (pragma: string): unknown => Object.values(db.prepare(`PRAGMA snap.${pragma}`).get() ?? {})[0];
  if (get("application_id") !== applicationId) throw notOurs();
  if (Number(get("user_version")) > formatVersion) throw badRequest("the snapshot was made by a newer Nika");
  if (get("quick_check(1)") !== "ok") throw notOurs();
  // Nothing but plain tables: a view or a virtual table would run what its maker wrote.
  const rows = db.prepare("SELECT type, sql FROM snap.sqlite_schema").all() as { type: string; sql: string | null }[];
  if (rows.some(({ type, sql }) => type !== "table" || /^\s*CREATE\s+VIRTUAL/i.test(sql ?? ""))) throw notOurs();
}

type Row = Record<string, unknown>;

function copyIn(db: Database, name: string): number {
  const all = (sql: string): Row[] => {
    try {
      return db.prepare(sql).all();
    } catch (error) {
      throw error instanceof Error && /no such (table|column)/.test(error.message) ? notOurs() : error;
    }
  };
  const [collection, ...more] = all("SELECT given, version FROM snap.collection");
  if (!collection || more.length > 0 || !Number.isSafeInteger(collection["version"])) throw notOurs();
  const given = toJson(collection["given"]);
  const { lastInsertRowid } = db
    .prepare("INSERT INTO main.collections (name, given, version) VALUES (?, ?, ?)")
    .run(name, JSON.stringify(given), collection["version"] as number);
  const id = Number(lastInsertRowid);
  db.exec(createPointsTable(id));
  copyPoints(db, id, all);
  for (const row of all("SELECT field, schema FROM snap.payload_indexes")) {
    const path = parsePath(row["field"]);
    const { kind, params } = toJson(row["schema"]);
    const schema = parseFieldSchema(params ?? kind);
    db.prepare("INSERT INTO main.payload_indexes VALUES (?, ?, ?)").run(id, path.text, JSON.stringify(schema));
  }
  for (const row of all("SELECT id, name, config FROM snap.vectors ORDER BY id")) copyVectors(db, id, row, all);
  return id;
}

function copyPoints(db: Database, id: number, all: (sql: string) => Row[]): void {
  // An id is a tag and 8 or 16 bytes (pointId.ts); slots are 32-bit.
  const [bad] = all(`SELECT 1 FROM snap.points WHERE typeof(slot) <> 'integer' OR slot NOT BETWEEN 0 AND 4294967294
    OR typeof(version) <> 'integer' OR typeof(id) <> 'blob' OR NOT (hex(substr(id, 1, 1)) = '00' AND length(id) = 9
      AND hex(substr(id, 2, 4)) <= '001FFFFF' OR hex(substr(id, 1, 1)) = '01' AND length(id) = 17)
    OR typeof(payload) <> 'text' OR NOT json_valid(payload) OR json_type(payload) <> 'object' LIMIT 1`);
  if (bad) throw notOurs();
  try {
    db.exec(`INSERT INTO main.points_${id} SELECT slot, id, version, payload FROM snap.points`);
  } catch (error) {
    throw error instanceof Error && /UNIQUE/.test(error.message) ? notOurs() : error;
  }
}

function copyVectors(db: Database, collection: number, row: Row, all: (sql: string) => Row[]): void {
  const [from, name] = [row["id"], row["name"]];
  if (!Number.isSafeInteger(from) || typeof name !== "string") throw notOurs();
  const stored = toJson(row["config"]);
  const config = stored["kind"] === "sparse" ? parseSparse(stored["given"], name) : parseDense(stored["given"], name);
  const { lastInsertRowid } = db
    .prepare("INSERT INTO main.vectors (collection, name, config) VALUES (?, ?, ?)")
    .run(collection, name, JSON.stringify({ kind: config.kind, given: config.given }));
  const to = Number(lastInsertRowid);
  db.exec(createFieldTable(to));
  const [bad] = all(`SELECT 1 FROM snap.vector_${from as number} WHERE typeof(slot) <> 'integer' OR typeof(value) <> 'blob'
    OR NOT (${sizeRule(config)}) OR slot NOT IN (SELECT slot FROM snap.points) LIMIT 1`);
  if (bad) throw notOurs();
  if (config.kind === "sparse") checkTerms(db.prepare(`SELECT value FROM snap.vector_${from as number}`));
  db.exec(`INSERT INTO main.vector_${to} SELECT slot, value FROM snap.vector_${from as number}`);
}

/** In SQL, about the column `value`. */
function sizeRule(config: VectorConfig): string {
  if (config.kind === "sparse") return "length(value) % 8 = 0";
  const bytes = config.size * codecs[config.datatype].bytesEach;
  return config.isMulti ? `length(value) > 0 AND length(value) % ${bytes} = 0` : `length(value) = ${bytes}`;
}

/** The inverted index relies on ascending terms. */
function checkTerms(statement: StatementSync): void {
  statement.setReturnArrays(true);
  for (const row of statement.iterate()) {
    const [blob] = row as unknown as [Uint8Array];
    const indices = new Uint32Array(blob.slice(0, blob.byteLength / 2).buffer);
    for (let i = 1; i < indices.length; i++) if (indices[i]! <= indices[i - 1]!) throw notOurs();
  }
}

function toJson(value: unknown): Json {
  let parsed: unknown;
  try {
    parsed = JSON.parse(String(value));
  } catch {
    throw notOurs();
  }
  if (!isObject(parsed)) throw notOurs();
  return parsed;
}
