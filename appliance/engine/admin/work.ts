/** What an administrator may have the transaction thread do. Each is one transaction: all of it happens, or nothing. */
import { importTables, type ImportWork } from "./importTables.ts";
import { parseSchema } from "../codec/schema.ts";
import { asText, type JsonObject } from "../codec/value.ts";
import { diffSchema } from "../deploy/schemaDiff.ts";
import type { Store } from "../store/store.ts";
import type { Run } from "../txn/syscalls.ts";
import { schemaMismatch, withoutSystemFields } from "../txn/transaction.ts";

export type AdminWork =
  /** Settings of the deployment; null removes one. */
  | { readonly type: "writeMeta"; readonly changes: readonly (readonly [string, string | null])[] }
  /** Whether the rows there are fit a schema that is not in force yet. */
  | { readonly type: "checkSchema"; readonly schema: string }
  /** What it would change, see deploy/schemaDiff.ts. */
  | { readonly type: "diffSchema"; readonly schema: string | null }
  | ({ readonly type: "import" } & ImportWork)
  /** Bytes of an import that failed: they go with the next sweep, where no file has them. */
  | { readonly type: "forgetBlobs"; readonly sha256s: readonly string[] }
  /** What was under way when the engine stopped has failed. */
  | { readonly type: "endImports" }
  /** How many rows each table has. */
  | { readonly type: "countRows" };

/** Pseudo-index under which settings are read and written; the key is the setting's name. */
export const metaIndex = "_meta";
/** Pseudo-index that every query reads: a write to it runs everything again. */
export const deploymentIndex = "_deployment";

/** Returns JSON text. Fails with DeveloperError for what the administrator can mend. */
export function administer(run: Run, work: AdminWork): string {
  const { store } = run.txn;
  switch (work.type) {
    case "writeMeta":
      for (const [key, value] of work.changes) {
        if (value === null) store.db.prepare("DELETE FROM meta WHERE key = ?").run(key);
        else store.writeMeta(key, value);
        run.txn.writes.push({ index: metaIndex, key: Buffer.from(key) });
      }
      return "null";
    case "checkSchema":
      return JSON.stringify(findSchemaBreach(store, work.schema) ?? null);
    case "diffSchema":
      return JSON.stringify(diffSchema(store, work.schema));
    case "import": {
      const count = importTables(run, work);
      // One word instead of a key for every row: after an import everything is looked at again.
      run.txn.writes.push({ index: deploymentIndex, key: Uint8Array.of(0) });
      return String(count);
    }
    case "forgetBlobs":
      for (const sha256 of work.sha256s) run.surroundings.files.forget(sha256, run.txn.nowMs);
      return "null";
    case "endImports":
      endImports(run);
      return "null";
    case "countRows":
      return JSON.stringify(
        Object.fromEntries([...store.catalog.tables()].map(({ name, id }) => [name, store.rows.count(id)] as const)),
      );
  }
}

/** Settings under this name are imports. */
export const importPrefix = "import:";
const endedKept = 100;

function endImports(run: Run): void {
  const { store } = run.txn;
  const rows = store.db
    .prepare("SELECT key, value FROM meta WHERE key >= ? AND key < ?")
    .all(importPrefix, `${importPrefix}\u{10ffff}`) as { key: string; value: string }[];
  for (const { key, value } of rows.slice(endedKept)) {
    if (/"(completed|failed)"/.test(value)) store.db.prepare("DELETE FROM meta WHERE key = ?").run(key);
  }
  for (const { key, value } of rows) {
    const held = JSON.parse(value) as { importId: string; state: { state: string } };
    if (held.state.state === "completed" || held.state.state === "failed") continue;
    const state = { state: "failed", error_message: "The engine was stopped before the import was done: nothing was changed." };
    store.writeMeta(key, JSON.stringify({ importId: held.importId, state }));
    run.txn.writes.push({ index: metaIndex, key: Buffer.from(key) });
  }
}

export type SchemaBreach = { readonly tableName: string; readonly message: string };

const slice = 1000; // Rows held in memory at once.

/** The first row that a schema would refuse. */
function findSchemaBreach(store: Store, text: string): SchemaBreach | undefined {
  const { schema } = store;
  try {
    store.useSchema(parseSchema(text));
    for (const table of store.catalog.tables()) {
      if (table.name.startsWith("_") || !store.documentValidator(table.name)) continue;
      let lower: Uint8Array = new Uint8Array(0);
      for (;;) {
        const rows = store.rows.scanById(table.id, {
          lower,
          upper: new Uint8Array(18).fill(0xff),
          isDescending: false,
          limit: slice,
        });
        for (const { key, json } of rows) {
          const document = JSON.parse(json) as JsonObject;
          const wrong = schemaMismatch(store, table, withoutSystemFields(document));
          if (wrong !== undefined)
            return {
              tableName: table.name,
              message: `Document with ID "${asText(document["_id"])}" in table "${table.name}" does not match the schema: ${wrong}`,
            };
          lower = Uint8Array.of(...key, 0);
        }
        if (rows.length < slice) break;
      }
    }
    return undefined;
  } finally {
    store.useSchema(schema);
  }
}
