/** One thread's hold on the database: a connection, its statements, the catalog, the clock. */
import type { DatabaseSync } from "node:sqlite";
import { noSchema, type Schema } from "../codec/schema.ts";
import type { Validator } from "../codec/validator.ts";
import { readCatalog, type Catalog } from "./catalog.ts";
import { lockDatabase, openForReading, openForWriting, openInMemory } from "./database.ts";
import { openRows, type Rows } from "./rows.ts";
import { openSearches, type Searches } from "../search/searches.ts";

type ClockRow = { readonly ts: bigint; readonly creationTime: number; readonly catalog: bigint };

export class Store {
  readonly db: DatabaseSync;
  readonly rows: Rows;
  readonly searches: Searches;
  readonly #lock: DatabaseSync | undefined;
  schema: Schema = noSchema;
  #validators = new Map<string, Validator>();
  #catalog: Catalog;
  /** The newest assigned time, committed or not. */
  #ts: bigint;
  #creationTime: number;
  #catalogVersion: number;
  readonly #readClock;
  readonly #writeClock;

  /** In `memory` the folder is not looked at. */
  constructor(dir: string, mode: "read" | "write" | "memory") {
    this.#lock = mode === "write" ? lockDatabase(dir) : undefined;
    this.db = mode === "write" ? openForWriting(dir) : mode === "memory" ? openInMemory() : openForReading(dir);
    this.rows = openRows(this.db, mode !== "read");
    this.searches = openSearches(this.db);
    this.#readClock = this.db.prepare("SELECT ts, creationTime, catalog FROM clock");
    this.#readClock.setReadBigInts(true);
    this.#writeClock = mode !== "read" ? this.db.prepare("UPDATE clock SET ts = ?, creationTime = ?, catalog = ?") : undefined;
    const { ts, creationTime, catalog } = this.#clock();
    this.#ts = ts;
    this.#creationTime = creationTime;
    this.#catalogVersion = Number(catalog);
    this.#catalog = readCatalog(this.db, this.#catalogVersion);
  }

  #clock(): ClockRow {
    return this.#readClock.get() as unknown as ClockRow;
  }

  get catalog(): Catalog {
    return this.#catalog;
  }

  useSchema(schema: Schema): void {
    this.schema = schema;
    this.#validators = new Map(schema.tables.flatMap((one) => (one.document ? [[one.name, one.document]] : [])));
  }

  documentValidator(table: string): Validator | undefined {
    return this.#validators.get(table);
  }

  /** For readers, as the first statement of a read transaction: what time this snapshot is of. */
  snapshot(): bigint {
    const { ts, catalog } = this.#clock();
    if (Number(catalog) !== this.#catalogVersion) {
      this.#catalogVersion = Number(catalog);
      this.#catalog = readCatalog(this.db, this.#catalogVersion);
    }
    return ts;
  }

  /** The next commit's time: after all others, never behind the wall clock. */
  nextTs(nowMs: number): bigint {
    const wall = BigInt(Math.floor(nowMs)) * 1_000_000n;
    this.#ts = wall > this.#ts ? wall : this.#ts + 1n;
    return this.#ts;
  }

  /** Later times come after this one. */
  observe(ts: bigint): void {
    if (ts > this.#ts) this.#ts = ts;
  }

  /** Strictly growing over all inserts, so that order of creation is order of insertion. */
  nextCreationTime(nowMs: number): number {
    this.#creationTime = nowMs > this.#creationTime ? nowMs : nextFloat(this.#creationTime);
    return this.#creationTime;
  }

  /** Tables or indexes changed in the open transaction, or it was rolled back. A version number never stands for two catalogs. */
  noteCatalogChange(): void {
    this.rows.forget();
    this.#catalogVersion++;
    this.#catalog = readCatalog(this.db, this.#catalogVersion);
  }

  /**
   * Part of every group's commit: readers are then at `ts`, the time of its last one. Times that were taken and came to nothing are left
   * out, because nobody is ever told of them, and who reads at such a time would wait for the news of it for ever.
   */
  writeClock(ts: bigint): void {
    this.#writeClock?.run(ts, this.#creationTime, this.#catalogVersion);
  }

  readMeta(key: string): string | undefined {
    const row = this.db.prepare("SELECT value FROM meta WHERE key = ?").get(key) as { value: string } | undefined;
    return row?.value;
  }

  writeMeta(key: string, value: string): void {
    this.db.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)").run(key, value);
  }

  close(): void {
    if (this.db.isOpen) this.db.close();
    if (this.#lock?.isOpen) this.#lock.close();
  }
}

const float = new Float64Array(1);
const bits = new BigUint64Array(float.buffer);

/** The next representable number above a positive one. */
function nextFloat(value: number): number {
  float[0] = value;
  bits[0]! += 1n;
  return float[0];
}
