/**
 * One collection: its points in SQLite, and in memory what finds them. Slots are row numbers, given out again after a deletion.
 * Writes are called inside a transaction and change table and memory alike; who rolls back must load the collection anew.
 */
import { isDeepStrictEqual } from "node:util";
import type { Json } from "./body.ts";
import { parseDense, parseSparse, type CollectionConfig, type VectorConfig } from "./config.ts";
import type { Database } from "./database.ts";
import { createFieldTable, dropFieldTable, openField, type Field } from "./index/field.ts";
import type { Filter } from "./filter/filter.ts";
import type { FieldIndex } from "./filter/fieldIndex.ts";
import { openFieldIndex, type FieldSchema } from "./filter/payloadIndex.ts";
import { elementsAt, parsePath, type Path } from "./filter/payloadPath.ts";
import { SlotIds } from "./pointId.ts";
import { select, type Points } from "./filter/select.ts";
import { SlotList } from "./index/slots.ts";
import type { VectorValue } from "./index/values.ts";

export type CollectionRow = { readonly id: number; readonly name: string; readonly given: string; readonly version: number };
export type NewPoint = {
  readonly id: Uint8Array;
  readonly payload: Json;
  /** The payload as JSON, written out before the transaction begins because that can fail. */
  readonly text: string;
  readonly vectors: ReadonlyMap<string, VectorValue>;
};

type Indexed = { readonly path: Path; readonly schema: FieldSchema; readonly index: FieldIndex };

export class Collection implements Points {
  readonly id: number;
  readonly name: string;
  readonly ids = new SlotIds();
  readonly live = new SlotList(64);
  readonly fields = new Map<string, Field>();
  readonly indexes = new Map<string, Indexed>();
  #given: Json;
  readonly #db: Database;
  readonly #sql: ReturnType<typeof statements>;
  readonly #free: number[] = [];
  /** By slot, so that a hit without its payload is shown without asking the file. */
  #versions = new Float64Array(64);
  #slotsUsed = 0;
  #version: number;

  constructor(db: Database, row: CollectionRow) {
    this.#db = db;
    this.id = row.id;
    this.name = row.name;
    this.#given = JSON.parse(row.given) as Json;
    this.#version = row.version;
    this.#sql = statements(db, row.id);
    this.#load();
  }

  get config(): CollectionConfig {
    return { vectors: new Map([...this.fields].map(([name, field]) => [name, field.config])), given: this.#given };
  }

  /** Number of the last write. */
  get version(): number {
    return this.#version;
  }

  /** One more than the highest slot in use. */
  get slotsMax(): number {
    return this.#slotsUsed;
  }

  // Reading.

  all = (): Uint32Array => this.live.view();
  index = (key: string): FieldIndex | undefined => this.indexes.get(key)?.index;
  payload = (slot: number): Json => JSON.parse((this.#sql.payload.get(slot) as unknown as [string])[0]) as Json;
  hasVector = (slot: number, name: string): boolean => this.fields.get(name)?.holders.has(slot) ?? false;
  idBytes = (slot: number): Uint8Array => this.ids.bytes(slot);
  slotOf = (id: Uint8Array): number | undefined => (this.#sql.slot.get(id) as unknown as [number] | undefined)?.[0];
  select = (filter: Filter | undefined, among?: Uint32Array): Uint32Array => select(this, filter, among);

  versionOf = (slot: number): number => this.#versions[slot]!;

  /** Slots in id order, from `id` on. */
  *inOrder(id: Uint8Array | undefined): Generator<number> {
    for (const row of this.#sql.ordered.iterate(id ?? Buffer.alloc(1))) yield (row as unknown as [number])[0];
  }

  // Writing.

  /** Every write of this collection starts with it. */
  startWrite(): void {
    this.#version++;
    this.#sql.bump.run(this.#version, this.id);
  }

  /** Replaces the whole point, or makes it. */
  upsert({ id, payload, text, vectors }: NewPoint): void {
    const before = this.slotOf(id);
    const slot = before ?? this.#allocate(id);
    if (before === undefined) this.#index(slot, payload);
    else if (this.indexes.size > 0) this.#reindex(slot, this.payload(slot), payload);
    this.#sql.put.run(slot, id, this.#version, text);
    this.#noteVersion(slot, this.#version);
    for (const field of this.fields.values()) {
      const value = vectors.get(field.name);
      if (value === undefined) field.remove(slot);
      else field.put(slot, value);
    }
  }

  delete(slot: number): void {
    this.#unindex(slot);
    for (const field of this.fields.values()) field.remove(slot);
    this.#sql.remove.run(slot);
    this.live.delete(slot);
    this.#free.push(slot);
  }

  changePayload(slot: number, change: (payload: Json) => Json): void {
    const before = this.payload(slot);
    const after = change(before);
    this.#sql.setPayload.run(JSON.stringify(after), this.#version, slot);
    this.#noteVersion(slot, this.#version);
    this.#reindex(slot, before, after);
  }

  putVectors(slot: number, vectors: ReadonlyMap<string, VectorValue>): void {
    for (const [name, value] of vectors) this.fields.get(name)!.put(slot, value);
    this.#sql.touch.run(this.#version, slot);
    this.#noteVersion(slot, this.#version);
  }

  removeVectors(slot: number, names: readonly string[]): void {
    for (const name of names) this.fields.get(name)?.remove(slot);
    this.#sql.touch.run(this.#version, slot);
    this.#noteVersion(slot, this.#version);
  }

  // Shape.

  addField(name: string, config: VectorConfig): void {
    const stored = JSON.stringify({ kind: config.kind, given: config.given });
    const { lastInsertRowid } = this.#db
      .prepare("INSERT INTO vectors (collection, name, config) VALUES (?, ?, ?)")
      .run(this.id, name, stored);
    const id = Number(lastInsertRowid);
    this.#db.exec(createFieldTable(id));
    this.fields.set(name, openField(this.#db, { id, name }, config));
  }

  dropField(name: string): void {
    const field = this.fields.get(name);
    if (!field) return;
    this.#db.prepare("DELETE FROM vectors WHERE id = ?").run(field.id);
    this.#db.exec(dropFieldTable(field.id));
    this.fields.delete(name);
  }

  addIndex(path: Path, schema: FieldSchema): void {
    this.#db.prepare("INSERT OR REPLACE INTO payload_indexes VALUES (?, ?, ?)").run(this.id, path.text, JSON.stringify(schema));
    const indexed = { path, schema, index: openFieldIndex(schema) };
    for (const [slot, payload] of this.#payloads()) indexed.index.add(slot, elementsAt(payload, path));
    this.indexes.set(path.text, indexed);
  }

  dropIndex(path: Path): void {
    this.#db.prepare("DELETE FROM payload_indexes WHERE collection = ? AND field = ?").run(this.id, path.text);
    this.indexes.delete(path.text);
  }

  amend(given: Json): void {
    this.#given = { ...this.#given, ...given };
    this.#db.prepare("UPDATE collections SET given = ? WHERE id = ?").run(JSON.stringify(this.#given), this.id);
  }

  /** Removes its tables and its row; the object is of no use afterwards. */
  drop(): void {
    for (const name of this.fields.keys()) this.dropField(name);
    this.#db.exec(`DROP TABLE points_${this.id}`);
    this.#db.prepare("DELETE FROM collections WHERE id = ?").run(this.id);
  }

  #allocate(id: Uint8Array): number {
    const slot = this.#free.pop() ?? this.#slotsUsed++;
    this.ids.set(slot, id);
    this.live.add(slot);
    return slot;
  }

  #noteVersion(slot: number, version: number): void {
    if (slot >= this.#versions.length) {
      const grown = new Float64Array(Math.max(slot + 1, Math.ceil(this.#versions.length * 1.5)));
      grown.set(this.#versions);
      this.#versions = grown;
    }
    this.#versions[slot] = version;
  }

  #index(slot: number, payload: Json): void {
    for (const { path, index } of this.indexes.values()) index.add(slot, elementsAt(payload, path));
  }

  /** Only what differs: in a list that most points are in, going out and coming back moves half of them, twice. */
  #reindex(slot: number, before: Json, after: Json): void {
    for (const { path, index } of this.indexes.values()) {
      const [old, now] = [elementsAt(before, path), elementsAt(after, path)];
      if (isDeepStrictEqual(old, now)) continue;
      if (index.replace) index.replace(slot, old, now);
      else {
        index.remove(slot, old);
        index.add(slot, now);
      }
    }
  }

  #unindex(slot: number): void {
    if (this.indexes.size === 0) return;
    const held = this.payload(slot);
    for (const { path, index } of this.indexes.values()) index.remove(slot, elementsAt(held, path));
  }

  *#payloads(): Generator<[number, Json]> {
    const rows = this.#db.prepare(`SELECT slot, payload FROM points_${this.id} ORDER BY slot`);
    rows.setReturnArrays(true);
    for (const row of rows.iterate()) {
      const [slot, payload] = row as unknown as [number, string];
      yield [slot, JSON.parse(payload) as Json];
    }
  }

  #load(): void {
    const fields = this.#db.prepare("SELECT id, name, config FROM vectors WHERE collection = ? ORDER BY id").all(this.id);
    for (const { id, name, config } of fields as { id: number; name: string; config: string }[]) {
      const { kind, given } = JSON.parse(config) as { kind: "dense" | "sparse"; given: Json };
      const parsed = kind === "dense" ? parseDense(given, name) : parseSparse(given, name);
      this.fields.set(name, openField(this.#db, { id, name }, parsed));
    }
    const indexes = this.#db.prepare("SELECT field, schema FROM payload_indexes WHERE collection = ?").all(this.id);
    for (const { field, schema } of indexes as { field: string; schema: string }[]) {
      const parsed = JSON.parse(schema) as FieldSchema;
      this.indexes.set(field, { path: parsePath(field), schema: parsed, index: openFieldIndex(parsed) });
    }
    this.#loadPoints();
  }

  #loadPoints(): void {
    const payload = this.indexes.size > 0 ? "payload" : "NULL";
    const rows = this.#db.prepare(`SELECT slot, id, version, ${payload} FROM points_${this.id} ORDER BY slot`);
    rows.setReturnArrays(true);
    for (const row of rows.iterate()) {
      const [slot, id, version, text] = row as unknown as [number, Uint8Array, number, string | null];
      while (this.#slotsUsed < slot) this.#free.push(this.#slotsUsed++);
      this.#slotsUsed = slot + 1;
      this.ids.set(slot, id);
      this.#noteVersion(slot, version);
      this.live.add(slot);
      if (text !== null) this.#index(slot, JSON.parse(text) as Json);
    }
  }
}

export const createPointsTable = (id: number): string =>
  `CREATE TABLE points_${id} (slot INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, payload TEXT NOT NULL)`;

function statements(db: Database, id: number) {
  const table = `points_${id}`;
  const sql = {
    slot: db.prepare(`SELECT slot FROM ${table} WHERE id = ?`),
    payload: db.prepare(`SELECT payload FROM ${table} WHERE slot = ?`),
    ordered: db.prepare(`SELECT slot FROM ${table} WHERE id >= ? ORDER BY id`),
    put: db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?, ?, ?)`),
    setPayload: db.prepare(`UPDATE ${table} SET payload = ?, version = ? WHERE slot = ?`),
    touch: db.prepare(`UPDATE ${table} SET version = ? WHERE slot = ?`),
    remove: db.prepare(`DELETE FROM ${table} WHERE slot = ?`),
    bump: db.prepare("UPDATE collections SET version = ? WHERE id = ?"),
  };
  for (const read of [sql.slot, sql.payload, sql.ordered]) read.setReturnArrays(true);
  return sql;
}
