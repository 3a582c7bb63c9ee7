/**
 * Makes what the transaction thread has committed durable while it goes on with the next group. SQLite is told not to sync its log at
 * each COMMIT (`synchronous = NORMAL`), which leaves it consistent but open at its end; the log is synced here, and nobody hears of a
 * group before. A sync covers all that was written when it began, so groups stay in order.
 */
import { closeSync, existsSync, fdatasync, openSync } from "node:fs";

export type Durable<T> = {
  /** Gives the group to `publish` once it is durable. `isSynced`: the thread has seen to that itself, for this group and those before. */
  add(group: T, isSynced: boolean): void;
  /** Resolves when nothing waits. The file is closed then, so nothing may be added afterwards. */
  close(): Promise<void>;
};

export function openDurable<T>(options: {
  /** SQLite's log; it exists while the database is open. */
  readonly log: string;
  readonly publish: (group: T) => void;
  /** The disk did not take it: nobody knows what is saved, and what waited never will be published. */
  readonly onFailure: (error: Error) => void;
}): Durable<T> {
  // Absent where SQLite syncs by itself; see txnWorker.ts.
  const file = existsSync(options.log) ? openSync(options.log, "r+") : undefined;
  let waiting: T[] = [];
  let isSyncing = false;
  let hasFailed = false;
  let onIdle: (() => void) | undefined;

  const publish = (count: number): void => {
    for (const group of waiting.splice(0, count)) options.publish(group);
  };

  const sync = (file: number): void => {
    const count = waiting.length;
    const [first] = waiting;
    isSyncing = true;
    fdatasync(file, (error) => {
      isSyncing = false;
      if (error) {
        hasFailed = true;
        waiting = [];
        options.onFailure(error);
      }
      // The thread may have synced some of them itself meanwhile.
      else if (waiting[0] === first) publish(count);
      if (waiting.length > 0) sync(file);
      else onIdle?.();
    });
  };

  return {
    add(group, isSynced) {
      if (hasFailed) return;
      waiting.push(group);
      if (isSynced || file === undefined) publish(waiting.length);
      else if (!isSyncing) sync(file);
    },
    close: async () => {
      if (isSyncing) await new Promise<void>((resolve) => (onIdle = resolve));
      if (file !== undefined) closeSync(file);
    },
  };
}
