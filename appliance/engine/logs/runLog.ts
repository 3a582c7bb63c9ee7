/**
 * What functions did lately, in memory only: the newest runs one by one, for whoever follows the log, and sums by function, for whoever
 * asks how they do. Adding is on the way of every call, so it stores and counts and does nothing else.
 */
import type { RunNote } from "../model/run.ts";
import { openStatistics, type Statistics } from "./statistics.ts";

/** One run as Convex's own log stream writes it. */
export type LogEntry = {
  readonly kind: "Completion";
  readonly identifier: string;
  readonly udfType: "Query" | "Mutation" | "Action" | "HttpAction";
  /** Seconds since the epoch, at the end of the run. */
  readonly timestamp: number;
  /** Seconds. */
  readonly executionTime: number;
  readonly logLines: readonly string[];
  readonly success: null;
  readonly error: string | null;
  readonly requestId: string;
  readonly caller: string;
  readonly cachedResult: boolean;
  readonly environment: string;
};

export type LogPage = { readonly entries: readonly LogEntry[]; readonly newCursor: number };

export type RunLog = {
  add(note: RunNote): void;
  /** What was added after the cursor; waits for something when that is nothing, but not when `cursor` is 0 and not beyond `signal`. */
  after(cursor: number, signal: AbortSignal): Promise<LogPage>;
  statistics(): Statistics;
  /** Called after each addition. Returns how to stop. */
  onAdd(listener: () => void): () => void;
};

const entriesMax = 4096;
const charsMax = 4 * 1024 * 1024;
/** One run may say much; it must not push out all the others. */
const linesCharsMax = 64 * 1024;
/** Of one answer, so that a reader who was away for long is not sent everything at once. */
const pageMax = 1000;

type Kept = { readonly note: RunNote; readonly at: number; readonly stamp: number; readonly chars: number };

const udfTypes = { query: "Query", mutation: "Mutation", action: "Action", httpAction: "HttpAction" } as const;

export function openRunLog(nowMs: () => number): RunLog {
  // A ring: adding never moves what is there.
  const ring: (Kept | undefined)[] = Array.from({ length: entriesMax });
  const statistics = openStatistics(nowMs);
  const listeners = new Set<() => void>();
  const waiting = new Set<() => void>();
  let first = 0;
  let count = 0;
  let chars = 0;
  /** Microseconds, and never the same twice: it is the cursor, and stays one over restarts. */
  let lastStamp = Math.floor(nowMs() * 1000);

  const isOverfull = (): boolean => chars > charsMax && count > 1;

  const dropOldest = (): void => {
    chars -= ring[first]?.chars ?? 0;
    ring[first] = undefined;
    first = (first + 1) % entriesMax;
    count--;
  };

  const page = (cursor: number): LogPage => {
    let skip = count;
    // From the newest back, because followers ask for what came last.
    while (skip > 0 && (ring[(first + skip - 1) % entriesMax] as Kept).stamp > cursor) skip--;
    // At the beginning the newest are wanted, afterwards the next.
    const from = cursor === 0 ? Math.max(skip, count - pageMax) : skip;
    const kept = Array.from(
      { length: Math.min(count - from, pageMax) },
      (_, at) => ring[(first + from + at) % entriesMax] as Kept,
    );
    return { entries: kept.map(toEntry), newCursor: kept.at(-1)?.stamp ?? lastStamp };
  };

  return {
    statistics: () => statistics.read(),
    onAdd(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    add(told) {
      const note = told.logLines.length > 0 || told.error !== undefined ? withinBounds(told) : told;
      const at = nowMs();
      statistics.add(note, at);
      lastStamp = Math.max(lastStamp + 1, Math.floor(at * 1000));
      const size = sizeOf(note);
      if (count === entriesMax) dropOldest();
      ring[(first + count) % entriesMax] = { note, at, stamp: lastStamp, chars: size };
      count++;
      chars += size;
      while (isOverfull()) dropOldest();
      for (const wake of waiting) wake();
      for (const listener of listeners) listener();
    },
    async after(cursor, signal) {
      // One that lies ahead is from before the clock was set back.
      const since = Math.min(cursor, lastStamp);
      if (cursor === 0 || since < lastStamp || signal.aborted) return page(since);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
      // Those of one turn come together.
      await new Promise((resolve) => void setImmediate(resolve));
      return page(since);
    },
  };
}

function toEntry({ note, at }: Kept): LogEntry {
  return {
    kind: "Completion",
    identifier: note.path,
    udfType: udfTypes[note.kind],
    timestamp: at / 1000,
    executionTime: note.ms / 1000,
    logLines: note.logLines,
    success: null,
    error: note.error ?? null,
    requestId: note.requestId,
    caller: note.caller,
    cachedResult: note.isCached === true,
    environment: note.kind === "action" || note.kind === "httpAction" ? "node" : "isolate",
  };
}

function sizeOf({ path, logLines, error = "" }: RunNote): number {
  return logLines.reduce((sum, line) => sum + line.length, 200 + path.length + error.length);
}

/** Bounded, and without what the caller sent: a validation error quotes it. */
function withinBounds(note: RunNote): RunNote {
  const logLines: string[] = [];
  let chars = 0;
  for (const line of note.logLines) {
    chars += line.length;
    if (chars > linesCharsMax) {
      logLines.push("[WARN] 'What this run said after this was left out.'");
      break;
    }
    logLines.push(line);
  }
  return { ...note, logLines, error: note.error === undefined ? undefined : withoutValues(note.error) };
}

function withoutValues(error: string): string {
  if (!/^(?:Uncaught )?(?:Argument|Returns)ValidationError/.test(error)) return error.slice(0, linesCharsMax);
  return error
    .split("\n")
    .filter((line) => !/^(?:Object|Value): /.test(line))
    .join("\n")
    .slice(0, linesCharsMax);
}
