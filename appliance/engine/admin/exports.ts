/** A snapshot of all rows, and of the files when asked, as a zip that the original reads too. One at a time; the last one is kept. */
import { mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { encodeId } from "../codec/id.ts";
import { DeveloperError, toInteger, type Json, type JsonObject } from "../codec/value.ts";
import type { Core } from "../core.ts";
import { systemTables } from "../store/catalog.ts";
import { blobPath, openFiles } from "../store/files.ts";
import { Store } from "../store/store.ts";
import { toExportJson } from "./exportJson.ts";
import { metaKeys } from "./systemQueries.ts";
import { createZip, type ZipWriter } from "./zip.ts";

const slice = 500; // Rows written in one turn of the thread.

export type Exports = {
  /** Begins one, and returns before it is done. */
  request(includeStorage: boolean): Promise<void>;
  /** Where the snapshot of that time lies. */
  path(ts: string): string;
};

export function openExports({ core, dir, log }: { core: Core; dir: string; log: (line: string) => void }): Exports {
  const folder = join(dir, "exports");
  let isRunning = false;
  const tell = async (state: Json): Promise<void> => {
    await core.administer?.({ type: "writeMeta", changes: [[metaKeys.lastExport, JSON.stringify(state)]] });
  };
  const path = (ts: string): string => {
    if (!/^\d+$/.test(ts)) throw new DeveloperError("A snapshot is named by its time.");
    return join(folder, `${ts}.zip`);
  };
  const run = async (includeStorage: boolean): Promise<void> => {
    try {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const ts = await writeSnapshot(dir, path, includeStorage);
      await tell({
        state: "completed",
        start_ts: toInteger(ts),
        complete_ts: toInteger(core.ts()),
        zip_object_key: readdirSync(folder)[0] ?? "",
      });
    } catch (error) {
      log(`export: ${(error as Error).message}`);
      await tell({ state: "failed" });
    } finally {
      isRunning = false;
    }
  };
  return {
    path,
    request: async (includeStorage) => {
      if (isRunning) throw new DeveloperError("ExportInProgress: a snapshot is being made; wait until it is done.");
      isRunning = true;
      await tell({ state: "requested" });
      run(includeStorage).catch((error: unknown) => log(`export: ${String(error)}`));
    },
  };
}

async function writeSnapshot(dir: string, path: (ts: string) => string, includeStorage: boolean): Promise<bigint> {
  const store = new Store(dir, "read");
  try {
    store.db.exec("BEGIN");
    const ts = store.snapshot();
    const zip = createZip(path(String(ts)));
    const text = (name: string, body: string): void => {
      zip.begin(name);
      zip.write(Buffer.from(body));
    };
    text("README.md", "A snapshot of a Convex deployment: one folder for each table, one row a line.\n");
    const tables = [...store.catalog.tables()].filter((one) => !one.name.startsWith("_")).toSorted((a, b) => a.number - b.number);
    text("_tables/documents.jsonl", tables.map((one) => `${JSON.stringify({ name: one.name, id: one.number })}\n`).join(""));
    for (const table of tables) {
      // Says that the rows tell the kinds of their numbers by themselves.
      text(`${table.name}/generated_schema.jsonl`, '"uniform"\n');
      zip.begin(`${table.name}/documents.jsonl`);
      await writeRows(store, table.id, zip, toExportJson);
    }
    if (includeStorage) await writeStorage(store, dir, zip);
    zip.close();
    return ts;
  } finally {
    store.close();
  }
}

async function writeRows(store: Store, tableId: number, zip: ZipWriter, toText: (row: JsonObject) => string): Promise<void> {
  let lower: Uint8Array = new Uint8Array(0);
  const upper = new Uint8Array(18).fill(0xff);
  for (;;) {
    const rows = store.rows.scanById(tableId, { lower, upper, isDescending: false, limit: slice });
    zip.write(Buffer.from(rows.map(({ json }) => `${toText(JSON.parse(json) as JsonObject)}\n`).join("")));
    const last = rows.at(-1);
    if (!last || rows.length < slice) return;
    lower = Uint8Array.of(...last.key, 0);
    await nextTurn();
  }
}

async function writeStorage(store: Store, dir: string, zip: ZipWriter): Promise<void> {
  const table = store.catalog.table("_storage");
  if (!table) return;
  const files = openFiles(store.db, dir);
  const ids = store.db.prepare("SELECT id FROM files ORDER BY id").all() as { id: Uint8Array }[];
  const uuids = new Map(ids.map(({ id }) => [encodeId(systemTables._storage, id), files.find(id)] as const));
  zip.begin("_storage/documents.jsonl");
  // Not in the form of rows: the original wants a size without a dot here.
  await writeRows(store, table.id, zip, ({ _id, _creationTime, sha256, size, contentType = null }) =>
    JSON.stringify({ _id, _creationTime, sha256, size, contentType, internalId: uuids.get(_id as string)?.uuid ?? null }),
  );
  for (const [id, file] of uuids) {
    if (!file) continue;
    zip.begin(`_storage/${id}`);
    zip.write(readFileSync(blobPath(dir, file.sha256)));
    await nextTurn();
  }
}
