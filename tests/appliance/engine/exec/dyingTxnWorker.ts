/**
 * The transaction thread, which dies once: after the COMMIT of the first group that changed something, before anybody is told of it. The
 * file `died` beside the database says that it has.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";

const port = parentPort as NonNullable<typeof parentPort>;
const died = join((workerData as { dir: string }).dir, "died");
const say = port.postMessage.bind(port);
port.postMessage = (message: { type: string; commits?: readonly unknown[] }) => {
  if (message.type === "group" && message.commits?.length && !existsSync(died)) {
    writeFileSync(died, "");
    throw new Error("died after saving");
  }
  say(message);
};
await import("../../../../appliance/engine/exec/txnWorker.ts");
