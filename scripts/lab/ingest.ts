/** Hands files to an appliance the way clients do, and waits, live, until each is ready or told unreadable. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ConvexClient } from "convex/browser";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.d.ts";

/** Uploads `names` under `dir`, `inFlight` at a time, and registers them in rounds; as part of a batch when one is given. */
export async function handOver(
  client: ConvexClient,
  dir: string,
  names: readonly string[],
  { inFlight = 8, batchId }: { readonly inFlight?: number; readonly batchId?: Id<"batches"> } = {},
): Promise<void> {
  const uploadUrl = await client.mutation(api.documents.uploadUrl, {});
  for (let at = 0; at < names.length; at += 64) {
    const batch = names.slice(at, at + 64);
    const files: { name: string; storageId: Id<"_storage"> }[] = [];
    const queue = [...batch];
    await Promise.all(
      Array.from({ length: inFlight }, async () => {
        for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
          const response = await fetch(uploadUrl, { method: "POST", body: readFileSync(join(dir, name)) });
          const { storageId } = (await response.json()) as { storageId: Id<"_storage"> };
          files.push({ name, storageId });
        }
      }),
    );
    await client.mutation(api.documents.add, { files, ...(batchId && { batchId }) });
  }
}

/** Resolves when nothing waits or is being read any more. */
export function settled(client: ConvexClient): Promise<{ ready: number; unreadable: number; passages: number }> {
  return new Promise((resolve, reject) => {
    const stop = client.onUpdate(
      api.documents.counts,
      {},
      (counts) => {
        if (counts.waiting + counts.reading + counts.forgetting > 0) return;
        stop();
        resolve(counts);
      },
      reject,
    );
  });
}

/** Resolves when there is no work left: what follows from reading, such as filing under themes, is done as well. */
export function idle(client: ConvexClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = client.onUpdate(
      api.jobs.counts,
      {},
      (counts) => {
        if (counts.ready + counts.leased > 0) return;
        stop();
        resolve();
      },
      reject,
    );
  });
}
