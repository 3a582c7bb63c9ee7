import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A key for a service elsewhere that the owner put into DATA/keys/<service>.key; undefined when there is none. */
export function readServiceKey(dataDir: string, service: "vision" | "docling"): string | undefined {
  try {
    return readFileSync(join(dataDir, "keys", `${service}.key`), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}
