/**
 * Functions as an engine bundled and compiled them, kept from one test to the next: making them takes an engine longer than all else of its
 * start. It takes them only when they are of the files as these are now.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

const kept = join(import.meta.dirname, "../../node_modules/.cache/nika/bundled");
const folders = ["functions", "compiled"];
/** Half-edited trees leave many; the newest serve. */
const keptMax = 4;

/** Puts what was kept into an engine's folder that has none yet. */
export function takeBundled(dir: string): void {
  const newest = all()[0];
  if (newest === undefined || existsSync(join(dir, "functions"))) return;
  try {
    for (const folder of folders) cpSync(join(newest, folder), join(dir, folder), { recursive: true });
  } catch {
    // Dropped meanwhile by another process: this engine makes its own.
    for (const folder of folders) rmSync(join(dir, folder), { recursive: true, force: true });
  }
}

/** Keeps those of an engine that is closed, unless they are there. */
export function keepBundled(dir: string): void {
  if (!folders.every((folder) => existsSync(join(dir, folder)))) return;
  const { hash } = JSON.parse(readFileSync(join(dir, "functions", "manifest.json"), "utf8")) as { hash: string };
  const place = join(kept, hash.slice(0, 24));
  if (existsSync(place)) return;
  const making = join(kept, `.${process.pid}`);
  mkdirSync(making, { recursive: true });
  for (const folder of folders) cpSync(join(dir, folder), join(making, folder), { recursive: true });
  try {
    renameSync(making, place);
  } catch {
    rmSync(making, { recursive: true, force: true }); // Somebody else was first.
  }
  for (const old of all().slice(keptMax)) rmSync(old, { recursive: true, force: true });
}

/** Newest first. */
function all(): string[] {
  if (!existsSync(kept)) return [];
  const made = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return readdirSync(kept)
    .filter((name) => !name.startsWith("."))
    .map((name) => join(kept, name))
    .toSorted((one, other) => made(other) - made(one));
}
