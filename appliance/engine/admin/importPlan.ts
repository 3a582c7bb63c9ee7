/**
 * From an uploaded file to what an import would write: a file with a row a line for each table, stored files unpacked beside them, and a
 * summary of what would change for whoever has to agree to it. Nothing of the database is touched.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { decodeId } from "../codec/id.ts";
import { limits } from "../codec/limits.ts";
import { checkFieldName, DeveloperError, type Json } from "../codec/value.ts";
import { systemTables } from "../store/catalog.ts";
import type { ImportMode, ImportWork, ImportedFile } from "./importTables.ts";
import { readZip, type ZipEntry } from "./zip.ts";

export type Asked = { readonly mode: ImportMode; readonly format: string; readonly tableName: string | undefined };
/** How many rows come in; `_storage` stands for the files. */
export type Plan = { readonly work: ImportWork; readonly counts: ReadonlyMap<string, number> };

/** `file` lies in a folder of its own, where more is put. DeveloperError when it cannot be read. */
export async function planImport({ mode, format, tableName }: Asked, file: string): Promise<Plan> {
  if (format === "zip") return planSnapshot(mode, file);
  if (tableName === undefined) throw new DeveloperError("Say into which table.");
  const lines = await linesFrom(format, file);
  const count = await countLines(lines);
  const table = { name: tableName, number: undefined, file: lines, isTyped: false };
  return { work: { mode, tables: [table], files: undefined }, counts: new Map([[tableName, count]]) };
}

async function linesFrom(format: string, file: string): Promise<string> {
  if (format === "jsonLines") return file;
  if (format === "csv") return csvLines(file);
  if (format === "jsonArray") return arrayLines(file);
  throw new DeveloperError(`Imports of ${format} are not supported by the embedded engine.`);
}

function arrayLines(file: string): string {
  const { size } = statSync(file);
  if (size > limits.bytesWrittenMax)
    throw new DeveloperError(
      `Import is too large for JSON (${size} bytes > maximum ${limits.bytesWrittenMax / 1024 / 1024} MiB). Consider converting data to JSONLines`,
    );
  // Rows keep the spelling of their numbers only when they are cut out as text; here a number is a float, whatever it looks like.
  let rows: unknown;
  try {
    rows = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new DeveloperError(`Not valid JSON: ${(cause as Error).message}`);
  }
  if (!Array.isArray(rows)) throw new DeveloperError("Not a JSON array");
  const lines = `${file}.lines`;
  writeLines(lines, rows);
  return lines;
}

function writeLines(path: string, rows: readonly unknown[]): void {
  const text = rows.map((one) => `${JSON.stringify(one)}\n`).join("");
  writeFileSync(path, text, { mode: 0o600 });
}

/** The first row names the fields. A cell is a number when it reads as one, else text. */
async function csvLines(file: string): Promise<string> {
  const lines = `${file}.lines`;
  const { parse } = await import("csv-parse");
  const cells = createReadStream(file).pipe(parse({ bom: true, relax_column_count: true, skip_empty_lines: true }));
  try {
    await pipeline(cells, csvRows, createWriteStream(lines, { flags: "wx", mode: 0o600 }));
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && String(cause.code).startsWith("CSV_"))) throw cause;
    throw new DeveloperError(`Failed to parse CSV: ${cause.message}`);
  }
  return lines;
}

async function* csvRows(rows: AsyncIterable<readonly string[]>): AsyncGenerator<string> {
  let names: readonly string[] | undefined;
  let count = 0;
  for await (const cells of rows) {
    if (!names) {
      names = cells.map((cell) => cell.trim());
      for (const name of names) mustBeHeader(name);
      continue;
    }
    count++;
    if (cells.length !== names.length) throw new DeveloperError(`CSV row ${count} doesn't have all of the fields in the header`);
    yield `${JSON.stringify(Object.fromEntries(names.map((name, at) => [name, toCell(cells[at] ?? "")])))}\n`;
  }
  if (!names) throw new DeveloperError("CSV file doesn't have headers");
}

function mustBeHeader(name: string): void {
  try {
    if (name === "") throw new DeveloperError("Field name is empty.");
    checkFieldName(name);
  } catch (cause) {
    throw new DeveloperError(`CSV header "${name}" isn't a valid field name: ${(cause as Error).message}`);
  }
}

/** Words for numbers that JSON cannot write stay words. */
function toCell(text: string): Json {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text)) ? Number(text) : text;
}

async function planSnapshot(mode: ImportMode, file: string): Promise<Plan> {
  const entries = readZip(file);
  if (entries.some((one) => /(^|\/)_components\//.test(one.name)))
    throw new DeveloperError("Components are not supported by the embedded engine yet.");
  const prefix = prefixOf(entries);
  const named = new Map(
    entries.flatMap((one) => (one.name.startsWith(prefix) ? [[one.name.slice(prefix.length), one] as const] : [])),
  );
  const numbers = await tableNumbers(named.get("_tables/documents.jsonl"));
  const counts = new Map<string, number>([...numbers.keys()].map((name) => [name, 0]));
  const tables: ImportWork["tables"][number][] = [];
  for (const [path, entry] of named) {
    const [, name] = /^([A-Za-z][A-Za-z0-9_]*)\/documents\.jsonl$/.exec(path) ?? [];
    if (name === undefined) continue;
    const rows = `${file}.${tables.length}`;
    await extract(entry, rows);
    const isTyped = await isUniform(name, named.get(`${name}/generated_schema.jsonl`));
    tables.push({ name, number: numbers.get(name), file: rows, isTyped });
    counts.set(name, await countLines(rows));
  }
  // A table that had no rows is made as well.
  const empty = `${file}.empty`;
  writeFileSync(empty, "", { mode: 0o600 });
  for (const [name, number] of numbers)
    if (!tables.some((one) => one.name === name)) tables.push({ name, number, file: empty, isTyped: true });
  const files = await storedFiles(named, file);
  if (files) counts.set("_storage", files.length);
  return { work: { mode, tables, files }, counts };
}

/** Some zip the folder instead of what is in it. */
function prefixOf(entries: readonly ZipEntry[]): string {
  for (const { name } of entries) {
    const [, prefix] = /^(.*\/)?[^/]+\/documents\.jsonl$/.exec(name) ?? [];
    if (prefix !== undefined) return prefix;
  }
  return "";
}

async function tableNumbers(entry: ZipEntry | undefined): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const line of (await textOf(entry)).split("\n")) {
    if (line.trim() === "") continue;
    const { name, id } = parseLine(line) as { name?: unknown; id?: unknown };
    if (typeof name !== "string" || typeof id !== "number")
      throw new DeveloperError("_tables/documents.jsonl does not name tables and their numbers.");
    if (!name.startsWith("_")) found.set(name, Math.trunc(id));
  }
  return found;
}

/** Whether the rows tell an int64 from a float by themselves. Older snapshots needed a description for that, which is not read here. */
async function isUniform(name: string, entry: ZipEntry | undefined): Promise<boolean> {
  const text = (await textOf(entry)).trim();
  if (text === '"uniform"') return true;
  if (/int64|bytes/.test(text))
    throw new DeveloperError(
      `The snapshot's table "${name}" was written by an older Convex backend, which kept the kinds of numbers and bytes apart from the rows: not supported by the embedded engine. Import it into a current backend and export it there.`,
    );
  return false;
}

type FileRow = {
  readonly _id?: unknown;
  readonly _creationTime?: unknown;
  readonly sha256?: unknown;
  readonly contentType?: unknown;
  readonly internalId?: unknown;
};

/** Undefined when the snapshot says nothing of files. Bytes whose row was taken out are imported all the same. */
async function storedFiles(named: ReadonlyMap<string, ZipEntry>, file: string): Promise<ImportedFile[] | undefined> {
  const list = named.get("_storage/documents.jsonl");
  const rows = new Map<string, FileRow>();
  for (const line of (await textOf(list)).split("\n")) {
    if (line.trim() === "") continue;
    const row = parseLine(line) as FileRow;
    rows.set(String(row._id), row);
  }
  const found: ImportedFile[] = [];
  const folder = `${file}.files`;
  for (const [path, entry] of named) {
    const [, id] = /^_storage\/([^/.]+)(?:\.[^/]+)?$/.exec(path) ?? [];
    if (id === undefined || id === "documents") continue;
    if (decodeId(id)?.table !== systemTables._storage) throw new DeveloperError(`_storage id '${id}' invalid`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const bytes = join(folder, id);
    const { sha256, sizeBytes } = await extract(entry, bytes);
    const row = rows.get(id) ?? {};
    if (typeof row.sha256 === "string" && Buffer.from(row.sha256, "base64").toString("hex") !== sha256)
      throw new DeveloperError(`The bytes of file ${id} are not those that the snapshot's list announces (sha256).`);
    found.push({
      id,
      file: bytes,
      sha256,
      sizeBytes,
      contentType: typeof row.contentType === "string" ? row.contentType : null,
      uuid: typeof row.internalId === "string" && uuidForm.test(row.internalId) ? row.internalId : undefined,
      creationTime: typeof row._creationTime === "number" ? row._creationTime : undefined,
    });
  }
  return list || found.length > 0 ? found : undefined;
}

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function textOf(entry: ZipEntry | undefined): Promise<string> {
  const parts: Uint8Array[] = [];
  if (entry) for await (const part of entry.stream()) parts.push(part);
  return Buffer.concat(parts).toString();
}

function parseLine(line: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new DeveloperError(`This line is not JSON: ${line.slice(0, 200)}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new DeveloperError(`This line is not an object: ${line.slice(0, 200)}`);
}

/** Onto the disk for good. */
async function extract(entry: ZipEntry, path: string): Promise<{ readonly sha256: string; readonly sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  await pipeline(
    entry.stream(),
    async function* hashed(parts: AsyncIterable<Uint8Array>) {
      for await (const part of parts) {
        hash.update(part);
        sizeBytes += part.length;
        yield part;
      }
    },
    createWriteStream(path, { flags: "wx", mode: 0o600, flush: true }),
  );
  return { sha256: hash.digest("hex"), sizeBytes };
}

async function countLines(path: string): Promise<number> {
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) if (line.trim() !== "") count++;
  return count;
}

/** What would change, as a table. `held` is how many rows each table has now. */
export function summarize({ work, counts }: Plan, held: Readonly<Record<string, number>>) {
  const isReplacing = work.mode === "replace" || work.mode === "replaceAll";
  const names = new Set(counts.keys());
  if (work.mode === "replaceAll") for (const name of Object.keys(held)) if (!name.startsWith("_")) names.add(name);
  const rows = [...names].toSorted().map((name) => ({
    name,
    added: counts.get(name) ?? 0,
    existing: held[name] ?? 0,
    deleted: isReplacing ? (held[name] ?? 0) : 0,
  }));
  const taken = work.mode === "requireEmpty" ? rows.find((one) => one.existing > 0) : undefined;
  if (taken)
    throw new DeveloperError(`Table ${taken.name} already exists. Please choose a new table name or use replace/append modes.`);
  const text = (count: number): string => count.toLocaleString("en-US");
  const cells = [
    ["table", "create", "delete"],
    ...rows.map(({ name, added, existing, deleted }) => [
      name,
      text(added),
      `${text(deleted)} of ${text(existing)}${name === "_storage" ? " files" : ""}`,
    ]),
  ];
  const widths = [0, 1, 2].map((at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  const lines = cells.map((row) => `${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`);
  lines.splice(1, 0, "-".repeat(lines[0]?.length ?? 0));
  return { message: ["Import change summary:", ...lines].join("\n"), deletes: rows.some((one) => one.deleted > 0) };
}
