/**
 * Registries on this machine: the newest version of each server, found by words. A SQLite file that can be thrown away: everything in it can
 * be fetched again. Nobody else's index in the house holds what is not the owner's own, and a full-text table is all that this takes.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Entry } from "../../../convex/model/entry.ts";
import { skeleton } from "../../../convex/model/lookalike.ts";

/** Where copying is: `cursor` within a pass that began at `startedAt`, `since` what the last whole pass reaches up to. */
export type Mark = {
  readonly cursor: string | undefined;
  readonly startedAt: number | undefined;
  readonly since: number | undefined;
};
export type Shelved = { readonly source: string; readonly entry: Entry };

export type Shelf = {
  /** In one transaction: the entries of a page, and where copying is then. A deleted entry is taken out. */
  put(source: string, entries: readonly Entry[], mark: Mark): void;
  mark(source: string): Mark;
  count(source?: string): number;
  /** Best first: words in names weigh most. Without words, what changed last. */
  search(words: string, wish: { readonly sources: readonly string[]; readonly limit: number }): Shelved[];
  get(source: string, name: string): Entry | undefined;
  /** Of servers that live in this repository. */
  inRepository(url: string): Shelved[];
  /** Names of packages that look like this one at a glance, itself left out. */
  likenesses(identifier: string): string[];
  /** Throws away what was copied from others than these. */
  retain(sources: readonly string[]): void;
  close(): void;
};

const schema = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, updated INTEGER NOT NULL, repository TEXT, json TEXT NOT NULL,
    UNIQUE (source, name)
  );
  CREATE INDEX IF NOT EXISTS by_repository ON entries (repository);
  CREATE INDEX IF NOT EXISTS by_updated ON entries (updated DESC);
  CREATE TABLE IF NOT EXISTS shapes (shape TEXT NOT NULL, identifier TEXT NOT NULL, entry INTEGER NOT NULL);
  CREATE INDEX IF NOT EXISTS by_shape ON shapes (shape);
  CREATE INDEX IF NOT EXISTS by_entry ON shapes (entry);
  CREATE TABLE IF NOT EXISTS marks (source TEXT PRIMARY KEY, cursor TEXT, started INTEGER, since INTEGER);
  CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (name, title, packages, about, tokenize = 'unicode61 remove_diacritics 2', prefix = '3');
`;

/** `file` may be ":memory:". */
export function openShelf(file: string): Shelf {
  if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(file, { timeout: 5_000 });
  db.exec(schema);
  const statements = {
    find: db.prepare("SELECT id FROM entries WHERE source = ? AND name = ?"),
    get: db.prepare("SELECT json FROM entries WHERE source = ? AND name = ?"),
    insert: db.prepare("INSERT INTO entries (source, name, updated, repository, json) VALUES (?, ?, ?, ?, ?)"),
    remove: db.prepare("DELETE FROM entries WHERE id = ?"),
    addWords: db.prepare("INSERT INTO words (rowid, name, title, packages, about) VALUES (?, ?, ?, ?, ?)"),
    removeWords: db.prepare("DELETE FROM words WHERE rowid = ?"),
    addShape: db.prepare("INSERT INTO shapes (shape, identifier, entry) VALUES (?, ?, ?)"),
    removeShapes: db.prepare("DELETE FROM shapes WHERE entry = ?"),
    mark: db.prepare("SELECT cursor, started, since FROM marks WHERE source = ?"),
    setMark: db.prepare("INSERT OR REPLACE INTO marks (source, cursor, started, since) VALUES (?, ?, ?, ?)"),
    shapes: db.prepare("SELECT DISTINCT identifier FROM shapes WHERE shape = ? AND identifier != ? LIMIT 10"),
    repository: db.prepare("SELECT source, json FROM entries WHERE repository = ? LIMIT 10"),
    ids: db.prepare("SELECT id FROM entries WHERE source = ?"),
  };

  function drop(id: number): void {
    statements.remove.run(id);
    statements.removeWords.run(id);
    statements.removeShapes.run(id);
  }
  function add(source: string, entry: Entry): void {
    const { name, title = "", description, packages, updatedAt, publishedAt } = entry;
    const repository = entry.repository === undefined ? null : plainRepository(entry.repository);
    const { lastInsertRowid } = statements.insert.run(
      source,
      name,
      updatedAt ?? publishedAt ?? 0,
      repository,
      JSON.stringify(entry),
    );
    const identifiers = packages.map(({ identifier }) => identifier);
    statements.addWords.run(lastInsertRowid, apart(name), apart(title), apart(identifiers.join(" ")), description);
    for (const identifier of identifiers) statements.addShape.run(skeleton(identifier), identifier, lastInsertRowid);
  }
  function inTransaction(work: () => void): void {
    db.exec("BEGIN IMMEDIATE");
    try {
      work();
      db.exec("COMMIT");
    } catch (error) {
      db.exec("ROLLBACK");
      throw error;
    }
  }
  const toShelved = (rows: unknown[]): Shelved[] =>
    (rows as { source: string; json: string }[]).map(({ source, json }) => ({ source, entry: JSON.parse(json) as Entry }));

  return {
    put(source, entries, { cursor, startedAt, since }) {
      inTransaction(() => {
        for (const entry of entries) {
          const before = statements.find.get(source, entry.name) as { id: number } | undefined;
          // Pages of one pass may carry an older version of what a page before brought.
          if (!entry.isLatest && before && entry.status !== "deleted") continue;
          if (before) drop(before.id);
          if (entry.status !== "deleted") add(source, entry);
        }
        statements.setMark.run(source, cursor ?? null, startedAt ?? null, since ?? null);
      });
    },
    mark(source) {
      const row = statements.mark.get(source) as
        | { cursor: string | null; started: number | null; since: number | null }
        | undefined;
      return { cursor: row?.cursor ?? undefined, startedAt: row?.started ?? undefined, since: row?.since ?? undefined };
    },
    count(source) {
      const row =
        source === undefined
          ? db.prepare("SELECT count(*) AS count FROM entries").get()
          : db.prepare("SELECT count(*) AS count FROM entries WHERE source = ?").get(source);
      return Number(row?.["count"] ?? 0);
    },
    search(words, { sources, limit }) {
      if (sources.length === 0) return [];
      const holes = sources.map(() => "?").join(", ");
      const terms = termsOf(words);
      if (terms.length === 0)
        return toShelved(
          db
            .prepare(`SELECT source, json FROM entries WHERE source IN (${holes}) ORDER BY updated DESC LIMIT ?`)
            .all(...sources, limit),
        );
      const find = db.prepare(
        `SELECT source, json FROM words JOIN entries ON entries.id = words.rowid
         WHERE words MATCH ? AND source IN (${holes}) ORDER BY bm25(words, 8.0, 6.0, 6.0, 1.0) LIMIT ?`,
      );
      const all = find.all(terms.join(" AND "), ...sources, limit);
      // Rather some of the words than nothing at all.
      return toShelved(all.length > 0 || terms.length === 1 ? all : find.all(terms.join(" OR "), ...sources, limit));
    },
    get(source, name) {
      const row = statements.get.get(source, name) as { json: string } | undefined;
      return row && (JSON.parse(row.json) as Entry);
    },
    inRepository: (url) => toShelved(statements.repository.all(plainRepository(url))),
    likenesses: (identifier) =>
      (statements.shapes.all(skeleton(identifier), identifier) as { identifier: string }[]).map((row) => row.identifier),
    retain(sources) {
      const known = db.prepare("SELECT source FROM marks UNION SELECT source FROM entries").all() as { source: string }[];
      for (const { source } of known)
        if (!sources.includes(source))
          inTransaction(() => {
            for (const { id } of statements.ids.all(source) as { id: number }[]) drop(id);
            db.prepare("DELETE FROM marks WHERE source = ?").run(source);
          });
    },
    close: () => db.close(),
  };
}

/** Beginnings of words, each quoted, so that nothing the owner types is syntax. */
function termsOf(words: string): string[] {
  const found = words.normalize("NFKC").match(/[\p{L}\p{N}]+/gu) ?? [];
  return found.slice(0, 16).map((word) => `"${word}"*`);
}

/** `sequentialThinking` is two words. */
const apart = (text: string): string => `${text} ${text.replace(/([a-z])([A-Z])/g, "$1 $2")}`;

const plainRepository = (url: string): string =>
  url
    .toLowerCase()
    .replace(/^git\+/, "")
    .replace(/\.git$/, "")
    .replace(/\/+$/, "");
