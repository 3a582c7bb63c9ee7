/** The transaction thread as the main thread sees it: tasks go in, durable groups come out. Restarts it when a run takes it down. */
/* oxlint-disable unicorn/require-post-message-target-origin -- that rule is about windows; these are threads */
import { Worker } from "node:worker_threads";
import { clientMessage } from "./driver.ts";
import { guardWorker, type Guard } from "./guard.ts";
import type { GroupMessage, ReadyMessage, RefusedMessage, Reply, Task, TaskMessage, WorkerSetup } from "./message.ts";
import { compiledFolder } from "./compiled.ts";
import { newWatchMemory, watchman } from "./watch.ts";

export type TxnThread = {
  readonly ready: ReadyMessage;
  /** Settles after the group that holds it is durable and `onGroup` has returned. */
  perform(task: Task): Promise<Reply>;
  close(): Promise<void>;
};

type Options = {
  readonly setup: Omit<WorkerSetup, "watch">;
  readonly origin: () => string;
  readonly onGroup: (group: GroupMessage) => void;
  readonly onReady: (ready: ReadyMessage) => void;
  readonly log: (line: string) => void;
};
type Waiting = { readonly message: TaskMessage; readonly resolve: (reply: Reply) => void };

const timedOut = "Function execution timed out (maximum duration: 1s)";
const youngMb = 6; // Measured: more is not faster here, and it is never given back.
const heapMb = 256; // The engine's caches and one realm; a run that needs more is out of bounds.

/** Fails with what the thread says when the app cannot be brought up. */
export async function openTxnThread(options: Options): Promise<TxnThread> {
  const waiting = new Map<number, Waiting>();
  const outbox: TaskMessage[] = [];
  let lastId = 0;
  let isClosing = false;
  let failure: string | undefined;
  let live: { readonly worker: Worker; readonly guard: Guard } | undefined;
  let closed: () => void = () => {};

  const failAll = (message: string): void => {
    failure = message;
    for (const { message: sent, resolve } of waiting.values()) resolve(failed(sent.task, message));
    waiting.clear();
  };

  const start = (): Promise<ReadyMessage> => {
    const memory = newWatchMemory();
    const worker = new Worker(new URL("./txnWorker.ts", import.meta.url), {
      workerData: { ...options.setup, watch: memory } satisfies WorkerSetup,
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: youngMb },
      // Their own, so that nothing of the machine's is in reach; the cache spares each thread the stripping of types (12 MB, 50 ms).
      env: { NODE_COMPILE_CACHE: compiledFolder(options.setup.dir) },
    });
    let isGone = false;
    let isDead = false;
    const restart = (blame: (message: TaskMessage) => Reply | TaskMessage): void => {
      if (isGone) return;
      isGone = true;
      live = undefined;
      for (const [id, one] of waiting) {
        const verdict = blame(one.message);
        if ("task" in verdict) waiting.set(id, { ...one, message: verdict });
        else {
          waiting.delete(id);
          one.resolve(verdict);
        }
      }
      if (isClosing) return closed();
      start().then(
        () => {
          outbox.length = 0;
          live?.worker.postMessage([...waiting.values()].map((one) => one.message));
          if (waiting.size > 0) live?.guard.start();
        },
        (error: Error) => failAll(error.message),
      );
    };
    const guard = guardWorker(worker, memory, (culprit) => {
      options.log(`a run was ended for using too much time${culprit ? "" : ", and nobody could be blamed"}`);
      restart((message) => (culprit && message.id === culprit.task ? condemned(message, culprit.unit) : message));
    });
    return new Promise((resolve, reject) => {
      worker.on("message", (message: GroupMessage | ReadyMessage | RefusedMessage) => {
        if (message.type === "refused") {
          isGone = true;
          void worker.terminate();
          return reject(new Error(message.message));
        }
        if (message.type === "ready") {
          live = { worker, guard };
          options.onReady(message);
          return resolve(message);
        }
        options.onGroup(message);
        for (const { id, reply } of message.replies) {
          const one = waiting.get(id);
          waiting.delete(id);
          one?.resolve(reply);
        }
        if (waiting.size === 0) guard.stop();
      });
      worker.on("error", (error: Error) => {
        guard.stop();
        reject(error);
        options.log(`the transaction thread failed: ${error.message}`);
        isDead = true;
      });
      // What it had said before it died has been heard by now.
      worker.on("exit", () => {
        guard.stop();
        if (isClosing) return closed();
        if (!isDead) return;
        const man = watchman(memory);
        const culprit = man.present() ? man.culprit() : undefined;
        const isUnknown = man.wasCommitting();
        restart((message) => {
          if (isUnknown)
            return failed(message.task, "The engine failed while it was saving; whether this was saved is not known.");
          return message.id === culprit?.task ? condemned(message, culprit.unit) : message;
        });
      });
    });
  };

  const ready = await start();
  // All that is asked in one turn goes over in one message: the price of a message is that of several mutations.
  const flush = (): void => {
    const messages = outbox.splice(0);
    if (messages.length === 0 || !live) return;
    live.worker.postMessage(messages);
    live.guard.start();
  };
  const send = (message: TaskMessage): void => {
    if (outbox.push(message) === 1) setImmediate(flush);
  };
  return {
    ready,
    perform: (task) =>
      new Promise((resolve) => {
        if (isClosing || failure !== undefined) return resolve(failed(task, failure ?? "The engine is closing."));
        const message: TaskMessage = { id: ++lastId & 0x7fff_ffff, origin: options.origin(), task };
        waiting.set(message.id, { message, resolve });
        send(message);
      }),
    close: async () => {
      if (isClosing) return;
      isClosing = true;
      flush();
      const worker = live?.worker;
      if (!worker) return;
      await new Promise<void>((resolve) => {
        closed = resolve;
        worker.postMessage("close");
      });
    },
  };
}

/** What becomes of the task whose run was ended: it fails, or the job in it is marked and the rest is done again. */
function condemned(message: TaskMessage, unit: string): Reply | TaskMessage {
  const { task } = message;
  if (task.type !== "runDue") return failed(task, `Uncaught Error: ${timedOut}`);
  return { ...message, task: { ...task, condemned: [...task.condemned, unit] } };
}

function failed(task: Task, message: string): Reply {
  return task.type === "mutation"
    ? { type: "mutation", result: { ok: false, message: clientMessage(task.request.requestId, message) }, ts: null, logLines: [] }
    : { type: "failed", message };
}
