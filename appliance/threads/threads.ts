import { Worker } from "node:worker_threads";
import { NikaError } from "../../convex/model/error.ts";

/** Why a thread did not answer. The request may be at fault (`slow`, `memory`) or the thread (`crashed`). */
export class ThreadLostError extends Error {
  override readonly name = "ThreadLostError";
  readonly reason: "slow" | "memory" | "crashed";

  constructor(reason: "slow" | "memory" | "crashed", options?: { cause?: unknown }) {
    super(`The thread was lost: ${reason}.`, options);
    this.reason = reason;
  }
}

export type ThreadsOptions = {
  /** The module each thread runs; it calls `serve` of serve.ts. */
  readonly entry: URL;
  readonly threadsMax: number;
  /** Heap a thread may use; beyond it the thread ends and its request fails with reason `memory`. */
  readonly heapMiBMax: number;
  /**
   * How much the process may grow beyond its main thread while threads work. Buffers lie outside a thread's heap and its limit, so
   * the heap alone does not bound them; when this is passed the thread that has worked longest ends, as with `heapMiBMax`.
   */
  readonly growthMiBMax: number;
  /** A request that takes longer ends its thread and fails with reason `slow`. */
  readonly timeLimitMs: number;
  /** A thread without work for this long is ended, so that an idle appliance is small. */
  readonly idleMs: number;
};

/** Threads that answer requests, one each at a time. Started on first use. */
export type Threads<Request, Reply> = {
  /**
   * Fails with `ThreadLostError`, with `cancelled` when the signal fires (the thread that has it is ended, since nothing else stops
   * it), or with what the handler threw. What is in `transfer` is gone from the caller afterwards.
   */
  call(request: Request, options: { signal: AbortSignal; transfer?: ArrayBuffer[] }): Promise<Reply>;
  /** Ends all threads; open and later calls fail with `cancelled`. */
  close(): Promise<void>;
};

/** How often memory is looked at while threads work. Reading it takes some 50 µs. */
const watchMs = 50;
/** A request younger than this did not fill the memory; an ordinary one is over by then. */
const suspectMs = 250;

/** After answering, a thread with more heap than this share of its limit is replaced rather than used again. */
const heapShareKept = 0.5;

export type ThreadReply = { readonly heapBytes: number } & (
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown }
);

type Task = {
  readonly request: unknown;
  readonly transfer: ArrayBuffer[];
  readonly signal: AbortSignal;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
  timer?: NodeJS.Timeout;
  /** On the clock of `performance`. */
  startedAt?: number;
};

type Thread = { readonly worker: Worker; task?: Task | undefined; idleTimer?: NodeJS.Timeout | undefined; isLost: boolean };

export function openThreads<Request, Reply>(options: ThreadsOptions): Threads<Request, Reply> {
  const threads = new Set<Thread>();
  const queue: Task[] = [];
  let isClosed = false;
  let watch: { timer: NodeJS.Timeout; bytesBefore: number } | undefined;

  const look = (): void => {
    const working = [...threads].filter((thread) => thread.task);
    if (working.length === 0) {
      clearInterval(watch?.timer);
      watch = undefined;
      return;
    }
    const grownMiB = (bytesBesideMain() - (watch?.bytesBefore ?? 0)) / 1024 / 1024;
    if (grownMiB < options.growthMiBMax) return;
    const oldest = working.toSorted((one, other) => (one.task?.startedAt ?? 0) - (other.task?.startedAt ?? 0))[0];
    if (oldest && performance.now() - (oldest.task?.startedAt ?? 0) > suspectMs) lose(oldest, new ThreadLostError("memory"));
  };

  const settle = (thread: Thread): Task | undefined => {
    const task = thread.task;
    thread.task = undefined;
    if (!task) return undefined;
    clearTimeout(task.timer);
    task.signal.removeEventListener("abort", task.onAbort);
    return task;
  };

  const lose = (thread: Thread, error: unknown): void => {
    if (thread.isLost) return;
    thread.isLost = true;
    threads.delete(thread);
    clearTimeout(thread.idleTimer);
    settle(thread)?.reject(error);
    void thread.worker.terminate();
    pump();
  };

  const start = (): Thread => {
    const worker = new Worker(options.entry, {
      // The threads read what strangers wrote, so they are given nothing of the surroundings.
      env: {},
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: options.heapMiBMax, maxYoungGenerationSizeMb: 16 },
    });
    // Libraries print warnings about bad files; nobody reads them, and unread output would pile up.
    worker.stdout.resume();
    worker.stderr.resume();
    const thread: Thread = { worker, isLost: false };
    worker.on("message", (reply: ThreadReply) => finish(thread, reply));
    worker.on("error", (error) =>
      lose(thread, new ThreadLostError(isOutOfMemory(error) ? "memory" : "crashed", { cause: error })),
    );
    worker.on("messageerror", (error) => lose(thread, new ThreadLostError("crashed", { cause: error })));
    worker.on("exit", (code) => lose(thread, new ThreadLostError("crashed", { cause: new Error(`exit code ${code}`) })));
    threads.add(thread);
    return thread;
  };

  const finish = (thread: Thread, reply: ThreadReply): void => {
    const task = settle(thread);
    if (reply.ok) task?.resolve(reply.value);
    else task?.reject(reply.error);
    if (reply.heapBytes > options.heapMiBMax * 1024 * 1024 * heapShareKept) lose(thread, undefined);
    else rest(thread);
    pump();
  };

  const rest = (thread: Thread): void => {
    // An idle thread does not keep the process alive.
    thread.worker.unref();
    thread.idleTimer = setTimeout(() => lose(thread, undefined), options.idleMs);
    thread.idleTimer.unref();
  };

  const give = (thread: Thread, task: Task): void => {
    clearTimeout(thread.idleTimer);
    thread.worker.ref();
    thread.task = task;
    task.startedAt = performance.now();
    watch ??= { timer: setInterval(look, watchMs), bytesBefore: bytesBesideMain() };
    task.timer = setTimeout(() => lose(thread, new ThreadLostError("slow")), options.timeLimitMs);
    try {
      thread.worker.postMessage(task.request, task.transfer);
    } catch (error) {
      settle(thread)?.reject(error);
      rest(thread);
    }
  };

  const pump = (): void => {
    while (queue.length > 0) {
      const free = [...threads].find((thread) => !thread.task) ?? (threads.size < options.threadsMax ? start() : undefined);
      const task = free && queue.shift();
      if (!free || !task) return;
      give(free, task);
    }
  };

  const abort = (task: Task): void => {
    const at = queue.indexOf(task);
    if (at !== -1) queue.splice(at, 1);
    task.reject(cancelled());
    const thread = [...threads].find((thread) => thread.task === task);
    if (thread) lose(thread, cancelled());
  };

  return {
    call: (request, { signal, transfer = [] }) =>
      new Promise<Reply>((resolve, reject) => {
        if (isClosed || signal.aborted) return reject(cancelled());
        const task: Task = {
          request,
          transfer,
          signal,
          resolve: resolve as (value: unknown) => void,
          reject,
          onAbort: () => abort(task),
        };
        signal.addEventListener("abort", task.onAbort, { once: true });
        queue.push(task);
        pump();
      }),
    close: async () => {
      isClosed = true;
      for (const task of queue.splice(0)) abort(task);
      const ended = [...threads].map((thread) => thread.worker.terminate());
      for (const thread of threads) lose(thread, cancelled());
      clearInterval(watch?.timer);
      await Promise.all(ended);
    },
  };
}

function cancelled(): NikaError {
  return new NikaError("cancelled", "The work was cancelled.");
}

/** What the process holds apart from the heap and buffers of this thread. */
function bytesBesideMain(): number {
  const { rss, heapTotal, external } = process.memoryUsage();
  return rss - heapTotal - external;
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
}
