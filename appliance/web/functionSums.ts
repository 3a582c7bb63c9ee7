/** What the engine tells of functions, and what the screen makes of it. Pure. */

type Kind = "query" | "mutation" | "action" | "httpAction";

export type FunctionView = {
  readonly path: string;
  readonly kind: Kind;
  readonly calls: number;
  readonly errors: number;
  readonly p50Ms?: number;
  readonly p95Ms?: number;
  /** The last hour, minute by minute. */
  readonly perMinute: readonly number[];
};

export type FunctionErrorView = {
  readonly path: string;
  readonly message: string;
  /** `dir/file.ts:12` under convex/. */
  readonly place?: string;
  readonly at: number;
  readonly times: number;
};

export type Statistics = {
  /** Minutes since the epoch; the last of each `perMinute`. */
  readonly minute: number;
  readonly functions: readonly FunctionView[];
  readonly errors: readonly FunctionErrorView[];
};

/** News come when something runs; when nothing does, the minutes pass all the same. */
export function shiftedTo(stats: Statistics, minute: number): Statistics {
  const passed = Math.max(0, minute - stats.minute);
  if (passed === 0) return stats;
  const functions = stats.functions.map((one) => {
    const kept = one.perMinute.slice(passed);
    return { ...one, perMinute: [...kept, ...Array.from({ length: one.perMinute.length - kept.length }, () => 0)] };
  });
  return { ...stats, minute, functions };
}

/** All functions together. */
export function sumPerMinute(functions: readonly FunctionView[]): number[] {
  const sums: number[] = [];
  for (const { perMinute } of functions) for (const [at, calls] of perMinute.entries()) sums[at] = (sums[at] ?? 0) + calls;
  return sums;
}

/** An error the app threw on purpose holds `{code, message}`: the message is for people. */
export function saidIn(error: string): string {
  const [, data] = /^ConvexError: (\{.*\})$/.exec(error) ?? [];
  if (data === undefined) return error;
  try {
    const { message } = JSON.parse(data) as { message?: unknown };
    return typeof message === "string" ? message : error;
  } catch {
    // Cut off, or not ours.
    return error;
  }
}
