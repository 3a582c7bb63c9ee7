import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QdrantClient } from "@qdrant/js-client-rest";
import { startVectors, type RunningVectors } from "../../../appliance/vectors/vectors.ts";

export const apiKey = "a key for tests";

export type OpenStore = {
  readonly dir: string;
  readonly url: string;
  readonly client: QdrantClient;
  readonly logged: readonly string[];
  /** Closes it and opens it again on the same data. */
  reopen(): Promise<OpenStore>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The real store in its thread, on an empty folder, with the real client; both are gone at the end of the scope. */
export async function openStore(dir = mkdtempSync(join(tmpdir(), "nika-vectors-"))): Promise<OpenStore> {
  const logged: string[] = [];
  const running: RunningVectors = await startVectors({ dir, apiKey, host: "127.0.0.1", log: (line) => logged.push(line) });
  const client = new QdrantClient({ url: running.url, headers: { "api-key": apiKey }, checkCompatibility: false });
  return {
    dir,
    url: running.url,
    client,
    logged,
    async reopen() {
      await running.close();
      return openStore(dir);
    },
    async [Symbol.asyncDispose]() {
      await running.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
