import { fork, type ChildProcess } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import type { Socket } from "node:net";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { NikaError } from "../../convex/model/error.ts";
import type { Bytes } from "../../functions/ports/files.ts";
import { pour } from "./pour.ts";

/** Why a process did not answer. The request may be at fault (`slow`, `memory`) or the process (`crashed`). */
export class ProcessLostError extends Error {
  override readonly name = "ProcessLostError";
  readonly reason: "slow" | "memory" | "crashed";

  constructor(reason: "slow" | "memory" | "crashed", options?: { cause?: unknown }) {
    super(`The process was lost: ${reason}.`, options);
    this.reason = reason;
  }
}

export type ProcessesOptions = {
  /** The module each process runs; it calls `serve` of serve.ts. */
  readonly entry: URL;
  readonly processesMax: number;
  /**
   * Memory all of them may hold together, buffers included. When it is passed the largest ends; its request is tried once more on
   * its own, with all of the memory, and fails with reason `memory` when that is not enough.
   */
  readonly memoryMiBMax: number;
  /** Bytes that come with requests worked on at the same time. A request that brings more is worked on beside none that brings any. */
  readonly bytesMax?: number;
  /** A request that takes longer ends its process and fails with reason `slow`. */
  readonly timeLimitMs: number;
  /** A process without work for this long is ended, so that an idle appliance is small. */
  readonly idleMs: number;
  /**
   * Answers what a handler asks its parent while it works (`askParent`). The time this takes is not the process's own, and its limit
   * begins anew: a request of many parts may take long as a whole, while each part is bounded.
   */
  readonly answer?: (question: unknown, signal: AbortSignal) => Promise<unknown>;
  /** Lets processes load libraries of machine code. They may still not write, start programs or read anything but the program. */
  readonly allowsAddons?: boolean;
};

/** Processes that answer requests, one each at a time. Started on first use. */
export type Processes<Request, Reply> = {
  /**
   * Fails with `ProcessLostError`, with `cancelled` when the signal fires (the process that has it is ended, since nothing else
   * stops it), and with what the source of `bytes` fails with. `bytes` go to the handler beside the request, by a pipe of their own that
   * copies them once, as fast as the process takes them, and add twice their size to what the process may hold.
   */
  call(request: Request, options: CallOptions): Promise<Reply>;
  /** The same, with what the handler handed over before it answered (`handOver`). */
  callInParts(request: Request, options: CallOptions): Promise<{ readonly reply: Reply; readonly parts: readonly unknown[] }>;
  /** Ends all processes; open and later calls fail with `cancelled`. */
  close(): Promise<void>;
};

export type CallOptions = { readonly signal: AbortSignal; readonly bytes?: Bytes };

export type ProcessRequest = { readonly request: unknown; readonly bytesLength: number };
/** What a process asks while it works, and what it is told. */
export type ProcessQuestion = { readonly ask: number; readonly question: unknown };
export type ProcessAnswer = { readonly answerTo: number; readonly ok: boolean; readonly value: unknown };
export type ProcessPart = { readonly part: unknown };
export type ProcessReply =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly name: string; readonly message: string };

/** How often memory is looked at while processes work; a file made to fill memory adds some 10 MiB in that time. */
const watchMs = 25;
/** Part of the memory that is for JavaScript objects; the rest is for buffers, code and the runtime itself. */
const heapShare = 0.75;
/** After answering, a process above this share of the memory is replaced rather than used again. */
const shareKept = 0.5;
/** One step politer than the appliance itself, so that a long ingest does not slow down answers. */
const politeness = 5;

type Task = {
  readonly request: unknown;
  readonly bytes: Bytes;
  readonly sizeBytes: number;
  readonly signal: AbortSignal;
  readonly resolve: (answer: { reply: unknown; parts: readonly unknown[] }) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
  timer?: NodeJS.Timeout;
  /** What was handed over by the process that has it now. */
  parts: unknown[];
  /** Fires when it is over for this process, whatever came of it. */
  over: AbortController;
  /** Needs all of the memory, so it runs while nothing else does. */
  isAlone: boolean;
};

type Runner = {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  task?: Task | undefined;
  idleTimer?: NodeJS.Timeout | undefined;
  isLost: boolean;
};

/**
 * Processes and not threads: a thread that is ended does not give its memory back to the system, and one that runs out of memory can
 * take the appliance with it. They run without our environment and may only read the program's own files: no writing, no children.
 */
export function openProcesses<Request, Reply>(options: ProcessesOptions): Processes<Request, Reply> {
  const runners = new Set<Runner>();
  const queue: Task[] = [];
  const bytesMax = options.bytesMax ?? Number.POSITIVE_INFINITY;
  let isClosed = false;
  let watch: NodeJS.Timeout | undefined;

  const settle = (runner: Runner): Task | undefined => {
    const task = runner.task;
    runner.task = undefined;
    if (!task) return undefined;
    clearTimeout(task.timer);
    task.over.abort();
    task.signal.removeEventListener("abort", task.onAbort);
    return task;
  };

  const lose = (runner: Runner, error: unknown): void => {
    if (runner.isLost) return;
    runner.isLost = true;
    runners.delete(runner);
    clearTimeout(runner.idleTimer);
    runner.child.kill("SIGKILL");
    settle(runner)?.reject(error);
    pump();
  };

  const working = (): Runner[] => [...runners].filter((runner) => runner.task);

  const bytesInWork = (): number => working().reduce((sum, { task }) => sum + (task?.sizeBytes ?? 0), 0);

  const look = (): void => {
    if (working().length === 0) {
      clearInterval(watch);
      watch = undefined;
      return;
    }
    const held = [...runners]
      .map((runner) => ({ runner, mib: memoryMiB(runner.child) }))
      .toSorted((one, other) => other.mib - one.mib);
    const given = (2 * bytesInWork()) / 1024 / 1024;
    if (held.reduce((sum, { mib }) => sum + mib, 0) < options.memoryMiBMax + given) return;
    const largest = held[0]?.runner;
    if (largest) relieve(largest);
  };

  /** Ends a process for the memory it holds. It may only have been in company, so its request gets a second try without any. */
  const relieve = (runner: Runner): void => {
    const task = runner.task;
    if (!task || task.isAlone) return lose(runner, new ProcessLostError("memory"));
    task.isAlone = true;
    clearTimeout(task.timer);
    task.over.abort();
    runner.task = undefined;
    queue.unshift(task);
    lose(runner, undefined);
  };

  const finish = (runner: Runner, reply: ProcessReply): void => {
    const task = settle(runner);
    if (reply.ok) task?.resolve({ reply: reply.value, parts: task.parts });
    else task?.reject(new ProcessLostError("crashed", { cause: new Error(`${reply.name}: ${reply.message}`) }));
    if (memoryMiB(runner.child) > options.memoryMiBMax * shareKept) lose(runner, undefined);
    else rest(runner);
    pump();
  };

  const answer = async (runner: Runner, { ask, question }: ProcessQuestion): Promise<void> => {
    const task = runner.task;
    if (!task) return;
    clearTimeout(task.timer);
    const told = await (options.answer?.(question, task.signal) ?? Promise.reject(new Error("Nobody answers."))).then(
      (value): ProcessAnswer => ({ answerTo: ask, ok: true, value }),
      (error: unknown) => {
        // What stopped the parent is the request's end, not something for the handler to make the best of.
        if (runner.task === task) lose(runner, error);
        return undefined;
      },
    );
    if (!told || runner.isLost || runner.task !== task) return;
    limit(runner, task);
    runner.child.send(told, (cause) => cause && lose(runner, new ProcessLostError("crashed", { cause })));
  };

  const limit = (runner: Runner, task: Task): void => {
    clearTimeout(task.timer);
    task.timer = setTimeout(() => lose(runner, new ProcessLostError("slow")), options.timeLimitMs);
  };

  const start = (): Runner => {
    const child = startChild(options);
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const runner: Runner = { child, ended, isLost: false };
    let lastWords = "";
    child.stderr?.on("data", (text: Buffer) => (lastWords = (lastWords + text.toString()).slice(-2_000)));
    // A process that ended cannot be written to; its end is told by "exit".
    child.stdin?.on("error", () => {});
    child.on("message", (message: ProcessReply | ProcessQuestion | ProcessPart) => {
      if ("part" in message) runner.task?.parts.push(message.part);
      else if ("ask" in message) void answer(runner, message);
      else finish(runner, message);
    });
    child.once("error", (cause) => lose(runner, new ProcessLostError("crashed", { cause })));
    child.once("exit", (code, signal) => {
      const isMemory = /heap out of memory|allocation failed/iu.test(lastWords);
      const cause = new Error(`${signal ?? `exit code ${code}`} ${lastWords.trim()}`);
      if (isMemory) relieve(runner);
      else lose(runner, new ProcessLostError("crashed", { cause }));
    });
    runners.add(runner);
    return runner;
  };

  const rest = (runner: Runner): void => {
    // An idle process does not keep the appliance alive.
    runner.child.channel?.unref();
    runner.idleTimer = setTimeout(() => lose(runner, undefined), options.idleMs);
    runner.idleTimer.unref();
  };

  const give = (runner: Runner, task: Task): void => {
    clearTimeout(runner.idleTimer);
    runner.child.channel?.ref();
    runner.task = task;
    task.parts = [];
    watch ??= setInterval(look, watchMs);
    limit(runner, task);
    const message: ProcessRequest = { request: task.request, bytesLength: task.sizeBytes };
    runner.child.send(message, (cause) => cause && lose(runner, new ProcessLostError("crashed", { cause })));
    if (task.sizeBytes > 0) void send(runner, task);
  };

  /** The time that a file's bytes take to come is not the process's own; the time it takes them in is. */
  const send = async (runner: Runner, task: Task): Promise<void> => {
    task.over = new AbortController();
    const { signal } = task.over;
    const pace = {
      onWaitingForBytes: () => clearTimeout(task.timer),
      onWaitingForProcess: () => signal.aborted || limit(runner, task),
    };
    try {
      if (runner.child.stdin) await pour(task.bytes, runner.child.stdin, { ...pace, signal });
    } catch (error) {
      // Half a file is no file, and the process waits for the rest.
      if (!signal.aborted) lose(runner, error);
    }
  };

  const pump = (): void => {
    for (let task = queue[0]; task; task = queue[0]) {
      const busy = working();
      if (busy.some((runner) => runner.task?.isAlone) || (task.isAlone && busy.length > 0)) return;
      // Who comes later and is smaller waits as well, or the large would wait for ever.
      if (bytesInWork() > 0 && bytesInWork() + task.sizeBytes > bytesMax) return;
      const idle = [...runners].filter((runner) => !runner.task);
      if (idle.length === 0 && runners.size >= options.processesMax) return;
      queue.shift();
      const runner = idle[0] ?? start();
      give(runner, task);
      if (task.isAlone) for (const other of idle.slice(1)) lose(other, undefined);
    }
  };

  const abort = (task: Task): void => {
    const at = queue.indexOf(task);
    if (at !== -1) queue.splice(at, 1);
    task.reject(cancelled());
    const runner = [...runners].find((runner) => runner.task === task);
    if (runner) lose(runner, cancelled());
  };

  const callInParts: Processes<Request, Reply>["callInParts"] = (request, { signal, bytes = new Uint8Array() }) =>
    new Promise((resolve, reject) => {
      if (isClosed || signal.aborted) return reject(cancelled());
      const task: Task = {
        request,
        bytes,
        sizeBytes: bytes instanceof Uint8Array ? bytes.length : bytes.sizeBytes,
        signal,
        resolve: resolve as Task["resolve"],
        reject,
        onAbort: () => abort(task),
        parts: [],
        over: new AbortController(),
        isAlone: false,
      };
      signal.addEventListener("abort", task.onAbort, { once: true });
      queue.push(task);
      pump();
    });

  return {
    callInParts,
    call: async (request, options) => (await callInParts(request, options)).reply,
    close: async () => {
      isClosed = true;
      for (const task of queue.splice(0)) abort(task);
      const ending = [...runners].map((runner) => {
        // Awaiting its end needs it to count again.
        runner.child.ref();
        lose(runner, cancelled());
        return runner.ended;
      });
      clearInterval(watch);
      await Promise.all(ending);
    },
  };
}

function startChild({ entry, memoryMiBMax, allowsAddons = false }: ProcessesOptions): ChildProcess {
  const child = fork(entry, [], {
    serialization: "advanced",
    stdio: ["pipe", "ignore", "pipe", "ipc"],
    // Nothing of the surroundings; only that freed memory goes back to the system (glibc), which saves some 30 MB each.
    env: { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "131072", MALLOC_MMAP_THRESHOLD_: "131072" },
    execArgv: [
      `--max-old-space-size=${Math.round(memoryMiBMax * heapShare)}`,
      // Young objects are collected early: a few per cent slower, and 50 MB smaller.
      "--max-semi-space-size=2",
      "--disable-warning=ExperimentalWarning",
      "--permission",
      ...(allowsAddons ? ["--allow-addons"] : []),
      ...programFolders().map((folder) => `--allow-fs-read=${folder}`),
    ],
  });
  child.unref();
  for (const pipe of [child.stdin, child.stderr]) (pipe as Socket | null)?.unref();
  try {
    if (child.pid !== undefined) setPriority(child.pid, politeness);
  } catch {
    // It may have ended already, or the system does not let us; both are told elsewhere or do not matter.
  }
  return child;
}

/** Where the program and its libraries lie; libraries may be a link to somewhere else. */
function programFolders(): string[] {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  return [...new Set([root, `${realpathSync(root)}/`, `${realpathSync(`${root}node_modules`)}/`])];
}

/** Resident memory as the kernel counts it; 0 where there is no /proc, and then only the heap is bounded. */
function memoryMiB({ pid }: ChildProcess): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]);
    return (pages * 4_096) / 1024 / 1024;
  } catch {
    return 0;
  }
}

function cancelled(): NikaError {
  return new NikaError("cancelled", "The work was cancelled.");
}
