import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Secrets } from "../../functions/ports/secrets.ts";

/** Services elsewhere whose keys are secrets of the same name. */
const services = ["vision", "docling", "telegram", "llm"] as const;

/**
 * Takes over keys that lie in clear in DATA/keys/<service>.key: left by an earlier Nika, or put there by the owner as the quickest way to
 * hand one over. The file goes once the secret is kept.
 */
export async function adoptServiceKeys(dataDir: string, secrets: Secrets, log: (line: string) => void): Promise<void> {
  for (const service of services) {
    const path = join(dataDir, "keys", `${service}.key`);
    if (!existsSync(path)) continue;
    const key = readFileSync(path, "utf8").trim();
    if (key !== "") await secrets.set(service, key, `file ${service}.key`);
    rmSync(path);
    log(`the key of ${service} is a secret now; its file is gone`);
  }
}
