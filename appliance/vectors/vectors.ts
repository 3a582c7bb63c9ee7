import { Worker } from "node:worker_threads";
import { NikaError } from "../../convex/model/error.ts";
import type { FromWorker, StoreData, ToWorker } from "./worker.ts";

export type VectorsOptions = {
  /** Holds the database; made when absent. One store at a time may use it. */
  readonly dir: string;
  readonly apiKey: string;
  readonly host: "127.0.0.1";
  /** Any free one when absent. */
  readonly port?: number;
  readonly log: (line: string) => void;
  /** Called once if the store ends without having been closed. Starting it again is the caller's business. */
  readonly onExit?: (why: string) => void;
};

export type RunningVectors = { readonly url: string; close(): Promise<void> };

/**
 * The embedded Qdrant-compatible store on a loopback port, in a thread of its own. Resolves when it answers; fails with
 * `conflict` when the port is taken and `unavailable` when the data cannot be opened.
 */
export function startVectors(options: VectorsOptions): Promise<RunningVectors> {
  const { dir, apiKey, host, port = 0, log, onExit } = options;
  const workerData: StoreData = { dir, apiKey, host, port };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData,
    name: "vectors",
    // Half the default: bodies are parsed and dropped, and an idle store should hold on to little.
    // What it keeps for each passage grows with the vault, so its ceiling is not the appliance's.
    resourceLimits: { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 4_096 },
  });
  let isClosing = false;
  let why = "the thread ended";
  const ended = new Promise<void>((resolve) => {
    worker.once("exit", () => resolve());
  });
  const close = async (): Promise<void> => {
    isClosing = true;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, not a window
    worker.postMessage({ type: "close" } satisfies ToWorker);
    await ended;
  };

  return new Promise((resolve, reject) => {
    worker.on("error", (error) => {
      why = error instanceof Error ? error.message : String(error);
      log(`vectors: ${why}`);
    });
    worker.on("message", (message: FromWorker) => {
      if (message.type === "log") return log(message.line);
      if (message.type === "listening") {
        void ended.then(() => isClosing || onExit?.(why));
        return resolve({ url: `http://${host}:${message.port}`, close });
      }
      isClosing = true;
      void worker.terminate();
      const isTaken = message.code === "EADDRINUSE";
      const sentence = isTaken
        ? `Port ${port} is taken, so the vector store cannot start.`
        : `The vector store cannot start: ${message.message}`;
      return reject(new NikaError(isTaken ? "conflict" : "unavailable", sentence));
    });
    void ended.then(() => reject(new NikaError("unavailable", `The vector store cannot start: ${why}.`)));
  });
}
