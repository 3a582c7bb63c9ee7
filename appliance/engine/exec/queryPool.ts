/**
 * The query threads as the main thread sees them. Each has one parcel of batches at a time: what comes in meanwhile waits here, and the
 * next thread that is free takes it. They start when first needed.
 */
/* oxlint-disable unicorn/require-post-message-target-origin -- that rule is about windows; these are threads */
import { Worker } from "node:worker_threads";
import { compiledFolder } from "./compiled.ts";
import { clientMessage } from "./driver.ts";
import { guardWorker, isHeapFull, outOfMemory } from "./guard.ts";
import type { BatchMessage, BatchReply, BatchRun, QueryRequest, WorkerSetup } from "./message.ts";
import { packRanges } from "./packed.ts";
import { newReadMemory, readSeen } from "./readLog.ts";
import { newWatchMemory, watchman } from "./watch.ts";

export type QueryPool = {
  run(requests: readonly QueryRequest[]): Promise<Answered>;
  close(): Promise<void>;
};
export type Answered = Extract<BatchReply, { runs: unknown }>;

type Options = {
  readonly setup: Omit<WorkerSetup, "watch"> & { readonly secret: string };
  readonly origin: () => string;
  readonly threads: number;
  readonly log: (line: string) => void;
};
type Waiting = { readonly message: BatchMessage; readonly resolve: (reply: BatchReply) => void };
/** `parcel` is what it was given and has not answered yet. */
type Seat = {
  send: ((messages: readonly BatchMessage[]) => void) | undefined;
  worker: Worker | undefined;
  parcel: Map<number, Waiting>;
  /** When it was given that. */
  sinceMs: number;
};

const closing = "The engine is closing.";
const youngMb = 6; // Measured: more is not faster here, and it is never given back.
const heapMb = 192;
/** Enough that the price of a message does not matter, few enough that the other thread gets its share. */
const parcelMax = 16;
/** Longer than most queries take; nobody waits longer than this for a thread while another is idle. */
const soonMs = 1;

export function openQueryPool(options: Options): QueryPool {
  const seats: Seat[] = Array.from({ length: options.threads }, () => ({
    send: undefined,
    worker: undefined,
    parcel: new Map(),
    sinceMs: 0,
  }));
  let queue: Waiting[] = [];
  let lastId = 0;
  let isClosing = false;
  let later: NodeJS.Timeout | undefined;

  const start = (seat: Seat): void => {
    const memory = newWatchMemory();
    const readMemory = newReadMemory();
    const worker = new Worker(new URL("./queryWorker.ts", import.meta.url), {
      workerData: { ...options.setup, watch: memory, reads: readMemory },
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: youngMb },
      // See txnThread.ts.
      env: { NODE_COMPILE_CACHE: compiledFolder(options.setup.dir) },
    });
    let isGone = false;
    /** Fails the one at fault, or all when that is not known, and gives the rest to a new thread. */
    const bury = (task: number | undefined, fault: string): void => {
      if (isGone) return;
      isGone = true;
      seat.worker = undefined;
      seat.send = undefined;
      const left = [...seat.parcel.values()];
      seat.parcel = new Map();
      const isAtFault = (one: Waiting): boolean => task === undefined || one.message.id === task;
      queue.unshift(...left.filter((one) => !isAtFault(one)));
      const seen = task === undefined ? undefined : readSeen(readMemory);
      for (const one of left.filter(isAtFault)) one.resolve({ id: one.message.id, fault, seen });
      deal();
    };
    const guard = guardWorker({
      worker,
      memory,
      memoryMb: heapMb,
      onOverrun: ({ culprit, message }) => {
        options.log(`a query was ended: ${message}`);
        bury(culprit?.task ?? -1, `Uncaught Error: ${message}`);
      },
    });
    seat.worker = worker;
    seat.send = (messages) => {
      worker.postMessage(messages);
      guard.start();
    };
    worker.on("message", (replies: readonly BatchReply[]) => {
      const settled = replies.map((reply) => ({ reply, one: seat.parcel.get(reply.id) }));
      for (const { reply } of settled) seat.parcel.delete(reply.id);
      if (seat.parcel.size === 0) {
        guard.stop();
        deal();
      }
      for (const { reply, one } of settled) one?.resolve(reply);
    });
    /** The run that was going on is at fault. When none was, the thread itself is, and nobody can be served by the next one either. */
    const fail = (message: string): void => {
      guard.stop();
      const man = watchman(memory);
      if (man.wasKilled()) return;
      bury(man.present() ? man.culprit().task : undefined, `Uncaught Error: ${message}`);
    };
    worker.on("error", (error: Error) => {
      options.log(`a query thread failed: ${error.message}`);
      fail(isHeapFull(error) ? outOfMemory(heapMb) : error.message);
    });
    worker.on("exit", () => fail("The thread of this query has ended."));
  };

  const deal = (): void => {
    if (isClosing) return;
    while (queue.length > 0) {
      const seat = seats.find((one) => one.worker && one.parcel.size === 0) ?? seats.find((one) => !one.worker);
      if (!seat) return;
      const now = performance.now();
      // A thread that has only just begun will soon be back, and what waits for it goes over in one message; a second thread costs more
      // than it brings unless there is much to do.
      const isSoonBack = queue.length < parcelMax && seats.some((one) => one.parcel.size > 0 && now - one.sinceMs < soonMs);
      if (isSoonBack) {
        later ??= setTimeout(() => {
          later = undefined;
          deal();
        }, soonMs);
        return;
      }
      if (!seat.worker) start(seat);
      seat.sinceMs = now;
      const parcel = queue.splice(0, parcelMax);
      for (const one of parcel) seat.parcel.set(one.message.id, one);
      seat.send?.(parcel.map((one) => one.message));
    }
  };

  const send = (requests: readonly QueryRequest[]): Promise<BatchReply> =>
    new Promise((resolve) => {
      if (isClosing) return resolve({ id: 0, fault: closing });
      const message = { id: ++lastId & 0x7fff_ffff, origin: options.origin(), requests };
      // What is asked in one turn is dealt together.
      if (queue.push({ message, resolve }) === 1) setImmediate(deal);
    });

  return {
    run: async (requests) => {
      const reply = await send(requests);
      if ("runs" in reply) return reply;
      if (requests.length > 1) return runApart(requests, send);
      return { id: 0, ts: 0n, runs: requests.map((one) => failedRun(one, reply)) };
    },
    close: async () => {
      isClosing = true;
      clearTimeout(later);
      const waiting = [...queue, ...seats.flatMap((seat) => [...seat.parcel.values()])];
      queue = [];
      await Promise.all(seats.flatMap((seat) => (seat.worker ? [seat.worker.terminate()] : [])));
      for (const one of waiting) one.resolve({ id: one.message.id, fault: closing });
    },
  };
}

/** One of a batch took the thread down: which, shows when each runs alone. Then the good ones run again, at one snapshot. */
async function runApart(
  requests: readonly QueryRequest[],
  send: (requests: readonly QueryRequest[]) => Promise<BatchReply>,
): Promise<Answered> {
  const faults = new Map<QueryRequest, Fault>();
  for (const request of requests) {
    const reply = await send([request]);
    if (!("runs" in reply)) faults.set(request, reply);
  }
  const good = requests.filter((one) => !faults.has(one));
  const again = await send(good);
  const runs = "runs" in again ? [...again.runs] : good.map((one) => failedRun(one, again));
  return {
    id: 0,
    ts: "runs" in again ? again.ts : 0n,
    runs: requests.map((one) => {
      const fault = faults.get(one);
      return fault === undefined ? (runs.shift() ?? failedRun(one, { fault: closing })) : failedRun(one, fault);
    }),
  };
}

type Fault = Pick<Extract<BatchReply, { fault: string }>, "fault" | "seen">;

/** What it read is known when it had begun; a time of 0 says that it is not. */
function failedRun(request: QueryRequest, { fault, seen }: Fault): BatchRun {
  return {
    result: { ok: false, message: clientMessage(request.requestId, fault) },
    journal: null,
    logLines: [],
    reads: packRanges(seen?.reads ?? []),
    usedIdentity: true,
    usedTime: false,
    isFatal: true,
    ts: seen?.ts ?? 0n,
  };
}
