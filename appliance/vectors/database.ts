/** The one file that is the truth. Everything in memory can be made again from it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

const schemaVersion = 1;

export type Database = {
  prepare(sql: string): StatementSync;
  exec(sql: string): void;
  /** All of `write` or nothing of it; durable once this returns. Not to be nested. */
  transaction<T>(write: () => T): T;
  close(): void;
};

/** Opens `dir`/vectors.db, making it when it is absent. Throws when a newer Nika wrote it. */
export function openDatabase(dir: string): Database {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(join(dir, "vectors.db"));
  // Locked, because a second process would change what this one holds in memory. Pages of 8 KiB hold five vectors of 384 floats.
  db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  // Reads through the map skip SQLite's own cache, which then stays small.
  db.exec("PRAGMA foreign_keys = ON; PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY");
  const version = (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
  if (version > schemaVersion) {
    db.close();
    throw new Error(`The vector store was written by a newer Nika (format ${version}, this one reads ${schemaVersion}).`);
  }
  if (version === 0) {
    // `version` counts the writes of a collection. Points and vectors have tables of their own, named after these ids, which are
    // therefore never used twice.
    db.exec(`BEGIN IMMEDIATE;
      CREATE TABLE collections (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, given TEXT NOT NULL,
        version INTEGER NOT NULL DEFAULT 0);
      CREATE TABLE vectors (id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL REFERENCES collections(id)
        ON DELETE CASCADE, name TEXT NOT NULL, config TEXT NOT NULL, UNIQUE (collection, name));
      CREATE TABLE payload_indexes (collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE, field TEXT NOT NULL,
        schema TEXT NOT NULL, PRIMARY KEY (collection, field));
      CREATE TABLE aliases (name TEXT PRIMARY KEY, collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE);
      PRAGMA user_version = ${schemaVersion};
      COMMIT`);
  }
  return {
    prepare: (sql) => db.prepare(sql),
    exec: (sql) => db.exec(sql),
    transaction(write) {
      db.exec("BEGIN IMMEDIATE");
      try {
        const result = write();
        db.exec("COMMIT");
        return result;
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
    close: () => db.close(),
  };
}
