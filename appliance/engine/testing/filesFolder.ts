/** Where tests keep stored files: one folder for all of a process, because files lie under their hash. Made with the first of them. */
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blobFolder } from "../store/files.ts";

export const filesDir = join(tmpdir(), `nika-convex-test-${randomUUID()}`);
let isMade = false;

export function makeFilesFolder(): void {
  if (isMade) return;
  mkdirSync(blobFolder(filesDir), { recursive: true });
  process.once("exit", () => rmSync(filesDir, { recursive: true, force: true }));
  isMade = true;
}
