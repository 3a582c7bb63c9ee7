/** The query threads as the main thread sees them. A batch goes to the one with least to do; they start when first needed. */
import { Worker } from "node:worker_threads";
import { clientMessage } from "./driver.ts";
import { guardWorker, type Guard } from "./guard.ts";
import type { BatchMessage, BatchReply, QueryRequest, WorkerSetup } from "./message.ts";
import { newWatchMemory } from "./watch.ts";

export type QueryPool = {
  run(requests: readonly QueryRequest[]): Promise<Extract<BatchReply, { runs: unknown }>>;
  close(): Promise<void>;
};

type Options = {
  readonly setup: Omit<WorkerSetup, "watch"> & { readonly secret: string };
  readonly origin: () => string;
  readonly threads: number;
  readonly log: (line: string) => void;
};
type Waiting = { readonly message: BatchMessage; readonly resolve: (reply: BatchReply) => void };
type Seat = { worker: Worker | undefined; guard: Guard | undefined; readonly waiting: Map<number, Waiting> };

const timedOut = "Uncaught Error: Function execution timed out (maximum duration: 1s)";
const heapMb = 192;

export function openQueryPool(options: Options): QueryPool {
  const seats: Seat[] = Array.from({ length: options.threads }, () => ({
    worker: undefined,
    guard: undefined,
    waiting: new Map(),
  }));
  let lastId = 0;
  let isClosing = false;

  const start = (seat: Seat): { readonly worker: Worker; readonly guard: Guard } => {
    const memory = newWatchMemory();
    const worker = new Worker(new URL("./queryWorker.ts", import.meta.url), {
      workerData: { ...options.setup, watch: memory },
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: 16 },
      stdin: false,
    });
    const replace = (task: number | undefined, message: string): void => {
      if (seat.worker !== worker) return;
      seat.worker = undefined;
      for (const [id, one] of seat.waiting)
        if (id === task || task === undefined) {
          seat.waiting.delete(id);
          one.resolve({ id, fault: message });
        }
      if (isClosing || seat.waiting.size === 0) return;
      const fresh = start(seat);
      for (const { message: again } of seat.waiting.values()) fresh.worker.postMessage(again);
      fresh.guard.start();
    };
    const guard = guardWorker(worker, memory, (culprit) => {
      options.log("a query was ended for using too much time");
      replace(culprit?.task ?? -1, timedOut);
    });
    seat.worker = worker;
    seat.guard = guard;
    worker.on("message", (reply: BatchReply) => {
      const one = seat.waiting.get(reply.id);
      seat.waiting.delete(reply.id);
      if (seat.waiting.size === 0) guard.stop();
      one?.resolve(reply);
    });
    worker.on("error", (error: Error) => {
      guard.stop();
      options.log(`a query thread failed: ${error.message}`);
      replace(undefined, `Uncaught Error: ${error.message}`);
    });
    worker.on("exit", () => guard.stop());
    return { worker, guard };
  };

  const send = (requests: readonly QueryRequest[]): Promise<BatchReply> =>
    new Promise((resolve) => {
      const idle = seats.find((one) => one.worker && one.waiting.size === 0) ?? seats.find((one) => !one.worker);
      const seat = idle ?? seats.reduce((best, one) => (one.waiting.size < best.waiting.size ? one : best));
      if (!seat.worker) start(seat);
      const message = { id: ++lastId & 0x7fff_ffff, origin: options.origin(), requests };
      seat.waiting.set(message.id, { message, resolve });
      seat.worker?.postMessage(message);
      seat.guard?.start();
    });

  return {
    run: async (requests) => {
      if (isClosing) throw new Error("The engine is closing.");
      const reply = await send(requests);
      if ("runs" in reply) return reply;
      if (requests.length > 1) return runApart(requests, send);
      const [only] = requests;
      return { id: 0, ts: 0n, runs: [failedRun(only as QueryRequest, reply.fault)] };
    },
    close: async () => {
      isClosing = true;
      await Promise.all(seats.map((seat) => seat.worker?.terminate()));
      for (const { waiting } of seats) for (const [id, one] of waiting) one.resolve({ id, fault: "The engine is closing." });
    },
  };
}

/** One of a batch took the thread down: which, shows when each runs alone. Then the good ones run again, at one snapshot. */
async function runApart(requests: readonly QueryRequest[], send: (requests: readonly QueryRequest[]) => Promise<BatchReply>) {
  const faults = new Map<QueryRequest, string>();
  for (const request of requests) {
    const reply = await send([request]);
    if (!("runs" in reply)) faults.set(request, reply.fault);
  }
  const good = requests.filter((one) => !faults.has(one));
  const again = await send(good);
  const runs = "runs" in again ? [...again.runs] : good.map((one) => failedRun(one, again.fault));
  return {
    id: 0,
    ts: "runs" in again ? again.ts : 0n,
    runs: requests.map((one) => {
      const fault = faults.get(one);
      return fault === undefined ? (runs.shift() ?? failedRun(one, "Uncaught Error: no answer")) : failedRun(one, fault);
    }),
  };
}

function failedRun(request: QueryRequest, message: string) {
  return {
    result: { ok: false as const, message: clientMessage(request.requestId, message) },
    journal: null,
    logLines: [],
    reads: { names: [], ends: [], bytes: new Uint8Array(0) },
    usedIdentity: true,
    usedTime: false,
  };
}
