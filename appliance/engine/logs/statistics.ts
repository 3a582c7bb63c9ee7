/** How functions did in the last hour, in buckets of a minute: how often each ran, how long it took, and what went wrong where. */
import type { RunNote } from "../model/run.ts";

export type FunctionStatistics = {
  readonly path: string;
  readonly kind: RunNote["kind"];
  readonly calls: number;
  readonly errors: number;
  /** Of the runs; answers from the cache took no time. Absent when there was no run. */
  readonly p50Ms?: number;
  readonly p95Ms?: number;
  /** Calls in each of the last 60 minutes, the present one last. */
  readonly perMinute: readonly number[];
};

export type FunctionError = {
  readonly path: string;
  readonly kind: RunNote["kind"];
  readonly message: string;
  /** `file.ts:12`, where the app's own code failed; absent when it was not in it. */
  readonly place?: string;
  /** When last, and how often within the hour since the first. */
  readonly at: number;
  readonly times: number;
};

export type Statistics = {
  /** Minutes since the epoch; the last of each `perMinute`. */
  readonly minute: number;
  /** Busiest first. */
  readonly functions: readonly FunctionStatistics[];
  /** Newest first; the same error in the same place is one. */
  readonly errors: readonly FunctionError[];
};

export const minutesKept = 60;
const errorsMax = 50;
/** An app may have many functions; addresses of HTTP actions are not names, so there is an end. */
const functionsMax = 2000;
const messageCharsMax = 500;

/** Steps of a quarter octave from 1/32 ms: the error is below 10 %, and the last is ten minutes. */
const steps = 100;
const stepOfOneMs = 20;

/** One minute of one function. */
type Minute = { readonly minute: number; calls: number; errors: number; readonly times: Uint32Array };
type Kept = { readonly path: string; readonly kind: RunNote["kind"]; minutes: Minute[] };
type KeptError = {
  readonly path: string;
  readonly kind: RunNote["kind"];
  message: string;
  place?: string;
  at: number;
  times: number;
};

export function openStatistics(nowMs: () => number) {
  const functions = new Map<string, Kept>();
  /** Oldest first. */
  const errors = new Map<string, KeptError>();

  const minuteOf = (note: RunNote, minute: number): Minute | undefined => {
    let kept = functions.get(note.path);
    if (!kept) {
      if (functions.size >= functionsMax) return undefined;
      kept = { path: note.path, kind: note.kind, minutes: [] };
      functions.set(note.path, kept);
    }
    const newest = kept.minutes.at(-1);
    // A clock that was set back goes on in the minute it had reached.
    if (newest && newest.minute >= minute) return newest;
    const made = { minute, calls: 0, errors: 0, times: new Uint32Array(steps) };
    kept.minutes.push(made);
    if (kept.minutes.length > minutesKept) kept.minutes.shift();
    return made;
  };

  const addError = (note: RunNote, text: string, at: number): void => {
    const message = firstLine(text);
    const place = placeOf(text);
    const key = `${note.path}\0${place ?? ""}\0${message}`;
    const known = errors.get(key);
    errors.delete(key);
    const isFresh = known === undefined || known.at < at - minutesKept * 60_000;
    const times = isFresh ? 1 : known.times + 1;
    errors.set(key, { path: note.path, kind: note.kind, message, ...(place === undefined ? {} : { place }), at, times });
    for (const oldest of errors.keys()) {
      if (errors.size <= errorsMax) break;
      errors.delete(oldest);
    }
  };

  return {
    add(note: RunNote, at: number): void {
      const minute = minuteOf(note, Math.floor(at / 60_000));
      if (minute) {
        minute.calls++;
        if (note.error !== undefined) minute.errors++;
        if (!note.isCached) minute.times[stepOf(note.ms)]!++;
      }
      if (note.error !== undefined) addError(note, note.error, at);
    },
    read(): Statistics {
      const at = nowMs();
      const minute = Math.floor(at / 60_000);
      const oldest = minute - minutesKept + 1;
      for (const [path, kept] of functions) {
        kept.minutes = kept.minutes.filter((one) => one.minute >= oldest);
        if (kept.minutes.length === 0) functions.delete(path);
      }
      return {
        minute,
        functions: [...functions.values()].map((kept) => summed(kept, minute)).toSorted((a, b) => b.calls - a.calls),
        errors: [...errors.values()].filter((one) => one.at >= at - minutesKept * 60_000).toReversed(),
      };
    },
  };
}

function summed({ path, kind, minutes }: Kept, last: number): FunctionStatistics {
  const perMinute = Array.from({ length: minutesKept }, () => 0);
  const times = new Uint32Array(steps);
  let [calls, errors] = [0, 0];
  for (const one of minutes) {
    const at = Math.min(minutesKept - 1, minutesKept - 1 - (last - one.minute));
    perMinute[at] = (perMinute[at] ?? 0) + one.calls;
    calls += one.calls;
    errors += one.errors;
    for (const [step, count] of one.times.entries()) times[step]! += count;
  }
  const runs = times.reduce((sum, count) => sum + count, 0);
  const known = runs > 0 ? { p50Ms: quantile(times, runs * 0.5), p95Ms: quantile(times, runs * 0.95) } : {};
  return { path, kind, calls, errors, ...known, perMinute };
}

function stepOf(ms: number): number {
  return Math.max(0, Math.min(steps - 1, Math.floor(Math.log2(Math.max(ms, 0.001)) * 4) + stepOfOneMs));
}

/** The middle of the step in which the run with this rank lies. */
function quantile(times: Uint32Array, rank: number): number {
  let seen = 0;
  let step = 0;
  while (step < steps - 1 && (seen += times[step]!) < rank) step++;
  return Number((2 ** ((step + 0.5 - stepOfOneMs) / 4)).toPrecision(2));
}

function firstLine(error: string): string {
  return (error.split("\n", 1)[0] ?? "").replace(/^Uncaught /, "").slice(0, messageCharsMax);
}

/** Stacks name sources as `../convex/dir/file.ts:12:8`. */
export function placeOf(error: string): string | undefined {
  const [, file, line] = /\.\.\/convex\/([^\s:()]+):(\d+):\d+/.exec(error) ?? [];
  return file === undefined ? undefined : `${file}:${line}`;
}
