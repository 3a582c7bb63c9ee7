/** The thread in which the store lives: one long synchronous write or scan must not hold up the rest of the appliance. */
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { serve } from "./server.ts";
import { Store } from "./store.ts";

export type StoreData = { readonly dir: string; readonly apiKey: string; readonly host: string; readonly port: number };
export type FromWorker =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "failed"; readonly message: string; readonly code: string | undefined }
  | { readonly type: "log"; readonly line: string };
export type ToWorker = { readonly type: "close" };

const closeGraceMs = 500;
const { dir, apiKey, host, port } = workerData as StoreData;
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, not a window
const say = (message: FromWorker): void => parentPort!.postMessage(message);

try {
  const store = new Store(dir);
  const server = serve({ store, apiKey, log: (line) => say({ type: "log", line }) });
  server.on("error", (error: NodeJS.ErrnoException) => say({ type: "failed", message: error.message, code: error.code }));
  server.listen(port, host, () => say({ type: "listening", port: (server.address() as AddressInfo).port }));
  // The only thing it is ever told (`ToWorker`) is to close.
  parentPort!.once("message", () => {
    // Idle connections end at once, the others with their answer or when the grace is over.
    const cutOff = setTimeout(() => server.closeAllConnections(), closeGraceMs);
    server.close(() => {
      clearTimeout(cutOff);
      store.close();
      parentPort!.close();
    });
  });
} catch (error) {
  const code = (error as { code?: string }).code;
  say({ type: "failed", message: (error as Error).message, code });
  parentPort!.close();
}
