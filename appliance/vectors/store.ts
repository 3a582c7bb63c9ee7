/** Collections and aliases: what names mean. Every write goes through `write`, one transaction each. */
import { Collection, createPointsTable, type CollectionRow } from "./collection.ts";
import { checkName, type CollectionConfig } from "./config.ts";
import { readCollectionFile, writeCollectionFile } from "./collectionFile.ts";
import { openDatabase, type Database } from "./database.ts";
import { alreadyExists, badRequest, noCollection, notFound, Refusal, wrongInput } from "./refusal.ts";
import { sha256, Snapshots, type Described } from "./snapshots.ts";

export type AliasAction =
  | { readonly type: "create"; readonly alias: string; readonly collection: string }
  | { readonly type: "delete"; readonly alias: string }
  | { readonly type: "rename"; readonly from: string; readonly to: string };

export class Store {
  readonly #db: Database;
  readonly #collections = new Map<string, Collection>();
  /** Alias to collection name. */
  readonly #aliases = new Map<string, string>();

  readonly snapshots: Snapshots;

  constructor(dir: string) {
    this.#db = openDatabase(dir);
    this.snapshots = new Snapshots(dir);
    this.#load();
  }

  close(): void {
    this.#db.close();
  }

  /** Writes so far. */
  get commits(): number {
    return this.#db.commits;
  }

  /** Resolves when everything written before the call is on the disk. */
  durable(): Promise<void> {
    return this.#db.durable();
  }

  /** Resolves when a write would not have to wait for the disk. */
  settled(): Promise<void> {
    return this.#db.settled();
  }

  names(): string[] {
    return [...this.#collections.keys()].sort();
  }

  has(name: string): boolean {
    return this.#collections.has(this.#aliases.get(name) ?? name);
  }

  /** By its name or by an alias. */
  get(name: string): Collection {
    const found = this.#collections.get(this.#aliases.get(name) ?? name);
    if (!found) throw noCollection(name);
    return found;
  }

  /** All of `change` or nothing, durable once `durable` says so; the number of the write. */
  write(name: string, change: (collection: Collection) => void): number {
    const collection = this.get(name);
    this.#transaction(() => {
      collection.startWrite();
      change(collection);
    });
    return collection.version;
  }

  create(name: string, { vectors, given }: CollectionConfig): void {
    checkName(name, "collection_name");
    if (this.#collections.has(name)) throw alreadyExists(`Collection \`${name}\` already exists!`);
    if (this.#aliases.has(name))
      throw wrongInput(`Can't create collection with name ${name}. Alias with the same name already exists`);
    this.#transaction(() => {
      const json = JSON.stringify(given);
      const { lastInsertRowid } = this.#db.prepare("INSERT INTO collections (name, given) VALUES (?, ?)").run(name, json);
      const id = Number(lastInsertRowid);
      this.#db.exec(createPointsTable(id));
      const collection = new Collection(this.#db, { id, name, given: json, version: 0 });
      for (const [vector, config] of vectors) collection.addField(vector, config);
      this.#collections.set(name, collection);
    });
  }

  /** False when there was none. Its aliases go with it. */
  delete(name: string): boolean {
    const collection = this.#collections.get(this.#aliases.get(name) ?? name);
    if (!collection) return false;
    this.#transaction(() => collection.drop());
    this.#collections.delete(collection.name);
    for (const [alias, target] of this.#aliases) if (target === collection.name) this.#aliases.delete(alias);
    return true;
  }

  /** Replaces what was given at creation under these keys. */
  amend(name: string, given: Readonly<Record<string, unknown>>): void {
    this.write(name, (collection) => collection.amend(given));
  }

  /** As it is after the last write; nothing is written meanwhile. */
  createSnapshot(name: string): Described {
    const { id, name: own } = this.get(name);
    return this.#guarded(() => this.snapshots.create(own, (path) => writeCollectionFile(this.#db, id, path)));
  }

  /** All collections and aliases: a copy of the whole file. */
  createFullSnapshot(): Described {
    return this.#guarded(() => this.snapshots.create(undefined, (path) => void this.#db.prepare("VACUUM INTO ?").run(path)));
  }

  /** Puts what the file holds in the place of the collection, whose aliases stay, or makes it. All of it or nothing. */
  recover(name: string, path: string, checksum: string | undefined): void {
    const target = this.#collections.get(this.#aliases.get(name) ?? name);
    const own = target?.name ?? checkName(name, "collection_name");
    if (checksum !== undefined && sha256(path) !== checksum.toLowerCase())
      throw badRequest("Snapshot checksum mismatch: the file is not the one that was meant");
    this.#guarded(() => {
      // Names are unique, so the old one steps aside under one that nobody can have.
      readCollectionFile(this.#db, target ? `${own}/new` : own, path, (id) => {
        if (!target) return;
        this.#db.prepare("UPDATE aliases SET collection = ? WHERE collection = ?").run(id, target.id);
        target.drop();
        this.#db.prepare("UPDATE collections SET name = ? WHERE id = ?").run(own, id);
      });
      const row = this.#db.prepare("SELECT id, name, given, version FROM collections WHERE name = ?").get(own);
      this.#collections.set(own, new Collection(this.#db, row as unknown as CollectionRow));
    });
  }

  aliases(name?: string): { alias_name: string; collection_name: string }[] {
    const target = name === undefined ? undefined : this.get(name).name;
    return [...this.#aliases]
      .filter(([, collection]) => target === undefined || collection === target)
      .map(([alias, collection]) => ({ alias_name: alias, collection_name: collection }))
      .sort((a, b) => (a.alias_name < b.alias_name ? -1 : 1));
  }

  /** All actions or none, seen by readers at once. (Qdrant keeps those before a failing one; nobody can want that.) */
  changeAliases(actions: readonly AliasAction[]): void {
    const before = [...this.#aliases];
    try {
      this.#db.transaction(() => actions.forEach((action) => this.#changeAlias(action)));
    } catch (error) {
      this.#aliases.clear();
      for (const [alias, target] of before) this.#aliases.set(alias, target);
      throw toRefusal(error);
    }
  }

  #changeAlias(action: AliasAction): void {
    switch (action.type) {
      case "create": {
        if (this.#collections.has(action.alias)) throw alreadyExists(`Collection \`${action.alias}\` already exists!`);
        const target = this.#collections.get(action.collection);
        if (!target) throw noCollection(action.collection);
        return this.#point(checkName(action.alias, "alias_name"), target);
      }
      case "delete":
        return this.#unpoint(action.alias);
      case "rename": {
        const target = this.#aliases.get(action.from);
        if (target === undefined) throw notFound(`Alias ${action.from} does not exists!`);
        if (this.#collections.has(action.to)) throw alreadyExists(`Collection \`${action.to}\` already exists!`);
        this.#unpoint(action.from);
        return this.#point(checkName(action.to, "new_alias_name"), this.#collections.get(target)!);
      }
    }
  }

  #point(alias: string, target: Collection): void {
    this.#db.prepare("INSERT OR REPLACE INTO aliases VALUES (?, ?)").run(alias, target.id);
    this.#aliases.set(alias, target.name);
  }

  #unpoint(alias: string): void {
    this.#db.prepare("DELETE FROM aliases WHERE name = ?").run(alias);
    this.#aliases.delete(alias);
  }

  #transaction(write: () => void): void {
    this.#guarded(() => this.#db.transaction(write));
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      // What was already changed in memory has no truth under it any more.
      this.#reload();
      throw toRefusal(error);
    }
  }

  #reload(): void {
    this.#collections.clear();
    this.#aliases.clear();
    try {
      this.#load();
    } catch (error) {
      // Answering from nothing would look like an empty vault. Uncaught, this ends the thread, and whoever started it is told.
      setImmediate(() => {
        throw error;
      });
    }
  }

  #load(): void {
    const rows = this.#db.prepare("SELECT id, name, given, version FROM collections ORDER BY id").all();
    for (const row of rows as unknown as CollectionRow[]) this.#collections.set(row.name, new Collection(this.#db, row));
    const aliases = this.#db
      .prepare("SELECT a.name AS alias, c.name AS target FROM aliases a JOIN collections c ON c.id = a.collection")
      .all();
    for (const { alias, target } of aliases as { alias: string; target: string }[]) this.#aliases.set(alias, target);
  }
}

const sqliteFull = 13;

function toRefusal(error: unknown): unknown {
  const isFull = error instanceof Error && "errcode" in error && error.errcode === sqliteFull;
  return isFull ? new Refusal(507, "Service internal error: the disk is full; nothing of this request was written") : error;
}
