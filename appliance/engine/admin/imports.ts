/** Uploads of rows, in parts, and their way into tables: uploaded, confirmed, done. What is under way is told as a live setting. */
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DeveloperError, toInteger, type Json } from "../codec/value.ts";
import type { Core } from "../core.ts";
import type { ImportMode, ImportWork } from "./importTables.ts";
import { metaKeys } from "./systemQueries.ts";
import { readZip } from "./zip.ts";

type Asked = { readonly mode: ImportMode; readonly format: string; readonly tableName: string | undefined };

export type Imports = {
  start(): { readonly uploadToken: string };
  part(token: string, bytes: Uint8Array): string;
  finish(token: string, asked: Readonly<Record<string, unknown>>): Promise<{ readonly importId: string }>;
  perform(importId: string): Promise<void>;
};

const modes = new Set(["requireEmpty", "append", "replace", "replaceAll"]);

export function openImports({ core, dir, log }: { core: Core; dir: string; log: (line: string) => void }): Imports {
  const folder = join(dir, "imports");
  // What an earlier process left behind is of no use to anybody.
  rmSync(folder, { recursive: true, force: true });
  const waiting = new Map<string, ImportWork>();
  const fileOf = (token: string): string => {
    const file = join(folder, /^[0-9a-f]{32}$/.test(token) ? token : "none", "upload");
    if (existsSync(file)) return file;
    throw new DeveloperError("This upload is not known; start it again.");
  };
  const tell = async (importId: string, state: Json): Promise<void> => {
    const text = JSON.stringify({ importId, state });
    await core.administer?.({ type: "writeMeta", changes: [[metaKeys.imports + importId, text]] });
  };
  const run = async (importId: string, work: ImportWork): Promise<void> => {
    try {
      const count = await core.administer?.({ type: "import", ...work });
      await tell(importId, { state: "completed", num_rows_written: toInteger(BigInt(count ?? 0)) });
    } catch (error) {
      if (!(error instanceof DeveloperError)) log(`import: ${(error as Error).message}`);
      await tell(importId, { state: "failed", error_message: (error as Error).message });
    } finally {
      rmSync(join(folder, importId), { recursive: true, force: true });
    }
  };
  return {
    start: () => {
      const uploadToken = randomBytes(16).toString("hex");
      mkdirSync(join(folder, uploadToken), { recursive: true, mode: 0o700 });
      writeFileSync(join(folder, uploadToken, "upload"), "", { mode: 0o600 });
      return { uploadToken };
    },
    part: (token, bytes) => {
      appendFileSync(fileOf(token), bytes);
      return String(statSync(fileOf(token)).size);
    },
    finish: async (token, request) => {
      const file = fileOf(token);
      const { mode, format, tableName, componentPath } = request;
      if (componentPath) throw new DeveloperError("Components are not supported by the embedded engine yet.");
      if (typeof mode !== "string" || !modes.has(mode))
        throw new DeveloperError("An import appends, replaces, or finds no rows.");
      const asked = {
        mode: mode as ImportMode,
        format: typeof format === "string" ? format : "no format",
        tableName: typeof tableName === "string" ? tableName : undefined,
      };
      try {
        waiting.set(token, workOf(asked, file));
      } catch (error) {
        await tell(token, { state: "failed", error_message: (error as Error).message });
        return { importId: token };
      }
      const isReplacing = asked.mode === "replace" || asked.mode === "replaceAll";
      const names = waiting.get(token)?.tables.map((one) => one.name) ?? [];
      await tell(token, {
        state: "waiting_for_confirmation",
        message_to_confirm: isReplacing
          ? `Rows of ${asked.mode === "replaceAll" ? "all tables" : names.join(", ")} will be deleted first.`
          : "",
        require_manual_confirmation: isReplacing,
      });
      return { importId: token };
    },
    perform: async (importId) => {
      const work = waiting.get(importId);
      if (!work) throw new DeveloperError("This import is not waiting to be performed.");
      waiting.delete(importId);
      await tell(importId, { state: "in_progress", progress_message: "Importing", checkpoint_messages: [] });
      run(importId, work).catch((error: unknown) => log(`import: ${String(error)}`));
    },
  };
}

function workOf({ mode, format, tableName }: Asked, file: string): ImportWork {
  if (format === "zip") return zipWork(mode, file);
  if (tableName === undefined) throw new DeveloperError("Say into which table.");
  if (format === "jsonLines") return { mode, tables: [{ name: tableName, number: undefined, file }], isTyped: false };
  if (format !== "jsonArray") throw new DeveloperError(`Imports of ${format} are not supported by the embedded engine yet.`);
  let rows: unknown;
  try {
    rows = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new DeveloperError("The file is not JSON.");
  }
  if (!Array.isArray(rows)) throw new DeveloperError("The file is not a list of rows.");
  const lines = `${file}.lines`;
  writeFileSync(lines, rows.map((one) => `${JSON.stringify(one)}\n`).join(""), { mode: 0o600 });
  return { mode, tables: [{ name: tableName, number: undefined, file: lines }], isTyped: false };
}

function zipWork(mode: ImportMode, file: string): ImportWork {
  const entries = readZip(file);
  if (entries.some((one) => one.name.startsWith("_components/")))
    throw new DeveloperError("Components are not supported by the embedded engine yet.");
  if (entries.some((one) => /^_storage\/(?!documents\.jsonl$).+/.test(one.name)))
    throw new DeveloperError("Importing stored files is not supported by the embedded engine yet: export without them.");
  const listed =
    entries
      .find((one) => one.name === "_tables/documents.jsonl")
      ?.read()
      .toString() ?? "";
  const numbers = new Map(
    listed
      .split("\n")
      .filter((one) => one !== "")
      .map((one) => JSON.parse(one) as { name: string; id: number })
      .map(({ name, id }) => [name, Math.trunc(id)] as const),
  );
  const tables = entries.flatMap((entry, at) => {
    const [, name] = /^([A-Za-z][A-Za-z0-9_]*)\/documents\.jsonl$/.exec(entry.name) ?? [];
    if (name === undefined) return [];
    const rows = `${file}.${at}`;
    writeFileSync(rows, entry.read(), { mode: 0o600 });
    return [{ name, number: numbers.get(name), file: rows }];
  });
  return { mode, tables, isTyped: true };
}
