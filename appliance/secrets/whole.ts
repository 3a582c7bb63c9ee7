import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes a file that only its owner may read, under a temporary name, synced and renamed with its folder synced too, so that a crash leaves
 * the old file or the new one, whole.
 */
export function writeWhole(path: string, content: string | Uint8Array, dir = dirname(path)): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true }); // One left by a crash may have other permissions.
  const file = openSync(temporary, "wx", 0o600);
  try {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(dir);
}

/** A new name is on disk only when its folder is. */
export function syncFolder(dir: string): void {
  const folder = openSync(dir, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
