/**
 * One run's view of the database: reads are remembered as ranges, writes as the index keys they touched. Atomicity is SQLite's: whoever
 * runs a mutation wraps it in a savepoint and, when that is rolled back, calls `rewind`.
 */
import { limits } from "../codec/limits.ts";
import { decodeId, encodeId, newInternalId } from "../codec/id.ts";
import { afterKey, encodeEntry, encodeKey } from "../codec/key.ts";
import {
  checkedSize,
  DeveloperError,
  fieldAt,
  isPlainObject,
  toInteger,
  toSpecial,
  type Json,
  type JsonObject,
} from "../codec/value.ts";
import { findMismatch } from "../codec/validator.ts";
import type { Commit, ReadRange } from "../model/commit.ts";
import { addTable, type Table } from "../store/catalog.ts";
import { nameOf } from "../store/rows.ts";
import type { Store } from "../store/store.ts";
import { Budget } from "./budget.ts";

export type Write = Commit["writes"][number];

type Mark = { readonly writes: number; readonly catalog: number; readonly unspend: () => void };

/** Reading it stands for "which tables exist". */
const tablesIndex = "_tables.by_name";

export class Transaction {
  readonly store: Store;
  readonly ts: bigint;
  readonly nowMs: number;
  readonly isWritable: boolean;
  readonly budget = new Budget();
  readonly #reads: ReadRange[] = [];
  readonly #points = new Set<string>();
  readonly writes: Write[] = [];
  writeCount = 0;

  constructor(store: Store, options: { readonly ts: bigint; readonly nowMs: number; readonly isWritable: boolean }) {
    this.store = store;
    this.ts = options.ts;
    this.nowMs = options.nowMs;
    this.isWritable = options.isWritable;
  }

  mark(): Mark {
    return { writes: this.writes.length, catalog: this.store.catalog.version, unspend: this.budget.markWritten() };
  }

  /** Forgets the writes made since the mark, because their savepoint was rolled back. The reads stay. */
  rewind(mark: Mark): void {
    this.store.rows.forget();
    this.writes.length = mark.writes;
    mark.unspend();
    this.writeCount++;
    if (this.store.catalog.version !== mark.catalog) this.store.noteCatalogChange();
  }

  /** What a mutation read is nobody's business: it is alone, and nobody waits for its answer to become untrue. */
  noteRead(range: ReadRange | undefined): void {
    if (range && !this.isWritable) this.#reads.push(range);
  }

  notePoint(index: string, key: Uint8Array): void {
    if (this.isWritable) return;
    const name = `${index} ${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")}`;
    if (this.#isNew(name)) this.noteRead({ index, lower: key, upper: afterKey(key) });
  }

  /** False when this was read before. */
  #isNew(name: string): boolean {
    if (this.#points.has(name)) return false;
    this.#points.add(name);
    return true;
  }

  reads(): readonly ReadRange[] {
    return this.#reads;
  }

  tableNamed(name: string): Table | undefined {
    const table = this.store.catalog.table(name);
    // Names are never taken back, so only absence can change.
    if (!table) this.notePoint(tablesIndex, encodeKey([name]));
    return table;
  }

  tableNumbered(number: number): Table | undefined {
    const table = this.store.catalog.tableOfNumber(number);
    if (!table) this.noteRead({ index: tablesIndex, lower: new Uint8Array(0), upper: Uint8Array.of(0xff) });
    return table;
  }

  /** JSON text, or undefined. */
  get(table: Table, id: Uint8Array): string | undefined {
    const name = nameOf(table.id, id);
    // Each document counts as one range of an index, however often it is looked up.
    if (this.#isNew(name)) {
      this.budget.query();
      if (!this.isWritable) this.noteRead({ index: `${table.name}.by_id`, lower: id, upper: afterKey(id) });
    }
    const json = this.store.rows.get(table.id, id, name);
    if (json !== undefined) this.budget.read(json);
    return json;
  }

  /** Returns the new document's id. */
  insert(tableName: string, fields: JsonObject): string {
    const table = this.store.catalog.table(tableName) ?? this.#makeTable(tableName);
    const id = newInternalId(this.nowMs);
    const _id = encodeId(table.number, id);
    const own = this.#withCommitTime(fields);
    const document = inOrder(own, _id, this.store.nextCreationTime(this.nowMs));
    const json = this.#checked(table, document, own);
    this.store.rows.insert(table.id, id, json);
    this.#writeEntries(table, id, undefined, document);
    return _id;
  }

  /** A whole document, with the id and creation time it has had before. */
  restore(table: Table, id: Uint8Array, document: JsonObject): void {
    const json = this.#checked(table, document, withoutSystemFields(document));
    this.store.rows.insert(table.id, id, json);
    this.#writeEntries(table, id, undefined, document);
  }

  /** The caller has read `old`; `fields` holds no system field. */
  replace(table: Table, id: Uint8Array, old: JsonObject, fields: JsonObject): void {
    const own = this.#withCommitTime(fields);
    const document = inOrder(own, old["_id"] as Json, old["_creationTime"] as Json);
    const json = this.#checked(table, document, own);
    this.store.rows.update(table.id, id, json);
    this.#writeEntries(table, id, old, document);
  }

  remove(table: Table, id: Uint8Array, old: JsonObject): void {
    this.budget.write(0);
    this.store.rows.remove(table.id, id);
    this.#writeEntries(table, id, old, undefined);
  }

  #makeTable(name: string): Table {
    if (!/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(name))
      throw new DeveloperError(`Invalid table name "${name}": letters, digits and underscores, a letter first, 64 at most.`);
    this.#checkDeclared(name);
    addTable(this.store.db, name);
    this.store.noteCatalogChange();
    this.writes.push({ index: tablesIndex, key: encodeKey([name]) });
    return this.store.catalog.table(name) as Table;
  }

  #checkDeclared(name: string): void {
    const { schema } = this.store;
    if (schema.isEnforced && schema.tables.length > 0 && !schema.tables.some((one) => one.name === name))
      throw new DeveloperError(`Table \`${name}\` not found: it is not in the schema.`);
  }

  /** `fields` are those of the document that are not the system's. */
  #checked(table: Table, document: JsonObject, fields: JsonObject): string {
    const size = checkedSize(document, limits.documentNestingMax);
    if (size > limits.documentBytesMax)
      throw new DeveloperError(`Value is too large (${size} bytes > maximum size ${limits.documentBytesMax} bytes)`);
    if (!table.name.startsWith("_")) this.#checkSchema(table, fields);
    this.budget.write(size);
    return JSON.stringify(document);
  }

  #checkSchema(table: Table, fields: JsonObject): void {
    this.#checkDeclared(table.name);
    const wrong = schemaMismatch(this.store, table, fields);
    if (wrong === undefined) return;
    throw new DeveloperError(
      `Failed to insert or update a document in table "${table.name}" because it does not match the schema: ${wrong}`,
    );
  }

  #withCommitTime(fields: JsonObject): JsonObject {
    return hasCommitTime(fields) ? (withCommitTime(fields, toInteger(this.ts)) as JsonObject) : fields;
  }

  #writeEntries(table: Table, id: Uint8Array, old: JsonObject | undefined, now: JsonObject | undefined): void {
    this.writeCount++;
    this.writes.push({ index: `${table.name}.by_id`, key: id });
    if (table.texts.length > 0 || table.vectors.length > 0)
      this.writes.push(...this.store.searches.change(table, { id, old, now }));
    for (const index of table.indexes) {
      const before = old && entryKey(index.fields, old, id);
      // Most changes leave most indexes as they were, and those without fields always.
      const isSame = old && now && index.fields.every((field) => isSamePrimitive(fieldAt(old, field), fieldAt(now, field)));
      const after = isSame ? before : now && entryKey(index.fields, now, id);
      if (before) this.writes.push({ index: index.name, key: before });
      if (before && after && (isSame || Buffer.compare(before, after) === 0)) continue;
      if (after) this.writes.push({ index: index.name, key: after });
      if (before) this.store.rows.removeEntry(index.id, before);
      if (after) this.store.rows.addEntry(index.id, after, id);
    }
  }
}

/** Fields by name, as the original gives them to a function. Clients sort what they send, so there is seldom anything to do. */
export function inOrder(fields: JsonObject, _id: Json, _creationTime: Json): JsonObject {
  let last = "_id";
  for (const key in fields) {
    if (key <= last) {
      const all = Object.entries({ ...fields, _id, _creationTime });
      return Object.fromEntries(all.toSorted(([a], [b]) => (a < b ? -1 : 1)));
    }
    last = key;
  }
  return { _creationTime, _id, ...fields };
}

function isSamePrimitive(a: Json | undefined, b: Json | undefined): boolean {
  return Object.is(a, b) && (typeof a !== "object" || a === null);
}

export function entryKey(fields: readonly string[], document: JsonObject, id: Uint8Array): Uint8Array {
  return encodeEntry(
    fields.map((field) => fieldAt(document, field)),
    document["_creationTime"] as number,
    id,
  );
}

export function withoutSystemFields(document: JsonObject): JsonObject {
  const { _id, _creationTime, ...fields } = document;
  return fields;
}

/** What a document's schema says against its own fields; undefined when they fit or there is none. */
export function schemaMismatch(store: Store, table: Table, fields: JsonObject): string | undefined {
  const validator = store.schema.isEnforced ? store.documentValidator(table.name) : undefined;
  if (!validator) return undefined;
  const tableOf = (number: number) => store.catalog.tableOfNumber(number)?.name;
  return findMismatch(validator, fields, tableOf);
}

function hasCommitTime(value: Json): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some(hasCommitTime);
  if ("$commitTs" in value) return toSpecial(value)?.type === "commitTs";
  for (const key in value) if (hasCommitTime(value[key] as Json)) return true;
  return false;
}

function withCommitTime(value: Json, ts: JsonObject): Json {
  if (Array.isArray(value)) return value.map((one) => withCommitTime(one, ts));
  if (!isPlainObject(value)) return value;
  if (toSpecial(value)?.type === "commitTs") return ts;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withCommitTime(one, ts)]));
}

/** The row that an id names: fails on text that is no id, and on a table of the wrong side of `db.system`. */
export function locate(
  txn: Transaction,
  request: { readonly id: Json | undefined; readonly table?: Json; readonly isSystem?: boolean },
  method: string,
): { readonly table: Table; readonly id: Uint8Array } | undefined {
  const text = request.id;
  const decoded = typeof text === "string" ? decodeId(text) : undefined;
  if (!decoded)
    throw new DeveloperError(`Invalid argument \`id\` for \`db.${method}\`: Unable to decode ID: ${JSON.stringify(text)}`);
  const table = txn.tableNumbered(decoded.table);
  if (!table) return undefined;
  const isSystemTable = table.name.startsWith("_");
  if (request.isSystem === true && !isSystemTable) throw new DeveloperError("User tables cannot be accessed with db.system.");
  if (request.isSystem !== true && isSystemTable)
    throw new DeveloperError(
      method === "get"
        ? "System tables can only be accessed with db.system."
        : "System tables (prefixed with `_`) are read-only.",
    );
  if (typeof request.table === "string" && request.table !== table.name)
    throw new DeveloperError(
      `Invalid argument \`id\`, expected ID in table '${request.table}' but got ID in table '${table.name}'`,
    );
  return { table, id: decoded.id };
}
