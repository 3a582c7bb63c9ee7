/**
 * The transaction thread: the only one that writes. Mutations run one after the other, each in a savepoint; a group of them is one
 * transaction, and nobody hears of it before it is durable. While it is made so, the next group runs.
 */
import { closeSync, existsSync, fdatasyncSync, openSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { GroupMessage, IdentifiedReply, PassedTask, TaskMessage, WorkerSetup } from "./message.ts";
import { passReply, takeTask } from "./brief.ts";
import { databasePath } from "../store/database.ts";
import { packKeys } from "./packed.ts";
import { openTasks, tableNames, type Committed } from "./tasks.ts";
import { watched } from "./watch.ts";

/** Larger groups add latency and save next to nothing (measured: 50 is within a few per cent of 200). */
const groupMax = 50;
/** A group ends after this, so that its replies are on their way, and being synced, while the next group runs. */
const groupMs = 2;

const port = parentPort;
if (!port) throw new Error("This file is a worker.");
const setup = workerData as WorkerSetup;
const watch = watched(setup.watch);
const queue: TaskMessage[] = [];
let isPumping = false;
let isClosing = false;

type Group = { replies: IdentifiedReply[]; commits: Committed[]; hasScheduled: boolean };

try {
  const tasks = openTasks(setup, watch);
  const { db } = tasks.store;
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");

  // See durable.ts. What is in the file from before was synced by its COMMIT. Where the file system cannot keep such a log, SQLite keeps
  // another kind and goes on syncing by itself.
  const logPath = `${databasePath(setup.dir)}-wal`;
  const log = existsSync(logPath) ? openSync(logPath, "r+") : undefined;
  if (log !== undefined) db.exec("PRAGMA synchronous = NORMAL");
  const countChanges = db.prepare("SELECT total_changes() AS count");
  let synced = 0;
  let told = tasks.store.catalog;

  /** Whether all that was committed is durable. When nothing waits to be done it is made so here, which spares a way between threads. */
  const sync = (): boolean => {
    if (log === undefined) return true;
    const { count } = countChanges.get() as { count: number };
    if (count === synced) return true;
    if (queue.length > 0) return false;
    try {
      fdatasyncSync(log);
      synced = count;
      return true;
    } catch {
      // The main thread will fail at it too, and knows what that means.
      return false;
    }
  };

  const publish = (group: Group): void => {
    const names: string[] = [];
    const keys: Uint8Array[] = [];
    for (const { writes } of group.commits)
      for (const { index, key } of writes) {
        names.push(index);
        keys.push(key);
      }
    const writes = packKeys(names, keys);
    const commits = group.commits.map(({ ts, writes: list }) => ({ ts, count: list.length }));
    const isCatalogNew = told !== tasks.store.catalog;
    told = tasks.store.catalog;
    const message: GroupMessage = {
      type: "group",
      isSynced: sync(),
      replies: group.replies.map(passReply),
      commits,
      writes,
      hasScheduled: group.hasScheduled,
      ...(isCatalogNew ? { tables: tableNames(tasks.store) } : {}),
    };
    port.postMessage(message);
  };

  const failAll = (messages: readonly TaskMessage[], error: unknown): void => {
    const reply = tasks.faultReply(error);
    publish({ replies: messages.map(({ id, task }) => ({ id, reply: reply(task) })), commits: [], hasScheduled: false });
  };

  /** Runs up to `most` waiting tasks as one transaction. */
  const runGroup = async (most: number): Promise<void> => {
    const taken: TaskMessage[] = [];
    const group: Group = { replies: [], commits: [], hasScheduled: false };
    try {
      begin.run();
      const until = performance.now() + groupMs;
      while (taken.length < most && queue.length > 0 && (taken.length === 0 || performance.now() < until)) {
        const message = queue.shift() as TaskMessage;
        taken.push(message);
        const { reply, commits, hasScheduled } = await tasks.perform(message);
        // SQLite undoes the whole transaction by itself on some failures, a full disk among them.
        if (!db.isTransaction) throw new LostGroup();
        group.replies.push({ id: message.id, reply });
        group.commits.push(...commits);
        group.hasScheduled ||= hasScheduled;
      }
      watch.end();
      watch.commit();
      const last = group.commits.at(-1);
      if (last) tasks.store.writeClock(last.ts);
      commit.run();
    } catch (error) {
      watch.end();
      if (db.isTransaction) db.exec("ROLLBACK");
      tasks.store.noteCatalogChange();
      watch.published();
      // Nobody has heard of this group yet: each of its tasks gets a transaction of its own, so that only the one at fault fails.
      if (taken.length > 1) {
        queue.unshift(...taken);
        for (let left = taken.length; left > 0; left--) await runGroup(1);
      } else failAll(taken, error);
      return;
    }
    publish(group);
    watch.published();
  };

  const pump = async (): Promise<void> => {
    while (queue.length > 0) {
      await runGroup(groupMax);
      // Lets messages in: those that came during the commit are the next group.
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    isPumping = false;
    if (isClosing) close();
  };

  /** After what was asked before is done. */
  const close = (): void => {
    if (log !== undefined) closeSync(log);
    tasks.close();
    port.close();
  };

  port.on("message", (messages: readonly PassedTask[] | "close") => {
    if (messages === "close") {
      isClosing = true;
      if (!isPumping) close();
      return;
    }
    queue.push(...messages.map(takeTask));
    if (isPumping) return;
    isPumping = true;
    setImmediate(() => {
      // Nothing may be left half-done in silence: the thread ends, and the main thread takes it from there.
      pump().catch((error: unknown) =>
        setImmediate(() => {
          throw error;
        }),
      );
    });
  });
  port.postMessage(tasks.ready);
  tasks.warm();
} catch (error) {
  port.postMessage({ type: "refused", message: (error as Error).message });
}

class LostGroup extends Error {
  constructor() {
    super("The database could not be written.");
  }
}
