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

const { dir, apiKey, host, port } = workerData as StoreData;
const say = (message: FromWorker): void => parentPort!.postMessage(message);

try {
  const store = new Store(dir);
  const server = serve({ store, apiKey, log: (line) => say({ type: "log", line }) });
  server.on("error", (error: NodeJS.ErrnoException) => say({ type: "failed", message: error.message, code: error.code }));
  server.listen(port, host, () => say({ type: "listening", port: (server.address() as AddressInfo).port }));
  parentPort!.once("message", (_: ToWorker) => {
    server.close(() => {
      store.close();
      parentPort!.close();
    });
    // Every answer is made in one go, so what is open now is waiting for its next request.
    server.closeAllConnections();
  });
} catch (error) {
  const code = (error as { code?: string }).code;
  say({ type: "failed", message: (error as Error).message, code });
  parentPort!.close();
}
