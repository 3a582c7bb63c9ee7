import { join } from "node:path";

/** Where Node keeps our own files compiled, between starts and for all threads. May be deleted at any time. */
export function compiledFolder(dir: string): string {
  return join(dir, "compiled");
}
