/** The one file that is the truth. Everything in memory can be made again from it. */
import { closeSync, existsSync, fdatasync, fdatasyncSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

const schemaVersion = 1;
/** As often as this, at most, the log is emptied: what it grows to meanwhile takes some milliseconds to copy. */
const settleMs = 1_000;

export type Database = {
  prepare(sql: string): StatementSync;
  exec(sql: string): void;
  /** All of `write` or nothing of it. Not to be nested. It is seen at once, and there for good when `durable` says so. */
  transaction<T>(write: () => T): T;
  /** Transactions so far. */
  readonly commits: number;
  /** Resolves when everything committed before the call is on the disk. */
  durable(): Promise<void>;
  /** Resolves when a write would not have to wait for the disk. */
  settled(): Promise<void>;
  close(): void;
};

/** Opens `dir`/vectors.db, making it when it is absent. Throws when a newer Nika wrote it. */
export function openDatabase(dir: string): Database {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, "vectors.db");
  const db = new DatabaseSync(path);
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
  const files = openFiles(path);
  // What is on the disk, and in which order it comes there, is seen to below. Where the file system cannot keep such a log, SQLite keeps another
  // kind and syncs by itself.
  if (files) db.exec("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0");
  let settledAt = performance.now();
  let settling: { isCopied: boolean; isOver: boolean; readonly over: Promise<void> } | undefined;

  /**
   * Brings what the log holds to its place in the file. First the log is synced, then its pages are copied, then the file is synced, and before that
   * nothing is written, because the log would begin anew and what it held could be lost. Searches go on meanwhile.
   */
  const settle = (log: Files): void => {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const mine = { isCopied: false, isOver: false, over };
    settling = mine;
    const end = (): void => {
      if (mine.isOver) return;
      mine.isOver = true;
      settling = undefined;
      settledAt = performance.now();
      resolve();
    };
    log
      .synced()
      .then(async () => {
        if (mine.isOver) return;
        mine.isCopied = true;
        copyLog(db);
        await log.fileSynced();
      })
      .then(end, (error: unknown) => {
        end();
        failed(error);
      });
    cut = () => {
      if (mine.isCopied) log.syncFileNow();
      end();
    };
  };
  /** Ends it at once, for whoever cannot wait. */
  let cut: () => void = () => undefined;
  let commits = 0;
  return {
    prepare: (sql) => db.prepare(sql),
    exec: (sql) => db.exec(sql),
    transaction(write) {
      if (settling) cut();
      db.exec("BEGIN IMMEDIATE");
      try {
        const result = write();
        db.exec("COMMIT");
        commits += 1;
        if (files && performance.now() > settledAt + settleMs) settle(files);
        return result;
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
    get commits() {
      return commits;
    },
    durable: async () => files?.synced(),
    settled: async () => settling?.over,
    close() {
      if (settling) cut();
      // The last of the log is brought to its place by SQLite, which syncs it.
      if (files) db.exec("PRAGMA synchronous = FULL");
      db.close();
      files?.close();
    },
  };
}

/** What cannot be copied now, as on a full disk, stays in the log and is tried again. */
function copyLog(db: DatabaseSync): void {
  try {
    db.exec("PRAGMA wal_checkpoint(PASSIVE)");
  } catch {
    // Nothing is lost: SQLite counts as copied only what was.
  }
}

type Files = {
  /** The log, with all that was written to it before the call. */
  synced(): Promise<void>;
  fileSynced(): Promise<void>;
  syncFileNow(): void;
  /** After SQLite has closed them: closing a file lets go of all locks that this process has on it. */
  close(): void;
};

/**
 * SQLite's log and file, synced by threads of Node's: a disk that is slow keeps those waiting who wrote, and not those who search. One sync of the
 * log is for all that was written before it began.
 */
function openFiles(path: string): Files | undefined {
  if (!existsSync(`${path}-wal`)) return undefined;
  // That there is a log at all.
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
  const [log, file] = [openSync(`${path}-wal`, "r+"), openSync(path, "r+")];
  let running: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;
  let isClosed = false;
  const sync = (one: number): Promise<void> =>
    new Promise((resolve, reject) => {
      // Closing the database puts everything into its place, and may come before this is done.
      if (isClosed) resolve();
      else fdatasync(one, (error) => (error && !isClosed ? reject(error) : resolve()));
    });
  return {
    synced() {
      if (next) return next;
      next = running.then(() => {
        next = undefined;
        running = sync(log);
        return running;
      });
      next.catch(failed);
      return next;
    },
    fileSynced: () => sync(file),
    syncFileNow: () => fdatasyncSync(file),
    close() {
      isClosed = true;
      closeSync(log);
      closeSync(file);
    },
  };
}

/** Nobody knows what is saved then. Uncaught, this ends the thread, and whoever started it is told. */
function failed(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
