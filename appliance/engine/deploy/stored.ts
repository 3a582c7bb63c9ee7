/** What the database says of the deployment itself, read before anything is opened: its variables, and the app pushed to it. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DeveloperError } from "../codec/value.ts";
import { databasePath } from "../store/database.ts";

/** Names of settings in the database. */
export const pushedKey = "pushed";
export const envPrefix = "env:";

export type StoredDeployment = {
  readonly env: Readonly<Record<string, string>>;
  /** JSON text of the pushed modules; undefined when nothing was pushed yet. */
  readonly pushed: string | undefined;
};

/** One module as the command line bundles it: ECMAScript, with imports of its neighbours. */
export type PushedModule = {
  readonly path: string;
  readonly source: string;
  readonly sourceMap?: string | undefined;
  readonly environment: "isolate" | "node";
};

export function readStored(dir: string): StoredDeployment {
  if (!existsSync(databasePath(dir))) return { env: {}, pushed: undefined };
  const db = new DatabaseSync(databasePath(dir), { readOnly: true, timeout: 10_000 });
  try {
    const hasMeta = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'meta'").get();
    if (!hasMeta) return { env: {}, pushed: undefined };
    const rows = db.prepare("SELECT key, value FROM meta WHERE key = ? OR (key >= ? AND key < ?)");
    const found = rows.all(pushedKey, envPrefix, `${envPrefix}\u{10ffff}`) as { key: string; value: string }[];
    const env = found.filter((one) => one.key.startsWith(envPrefix)).map((one) => [one.key.slice(envPrefix.length), one.value]);
    return { env: Object.fromEntries(env) as Record<string, string>, pushed: found.find((one) => one.key === pushedKey)?.value };
  } finally {
    db.close();
  }
}

/** A pushed app as a folder again, and where its bundle may be kept. Made once for each content. */
export function unpackPushed(dir: string, pushed: string): { readonly functionsDir: string; readonly cacheDir: string } {
  const cacheDir = join(dir, "pushed", createHash("sha256").update(pushed).digest("hex").slice(0, 24));
  const functionsDir = join(cacheDir, "app");
  if (existsSync(functionsDir)) return { functionsDir, cacheDir };
  const temporary = join(cacheDir, "app.new");
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  for (const one of JSON.parse(pushed) as PushedModule[]) {
    const file = join(temporary, mustBeInside(one.path));
    mkdirSync(dirname(file), { recursive: true });
    // On the same line, so that positions stay what the source map says.
    const mark = one.environment === "node" && !/^\s*["']use node/.test(one.source) ? '"use node";' : "";
    const map =
      one.sourceMap === undefined ? "" : `\n//# sourceMappingURL=data:application/json;base64,${toPlainMap(one.sourceMap)}`;
    writeFileSync(file, mark + one.source.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n") + map);
  }
  renameSync(temporary, functionsDir);
  return { functionsDir, cacheDir };
}

/** Keeps the folder of what runs and drops those of earlier pushes. */
export function dropUnpacked(dir: string, kept: string): void {
  const folder = join(dir, "pushed");
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (join(folder, name) !== kept) rmSync(join(folder, name), { recursive: true, force: true });
}

function mustBeInside(path: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/.test(path)) return path;
  throw new DeveloperError(`A module cannot have the path "${path}".`);
}

/** Sources as the app's author knows them: relative to the functions folder. */
function toPlainMap(text: string): string {
  const map = JSON.parse(text) as { sources?: string[] };
  const sources = (map.sources ?? []).map((one) => one.replace(/^(\.\.\/)*(convex\/)?/, ""));
  return Buffer.from(JSON.stringify({ ...map, sources })).toString("base64");
}
