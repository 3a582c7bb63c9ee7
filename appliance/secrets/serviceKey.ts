import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

type Service = "vision" | "docling" | "telegram";

/** A key for a service elsewhere that the owner put into DATA/keys/<service>.key; undefined when there is none. */
export function readServiceKey(dataDir: string, service: Service): string | undefined {
  try {
    return readFileSync(join(dataDir, "keys", `${service}.key`), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Keeps such a key, readable by its owner only. A crash leaves the old one or the new one, whole. */
export function writeServiceKey(dataDir: string, service: Service, key: string): void {
  const dir = join(dataDir, "keys");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, `${service}.key`);
  rmSync(`${path}.new`, { force: true }); // One left by a crash may have other permissions.
  const file = openSync(`${path}.new`, "wx", 0o600);
  writeSync(file, key);
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
}

export function dropServiceKey(dataDir: string, service: Service): void {
  rmSync(join(dataDir, "keys", `${service}.key`), { force: true });
}
