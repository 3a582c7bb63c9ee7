/**
 * Brings the database to the app's schema, in one transaction before anything runs: existing rows are checked, indexes added, filled
 * and removed, crons compared by name. Fails, changing nothing, when a row does not fit.
 */
import { randomBytes } from "node:crypto";
import { decodeId, encodeId } from "../codec/id.ts";
import { noSchema, parseSchema, type Schema } from "../codec/schema.ts";
import { asText, DeveloperError, type JsonObject } from "../codec/value.ts";
import type { WorkerSetup } from "../exec/message.ts";
import { addIndex, addTable, byCreationTime, definitionText, systemTables, type Table } from "../store/catalog.ts";
import type { SearchDefinition, VectorDefinition } from "../codec/schema.ts";
import type { TextIndex } from "../search/texts.ts";
import type { VectorIndex } from "../search/vectors.ts";
import type { Jobs } from "../store/jobs.ts";
import type { Store } from "../store/store.ts";
import { canonicalPath } from "../txn/functions.ts";
import { entryKey, schemaMismatch, withoutSystemFields } from "../txn/transaction.ts";
import { firstRunMs } from "./schedule.ts";

type Apply = {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly setup: Omit<WorkerSetup, "watch">;
  readonly log: (line: string) => void;
};

const slice = 1000; // Rows held in memory at once.

/** Returns the instance's secret, made at the first start. */
export function applyDeployment({ store, jobs, setup, log }: Apply): string {
  const schema = setup.schema === null ? noSchema : parseSchema(setup.schema);
  store.useSchema(schema);
  store.db.exec("BEGIN IMMEDIATE");
  try {
    for (const [name, number] of Object.entries(systemTables)) if (!store.catalog.table(name)) addTable(store.db, name, number);
    store.noteCatalogChange();
    if (store.readMeta("schema") !== setup.schemaHash) {
      applySchema(store, schema, log);
      store.writeMeta("schema", setup.schemaHash);
    }
    for (const [key, value] of setup.meta ?? []) store.writeMeta(key, value);
    applyCrons(jobs, setup, log);
    failInterrupted({ store, jobs, log, held: new Set(setup.held) });
    let secret = store.readMeta("secret");
    if (secret === undefined) {
      secret = randomBytes(32).toString("hex");
      store.writeMeta("secret", secret);
    }
    // Time moves on with every start, so that nothing a client saw before can be later than what it sees now.
    const start = store.nextTs(Date.now());
    store.writeClock(start);
    store.db.exec("COMMIT");
    return secret;
  } catch (error) {
    if (store.db.isTransaction) store.db.exec("ROLLBACK");
    throw error;
  }
}

function applySchema(store: Store, schema: Schema, log: (line: string) => void): void {
  for (const { name } of schema.tables) if (!store.catalog.table(name)) addTable(store.db, name);
  store.noteCatalogChange();
  for (const table of store.catalog.tables()) {
    if (table.name.startsWith("_")) continue;
    const wanted = schema.tables.find((one) => one.name === table.name)?.indexes ?? [];
    for (const index of table.indexes) {
      const name = index.name.slice(table.name.length + 1);
      const same = wanted.find((one) => one.name === name && one.fields.join() === index.fields.join());
      if (name === byCreationTime || same) continue;
      store.db.prepare("DELETE FROM idx WHERE indexId = ?").run(index.id);
      store.db.prepare("DELETE FROM indexes WHERE id = ?").run(index.id);
      log(`index ${index.name} removed`);
    }
    const kept = (name: string, fields: readonly string[]) =>
      table.indexes.some((one) => one.name === `${table.name}.${name}` && one.fields.join() === fields.join());
    const added = wanted
      .filter((one) => !kept(one.name, one.fields))
      .map((one) => ({ id: addIndex(store.db, table.id, one), ...one }));
    for (const one of added) log(`index ${table.name}.${one.name} added`);
    const searches = changeSearches(store, table, schema, log);
    checkAndFill(store, { ...table, ...searches }, added);
  }
  store.noteCatalogChange();
}

/** Drops the text and vector indexes that are gone or different. Returns those that are new and still empty. */
function changeSearches(
  store: Store,
  table: Table,
  schema: Schema,
  log: (line: string) => void,
): { readonly texts: readonly TextIndex[]; readonly vectors: readonly VectorIndex[] } {
  const definition = schema.tables.find((one) => one.name === table.name);
  const wanted = new Map(
    [...(definition?.texts ?? []), ...(definition?.vectors ?? [])].map((one) => [`${table.name}.${one.name}`, one]),
  );
  for (const index of [...table.texts, ...table.vectors]) {
    const same = wanted.get(index.name);
    if (same && definitionText(same) === definitionText(index)) {
      wanted.delete(index.name);
      continue;
    }
    store.searches.drop(index.id);
    store.db.prepare("DELETE FROM indexes WHERE id = ?").run(index.id);
    log(`index ${index.name} removed`);
  }
  const add = <T extends SearchDefinition | VectorDefinition>(one: T): T & { id: number; name: string } => {
    log(`index ${table.name}.${one.name} added`);
    return { ...one, id: addIndex(store.db, table.id, one), name: `${table.name}.${one.name}` };
  };
  const isNew = (one: { readonly name: string }) => wanted.has(`${table.name}.${one.name}`);
  return {
    texts: (definition?.texts ?? []).filter(isNew).map(add),
    vectors: (definition?.vectors ?? []).filter(isNew).map(add),
  };
}

/** One walk over a table: every row is held against the schema and gets its entries in the new indexes. */
function checkAndFill(
  store: Store,
  table: Table,
  added: readonly { readonly id: number; readonly fields: readonly string[] }[],
): void {
  let lower: Uint8Array = new Uint8Array(0);
  const upper = new Uint8Array(18).fill(0xff);
  for (;;) {
    const rows = store.rows.scanById(table.id, { lower, upper, isDescending: false, limit: slice });
    for (const { key, json } of rows) {
      const document = JSON.parse(json) as JsonObject;
      const wrong = schemaMismatch(store, table, withoutSystemFields(document));
      if (wrong !== undefined)
        throw new DeveloperError(
          `Document with ID "${asText(document["_id"])}" in table "${table.name}" does not match the schema: ${wrong}`,
        );
      const id = (decodeId(asText(document["_id"])) as { id: Uint8Array }).id;
      for (const index of added) store.rows.addEntry(index.id, entryKey(index.fields, document, id), id);
      store.searches.change(table, { id, old: undefined, now: document });
      lower = Uint8Array.of(...key, 0);
    }
    if (rows.length < slice) return;
  }
}

function applyCrons(jobs: Jobs, setup: Apply["setup"], log: (line: string) => void): void {
  const nowMs = Date.now();
  const held = new Map(jobs.crons().map((one) => [one.name, one]));
  for (const cron of setup.crons) {
    const path = canonicalPath(cron.path);
    const schedule = JSON.stringify(cron.schedule);
    const old = held.get(cron.name);
    held.delete(cron.name);
    if (!setup.functions.some((one) => one.path === path && one.kind !== "query"))
      throw new DeveloperError(`The cron "${cron.name}" names ${path}, which is no mutation or action.`);
    if (old && old.path === path && old.args === cron.args && old.schedule === schedule) continue;
    const nextMs = old?.schedule === schedule ? old.nextMs : firstRunMs(cron.schedule, nowMs);
    jobs.putCron({ name: cron.name, path, args: cron.args, schedule, nextMs });
    if (old) log(`cron "${cron.name}" changed`);
  }
  for (const name of held.keys()) jobs.dropCron(name);
}

/** Actions that were running when the process ended are over: whether they did their work, nobody knows. */
function failInterrupted({ store, jobs, log, held }: Omit<Apply, "setup"> & { readonly held: ReadonlySet<string> }): void {
  for (const { name } of jobs.runningCrons()) if (!held.has(`cron:${name}`)) jobs.stopCron(name);
  const table = store.catalog.table("_scheduled_functions");
  for (const job of jobs.inState("running", Infinity, Number.MAX_SAFE_INTEGER)) {
    if (held.has(encodeId(systemTables._scheduled_functions, job.id))) continue;
    const json = table && store.rows.get(table.id, job.id);
    if (table && json) {
      const state = { kind: "failed", error: "Transient error while executing action" };
      // Its keys stay the same: only by_creation_time is indexed.
      store.rows.update(
        table.id,
        job.id,
        JSON.stringify({ ...(JSON.parse(json) as JsonObject), completedTime: Date.now(), state }),
      );
    }
    jobs.move(job.id, "done", Date.now());
    log(`scheduled ${job.path} was interrupted by the restart`);
  }
}
