/** The one file that is the truth. Everything in memory can be made again from it. */
import { closeSync, existsSync, fdatasync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

const schemaVersion = 1;

export type Database = {
  prepare(sql: string): StatementSync;
  exec(sql: string): void;
  /** All of `write` or nothing of it. Not to be nested. It is seen at once, and there for good when `durable` says so. */
  transaction<T>(write: () => T): T;
  /** Transactions so far. */
  readonly commits: number;
  /** Resolves when everything committed before the call is on the disk. */
  durable(): Promise<void>;
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
  const log = openLog(join(dir, "vectors.db-wal"));
  // The file stays whole without; how far it reaches after a power cut is what the log's own syncing sees to. Where the file system cannot keep
  // such a log, SQLite keeps another kind and syncs it at each COMMIT.
  if (log) db.exec("PRAGMA synchronous = NORMAL");
  let commits = 0;
  return {
    prepare: (sql) => db.prepare(sql),
    exec: (sql) => db.exec(sql),
    transaction(write) {
      db.exec("BEGIN IMMEDIATE");
      try {
        const result = write();
        db.exec("COMMIT");
        commits += 1;
        return result;
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
    get commits() {
      return commits;
    },
    durable: async () => log?.synced(),
    close() {
      log?.close();
      db.close();
    },
  };
}

type Log = { synced(): Promise<void>; close(): void };

/**
 * SQLite's log, synced by a thread of Node's: a disk that is slow keeps those waiting who wrote, and not those who search. One sync is for all that
 * was written before it began.
 */
function openLog(path: string): Log | undefined {
  if (!existsSync(path)) return undefined;
  const file = openSync(path, "r+");
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let isClosed = false;
  const sync = (): Promise<void> =>
    new Promise((resolve, reject) => {
      // Closing the database has put everything into its place.
      if (isClosed) return resolve();
      fdatasync(file, (error) => (error ? reject(error) : resolve()));
    });
  const close = (): void => {
    isClosed = true;
    void (running ?? Promise.resolve()).catch(() => undefined).then(() => closeSync(file));
  };
  return {
    synced() {
      if (next) return next;
      const before = running;
      const mine = (before ? before.catch(() => undefined) : Promise.resolve()).then(() => {
        next = undefined;
        running = sync();
        return running;
      });
      next = mine;
      mine.catch(failed);
      return mine;
    },
    close,
  };
}

/** Nobody knows what is saved then. Uncaught, this ends the thread, and whoever started it is told. */
function failed(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
