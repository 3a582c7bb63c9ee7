import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { State } from "../ports/state.ts";
import type { Held } from "./held.ts";

const flushEveryMs = 250; // Four steps a second look smooth; each costs one commit, however many jobs are running.

export type Progress = {
  readonly report: (held: Held, done: number, total: number) => void;
  /** The job has ended: nobody needs to know any more how far it got. */
  readonly drop: (held: Held) => void;
  /** What it still had to say is not said. */
  readonly close: () => void;
};

/** Collects how far jobs got and records the latest of each, in one mutation at a time. Losing a report is no harm. */
export function openProgress(state: State, log: (line: string) => void): Progress {
  const latest = new Map<Held, { done: number; total: number }>();
  let timer: NodeJS.Timeout | undefined;
  let isSending = false;

  const flush = async (): Promise<void> => {
    timer = undefined;
    const reports = [...latest]
      .filter(([held]) => !held.signal.aborted)
      .map(([{ jobId, token }, { done, total }]) => ({ jobId: jobId as Id<"jobs">, token, done, total }));
    latest.clear();
    if (reports.length === 0) return;
    isSending = true;
    try {
      await state.mutation(internal.work.progress, { reports });
    } catch (error) {
      log(`progress was not recorded: ${String(error)}`);
    } finally {
      isSending = false;
      if (latest.size > 0) arm();
    }
  };
  const arm = (): void => {
    if (timer === undefined && !isSending) timer = setTimeout(() => void flush(), flushEveryMs);
  };

  return {
    report(held, done, total) {
      latest.set(held, { done, total });
      arm();
    },
    drop: (held) => void latest.delete(held),
    close() {
      clearTimeout(timer);
      timer = undefined;
      latest.clear();
    },
  };
}
