/** The SQLite file: how it is opened, and its tables. Times in columns that end in `Ms` are milliseconds; `ts` is nanoseconds. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Bound how much of the WAL a checkpoint copies at once: 64 MB, so that fsync stalls stay rare. */
const walPages = 16_000;
/** What a long reader made the WAL grow by is given back at the next checkpoint that can. */
const walBytesKept = 64 * 1024 * 1024;
const cacheKib = 16 * 1024;
/** A thread that is being ended needs a moment to let go. */
const lockWaitMs = 2000;

export function databasePath(dir: string): string {
  return join(dir, "engine.sqlite");
}

/**
 * Keeps every other engine, of this process or another, away from the database until it is closed. Held by the operating system, so it
 * ends with the process, however that ends.
 */
export function lockDatabase(dir: string): DatabaseSync {
  const lock = new DatabaseSync(join(dir, "engine.lock"), { timeout: lockWaitMs });
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch {
    lock.close();
    throw new Error("The database is in use by another engine.");
  }
}

/** The one connection that may write. Makes the file when absent; refuses one made by a newer Nika. */
export function openForWriting(dir: string): DatabaseSync {
  return prepared(new DatabaseSync(databasePath(dir), { timeout: 10_000 }));
}

/** For tests: gone when it is closed. */
export function openInMemory(): DatabaseSync {
  return prepared(new DatabaseSync(":memory:"));
}

function prepared(db: DatabaseSync): DatabaseSync {
  // Before the first table: it cannot be changed afterwards without rewriting the file.
  db.exec("PRAGMA auto_vacuum = INCREMENTAL");
  db.exec("PRAGMA journal_mode = WAL");
  db.exec("PRAGMA synchronous = FULL");
  db.exec(`PRAGMA wal_autocheckpoint = ${walPages}`);
  db.exec(`PRAGMA journal_size_limit = ${walBytesKept}`);
  db.exec(`PRAGMA cache_size = -${cacheKib}`);
  db.exec("PRAGMA foreign_keys = OFF");
  const { user_version: found } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (found > layouts.length) {
    db.close();
    throw new Error("The database was written by a newer Nika; start that version instead.");
  }
  if (found < layouts.length) {
    db.exec("BEGIN IMMEDIATE");
    for (const layout of layouts.slice(found)) db.exec(layout);
    db.exec(`PRAGMA user_version = ${layouts.length}`);
    db.exec("COMMIT");
  }
  return db;
}

export function openForReading(dir: string): DatabaseSync {
  const db = new DatabaseSync(databasePath(dir), { readOnly: true, timeout: 10_000 });
  db.exec(`PRAGMA cache_size = -${cacheKib / 2}`);
  return db;
}

// docs.json is the whole document in Convex's encoding, so that reading one copies text. `idx` holds every index but by_id, which is
// the primary key of docs. Keys end in creation time and id, so they are unique.
const first = `
CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), ts INTEGER NOT NULL, creationTime REAL NOT NULL, catalog INTEGER NOT NULL);
INSERT INTO clock VALUES (1, 0, 0, 0);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tables (id INTEGER PRIMARY KEY, component TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL,
  UNIQUE (component, name), UNIQUE (component, number));
CREATE TABLE indexes (id INTEGER PRIMARY KEY, tableId INTEGER NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL, UNIQUE (tableId, name));
CREATE TABLE docs (tableId INTEGER NOT NULL, id BLOB NOT NULL, json TEXT NOT NULL, PRIMARY KEY (tableId, id)) WITHOUT ROWID;
CREATE TABLE idx (indexId INTEGER NOT NULL, key BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY (indexId, key)) WITHOUT ROWID;
CREATE TABLE sessionRequests (session TEXT NOT NULL, request INTEGER NOT NULL, ts INTEGER NOT NULL, value TEXT NOT NULL,
  logLines TEXT NOT NULL, atMs REAL NOT NULL, PRIMARY KEY (session, request)) WITHOUT ROWID;
CREATE INDEX sessionRequestsByAge ON sessionRequests (atMs);
CREATE TABLE jobs (id BLOB PRIMARY KEY, path TEXT NOT NULL, args TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, atMs REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX jobsByState ON jobs (state, atMs);
CREATE TABLE crons (name TEXT PRIMARY KEY, path TEXT NOT NULL, args TEXT NOT NULL, schedule TEXT NOT NULL, nextMs REAL NOT NULL, isRunning INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE files (id BLOB PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL, sizeBytes INTEGER NOT NULL, contentType TEXT) WITHOUT ROWID;
CREATE INDEX filesBySha256 ON files (sha256);
CREATE TABLE deadBlobs (sha256 TEXT PRIMARY KEY, sinceMs REAL NOT NULL) WITHOUT ROWID;
`;

// Of text indexes: which documents hold a term, what is known of each, and of all together. Of vector indexes: floats of four bytes.
const searching = `
CREATE TABLE searchTerms (indexId INTEGER NOT NULL, term TEXT NOT NULL, id BLOB NOT NULL, hits INTEGER NOT NULL,
  length INTEGER NOT NULL, PRIMARY KEY (indexId, term, id)) WITHOUT ROWID;
CREATE TABLE searchDocuments (indexId INTEGER NOT NULL, id BLOB NOT NULL, length INTEGER NOT NULL, createdMs REAL NOT NULL, filters BLOB NOT NULL,
  PRIMARY KEY (indexId, id)) WITHOUT ROWID;
CREATE TABLE searchTotals (indexId INTEGER PRIMARY KEY, documents INTEGER NOT NULL, length INTEGER NOT NULL);
CREATE TABLE searchVectors (indexId INTEGER NOT NULL, id BLOB NOT NULL, vector BLOB NOT NULL, filters BLOB NOT NULL, PRIMARY KEY (indexId, id)) WITHOUT ROWID;
`;

// See answers.ts.
const newestAnswers = `
CREATE TABLE newestRequests (n INTEGER PRIMARY KEY, session TEXT NOT NULL, request INTEGER NOT NULL, ts INTEGER NOT NULL, value TEXT NOT NULL,
  logLines TEXT NOT NULL, atMs REAL NOT NULL);
`;

/** Each brings the file one version further; how many were run stands in its header. */
const layouts = [first, searching, newestAnswers];
