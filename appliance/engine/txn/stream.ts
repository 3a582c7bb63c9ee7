/**
 * A query being walked. Rows come in growing batches, and are fetched again from where we stand after this transaction has written, so
 * that a loop sees its own writes. What was walked, and no more, becomes the read range.
 */
import { limits } from "../codec/limits.ts";
import { afterKey, compareKeys } from "../codec/key.ts";
import { DeveloperError, type Json, type JsonObject } from "../codec/value.ts";
import type { IndexRow, Rows, Span } from "../store/rows.ts";
import type { ReadRange } from "../model/commit.ts";
import { evaluate, toBoolean } from "./expression.ts";
import { resolveSource, type QuerySource, type ResolvedSource } from "./range.ts";
import { documentSize, type Budget } from "./budget.ts";
import type { Catalog } from "../store/catalog.ts";
import type { Hit, Texts } from "../search/texts.ts";
import type { TextQuery } from "../search/textQuery.ts";

export type Query = { readonly source: QuerySource; readonly operators: readonly Operator[] };
type Operator = { readonly filter: Json } | { readonly limit: number };

export type StreamContext = {
  readonly rows: Rows;
  readonly catalog: Catalog;
  readonly budget: Budget;
  readonly texts: Texts;
  /** Remembers what a search read; what a walk read is told by `range`. */
  noteRead(range: ReadRange): void;
  /** Hears of what a walk may come to read, before it begins. */
  noteSpan?: ((range: ReadRange) => void) | undefined;
  /** Goes up with every write of the transaction. */
  writeCount(): number;
};

const firstBatch = 16;
const largestBatch = 512;

export class Stream {
  readonly source: ResolvedSource;
  readonly #context: StreamContext;
  readonly #stages: { readonly filter: Json | undefined; left: number }[];
  #lower: Uint8Array;
  #upper: Uint8Array;
  #batch: IndexRow[] = [];
  #at = 0;
  #batchSize: number;
  #isLastBatch = false;
  #seenWrites: number;
  #lastKey: Uint8Array | undefined;
  #isExhausted = false;
  /** Of a search: all that was found, in order. */
  #hits: readonly Hit[] | undefined;
  rowsRead = 0;
  /** Counted only if `isSized`. */
  bytesRead = 0;
  isSized = false;

  constructor(context: StreamContext, query: Query, span?: { readonly lower: Uint8Array; readonly upper: Uint8Array }) {
    if (query.operators.length > limits.queryOperatorsMax)
      throw new DeveloperError(`Can't construct query with more than ${limits.queryOperatorsMax} operators`);
    this.#context = context;
    this.source = resolveSource(context.catalog, query.source);
    this.#lower = span?.lower ?? this.source.lower;
    this.#upper = span?.upper ?? this.source.upper;
    this.#stages = query.operators.map((one) =>
      "limit" in one ? { filter: undefined, left: one.limit } : { filter: one.filter, left: Infinity },
    );
    const first = this.#stages[0];
    this.#batchSize = first && Number.isFinite(first.left) ? Math.min(Math.max(first.left, 1), largestBatch) : firstBatch;
    this.#seenWrites = context.writeCount();
    context.budget.query();
    if (!this.source.search) context.noteSpan?.({ index: this.source.readName, lower: this.#lower, upper: this.#upper });
  }

  /** JSON text of the next document that passes every operator; undefined at the end. */
  next(): string | undefined {
    for (;;) {
      if (this.#stages.some((stage) => stage.left === 0)) return undefined;
      const row = this.#nextRow();
      if (!row) return undefined;
      if (this.#passes(row)) return row.json;
    }
  }

  #passes(row: IndexRow): boolean {
    let document: JsonObject | undefined;
    for (const stage of this.#stages) {
      if (stage.filter === undefined) {
        stage.left--;
        continue;
      }
      document ??= JSON.parse(row.json) as JsonObject;
      if (!toBoolean(evaluate(stage.filter, document))) return false;
    }
    return true;
  }

  #nextRow(): IndexRow | undefined {
    if (this.#isExhausted) return undefined;
    if (this.#seenWrites !== this.#context.writeCount()) this.#forgetBatch();
    let row = this.#batch[this.#at];
    if (!row && !this.#isLastBatch) {
      this.#fetch();
      row = this.#batch[this.#at];
    }
    if (!row) {
      this.#isExhausted = true;
      return undefined;
    }
    this.#at++;
    this.#lastKey = row.key;
    this.rowsRead++;
    if (this.isSized) this.bytesRead += documentSize(row.json);
    this.#context.budget.read(row.json);
    return row;
  }

  #forgetBatch(): void {
    this.#batch = [];
    this.#at = 0;
    this.#isLastBatch = false;
    this.#hits = undefined;
    this.#seenWrites = this.#context.writeCount();
  }

  #fetch(): void {
    const { table, index, isDescending, search } = this.source;
    const lower = !isDescending && this.#lastKey ? afterKey(this.#lastKey) : this.#lower;
    const upper = isDescending && this.#lastKey ? this.#lastKey : this.#upper;
    const limit = this.#batchSize;
    this.#batchSize = Math.min(limit * 2, largestBatch);
    this.#at = 0;
    if (!table || compareKeys(lower, upper) >= 0) {
      this.#batch = [];
      this.#isLastBatch = true;
      return;
    }
    const span = { lower, upper, isDescending, limit };
    if (search) this.#batch = this.#hitRows(search, table.id, span);
    else this.#batch = index ? this.#context.rows.scan(table.id, index.id, span) : this.#context.rows.scanById(table.id, span);
    this.#isLastBatch = this.#batch.length < limit;
  }

  /** A result also depends on each document it shows. */
  #hitRows(search: TextQuery, tableId: number, { lower, upper, limit }: Span): IndexRow[] {
    const { rows, texts, noteRead } = this.#context;
    if (!this.#hits) {
      this.#hits = texts.find(search.index.id, search.terms, search.filters);
      for (const range of search.reads) noteRead(range);
    }
    const between = this.#hits.filter(({ key }) => compareKeys(key, lower) >= 0 && compareKeys(key, upper) < 0);
    return between.slice(0, limit).map(({ key, id }) => {
      noteRead({ index: `${this.source.tableName}.by_id`, lower: id, upper: afterKey(id) });
      return { key, json: rows.get(tableId, id) as string };
    });
  }

  get lastKey(): Uint8Array | undefined {
    return this.#lastKey;
  }

  /** Whether the end of the span was reached. */
  get isExhausted(): boolean {
    return this.#isExhausted;
  }

  /** What the result depends on so far; undefined when nothing was walked. */
  range(): ReadRange | undefined {
    const index = this.source.readName;
    if (this.source.search) return undefined;
    if (this.#isExhausted) return { index, lower: this.#lower, upper: this.#upper };
    if (!this.#lastKey) return undefined;
    return this.source.isDescending
      ? { index, lower: this.#lastKey, upper: this.#upper }
      : { index, lower: this.#lower, upper: afterKey(this.#lastKey) };
  }
}
