/** The transaction thread as the main thread sees it: tasks go in, durable groups come out. Restarts it when a run takes it down. */
/* oxlint-disable unicorn/require-post-message-target-origin -- that rule is about windows; these are threads */
import { Worker } from "node:worker_threads";
import { NikaError } from "../../../convex/model/error.ts";
import { passTask, takeReply } from "./brief.ts";
import { clientMessage } from "./driver.ts";
import { databasePath } from "../store/database.ts";
import { openDurable, type Durable } from "./durable.ts";
import { guardWorker, isHeapFull, outOfMemory, timedOut, type Guard } from "./guard.ts";
import type { GroupMessage, ReadyMessage, RefusedMessage, Reply, Task, TaskMessage, WorkerSetup } from "./message.ts";
import { compiledFolder } from "./compiled.ts";
import { newWatchMemory, watchman } from "./watch.ts";

export type TxnThread = {
  readonly ready: ReadyMessage;
  /**
   * Settles after the group that holds it is durable and `onGroup` has returned. Rejects when a mutation with a session could not be
   * done now: it may be sent again, and is done once however often it is.
   */
  perform(task: Task): Promise<Reply>;
  close(): Promise<void>;
};

type Options = {
  readonly setup: Omit<WorkerSetup, "watch">;
  readonly origin: () => string;
  readonly onGroup: (group: GroupMessage) => void;
  readonly onReady: (ready: ReadyMessage) => void;
  /** A thread died while it saved: up to `ts`, something may have become durable that nobody was told of. */
  readonly onGap: (ts: bigint) => void;
  readonly log: (line: string) => void;
  /** The worker's file; another one in tests. */
  readonly file?: URL;
};
type Waiting = {
  readonly message: TaskMessage;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
  /** How many threads died with it for reasons unknown. */
  readonly deaths: number;
};
/** What becomes of a task whose thread has died: it is answered or done again. */
type Verdict = Reply | TaskMessage;
/** A group, and who waits for which of its replies. */
type Done = { readonly group: GroupMessage; readonly ones: readonly { readonly one: Waiting; readonly reply: Reply }[] };

const inDoubt = "The engine failed while it was saving: this may or may not have been saved. Look before you try again.";
const brokenDisk = "The disk failed to save. Look after the disk, then start Nika again.";
const restartAfterMs = 1000; // For when a new thread cannot start either, as on a full disk.
const deathsMax = 2; // After as many unexplained deaths, whatever began last is held to be the reason.
const youngMb = 6; // Measured: more is not faster here, and it is never given back.
const heapMb = 256; // The engine's caches and one realm; a run that needs more is out of bounds.

/** Fails with what the thread says when the app cannot be brought up. */
export async function openTxnThread(options: Options): Promise<TxnThread> {
  const file = options.file ?? new URL("./txnWorker.ts", import.meta.url);
  const waiting = new Map<number, Waiting>();
  /** Jobs handed out to be run and not settled yet. */
  const held = new Set<string>();
  const outbox: TaskMessage[] = [];
  let lastId = 0;
  let isClosing = false;
  let failure: string | undefined;
  let isBroken = false;
  let live: { readonly worker: Worker; readonly guard: Guard } | undefined;
  let closed: () => void = () => {};
  /** Done and committed, not durable yet. */
  const unsynced = new Set<Waiting>();
  let durable: Durable<Done> | undefined;

  const failAll = (message: string): void => {
    failure = message;
    for (const one of waiting.values()) refuse(one, message);
    waiting.clear();
    outbox.length = 0;
  };

  const publish = ({ group, ones }: Done): void => {
    options.onGroup(group);
    for (const { one, reply } of ones) {
      unsynced.delete(one);
      one.resolve(reply);
    }
  };

  /** What a sync that failed has not saved, no later one will, whatever it says: there is no going on. */
  const giveUp = (error: Error): void => {
    options.log(`the database could not be synced: ${error.message}`);
    isBroken = true;
    for (const one of unsynced) {
      if (one.message.task.type === "mutation" && one.message.task.session) one.reject(new NikaError("unavailable", brokenDisk));
      else one.resolve(failed(one.message.task, inDoubt));
    }
    unsynced.clear();
    failAll(brokenDisk);
    void live?.worker.terminate();
  };

  /** The file of the thread that is gone is let go of once all that it did is published. */
  const settled = async (): Promise<void> => {
    const last = durable;
    durable = undefined;
    await last?.close();
  };

  const start = (): Promise<ReadyMessage> => {
    const memory = newWatchMemory();
    const worker = new Worker(file, {
      workerData: { ...options.setup, watch: memory, held: [...held] } satisfies WorkerSetup,
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: youngMb },
      // Their own, so that nothing of the machine's is in reach; the cache spares each thread the stripping of types (12 MB, 50 ms).
      env: { NODE_COMPILE_CACHE: compiledFolder(options.setup.dir) },
    });
    let isGone = false;
    let isReady = false;
    const restart = (blame: (one: Waiting) => Verdict, isInDoubt = false): void => {
      if (isGone) return;
      isGone = true;
      live = undefined;
      for (const [id, one] of waiting) {
        const verdict = blame(one);
        if ("task" in verdict) {
          waiting.set(id, { ...one, message: verdict, deaths: one.deaths + 1 });
          continue;
        }
        waiting.delete(id);
        one.resolve(verdict);
      }
      if (isClosing) return closed();
      void settled().then(() => revive(isInDoubt));
    };
    /** What is said to the run that it died of. */
    let cause = timedOut;
    const guard = guardWorker({
      worker,
      memory,
      memoryMb: heapMb,
      onOverrun: ({ culprit, message: why }) => {
        options.log(`a run was ended: ${why}${culprit ? "" : ", and nobody could be blamed"}`);
        restart(({ message }) => (culprit && message.id === culprit.task ? condemned(message, culprit.unit, why) : message));
      },
    });
    return new Promise((resolve, reject) => {
      worker.on("message", (message: GroupMessage | ReadyMessage | RefusedMessage) => {
        if (message.type === "refused") {
          isGone = true;
          void worker.terminate();
          return reject(new Error(message.message));
        }
        if (message.type === "ready") {
          isReady = true;
          live = { worker, guard };
          durable = openDurable({ log: `${databasePath(options.setup.dir)}-wal`, publish, onFailure: giveUp });
          options.onReady(message);
          return resolve(message);
        }
        const ones: { one: Waiting; reply: Reply }[] = [];
        for (const passed of message.replies) {
          const { id, reply } = takeReply(passed);
          const one = waiting.get(id);
          waiting.delete(id);
          if (reply.type === "jobs") for (const job of reply.jobs) held.add(job.id);
          if (!one) continue;
          if (one.message.task.type === "settleJob") held.delete(one.message.task.id);
          unsynced.add(one);
          ones.push({ one, reply });
        }
        durable?.add({ group: message, ones }, message.isSynced);
        if (waiting.size === 0) guard.stop();
      });
      worker.on("error", (error: Error) => {
        guard.stop();
        reject(error);
        if (isHeapFull(error)) cause = outOfMemory(heapMb);
        options.log(`the transaction thread failed: ${error.message}`);
      });
      // What it had said before it died has been heard by now.
      worker.on("exit", () => {
        guard.stop();
        if (isClosing) return closed();
        const man = watchman(memory);
        if (!isReady) return reject(new Error("The transaction thread ended before it was ready."));
        if (man.wasKilled()) return;
        if (man.wasCommitting()) return restart(({ message }) => doubted(message), true);
        const culprit = man.culprit();
        const isKnown = man.present() !== undefined;
        restart(({ message, deaths }) =>
          message.id === culprit.task && (isKnown || deaths >= deathsMax) ? condemned(message, culprit.unit, cause) : message,
        );
      });
    });
  };

  /** Brings up the next thread, however long that takes; until then what is asked fails. */
  const revive = (isInDoubt: boolean): void => {
    if (isClosing || isBroken) return;
    start().then(
      ({ ts }) => {
        failure = undefined;
        outbox.length = 0;
        if (isInDoubt) options.onGap(ts);
        live?.worker.postMessage(isClosing ? "close" : [...waiting.values()].map((one) => passTask(one.message)));
        if (waiting.size > 0) live?.guard.start();
      },
      (error: Error) => {
        failAll(error.message);
        setTimeout(() => revive(isInDoubt), restartAfterMs).unref();
      },
    );
  };

  const ready = await start();
  // All that is asked in one turn goes over in one message: the price of a message is that of several mutations.
  const flush = (): void => {
    const messages = outbox.splice(0);
    if (messages.length === 0 || !live) return;
    live.worker.postMessage(messages.map(passTask));
    live.guard.start();
  };
  const send = (message: TaskMessage): void => {
    if (outbox.push(message) === 1) setImmediate(flush);
  };
  return {
    ready,
    perform: (task) =>
      new Promise((resolve, reject) => {
        const message: TaskMessage = { id: ++lastId & 0x7fff_ffff, origin: options.origin(), task };
        const one: Waiting = { message, resolve, reject, deaths: 0 };
        if (isClosing || failure !== undefined) return refuse(one, failure ?? "The engine is closing.");
        waiting.set(message.id, one);
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
      await settled();
    },
  };
}

/** What becomes of the task whose run was ended: it fails, or the job in it is marked and the rest is done again. */
function condemned(message: TaskMessage, unit: string, why: string): Reply | TaskMessage {
  const { task } = message;
  if (task.type !== "runDue") return failed(task, `Uncaught Error: ${why}`);
  return { ...message, task: { ...task, condemned: [...task.condemned, unit] } };
}

/** Its thread died while it saved, so it may be durable. What can be asked twice is; who cannot be helped is told the truth. */
function doubted(message: TaskMessage): Verdict {
  const { task } = message;
  // Its session's row, written with it, says whether it was done.
  if (task.type === "mutation") return task.session ? message : failed(task, inDoubt);
  const isTwiceWrong = task.type === "syscall" || task.type === "storeFile" || task.type === "admin";
  return isTwiceWrong ? failed(task, inDoubt) : message;
}

/** Nothing was done. Who has a session tries again by itself; everybody else is told. */
function refuse({ message: { task }, resolve, reject }: Waiting, message: string): void {
  if (task.type === "mutation" && task.session) reject(new NikaError("unavailable", message));
  else resolve(failed(task, message));
}

function failed(task: Task, message: string): Reply {
  return task.type === "mutation"
    ? { type: "mutation", result: { ok: false, message: clientMessage(task.request.requestId, message) }, ts: null, logLines: [] }
    : { type: "failed", message };
}
