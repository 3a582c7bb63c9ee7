import { codes, NikaError, type Code } from "../convex/model/error.ts";
import type { Ports } from "./define.ts";

/** What may be kept of a step, handed to a run or said to it. `undefined` where nothing came of it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

export type Try = {
  /** Fires when the step is out of time, or when nobody wants it any more. Nothing may be done to the world after it fired. */
  readonly signal: AbortSignal;
  /** 1 on the first try. */
  readonly attempt: number;
  /** The same for each try at this step of this run, and for no other: what a server is given so that it does it once. */
  readonly key: string;
};

/**
 * What a step does to the world, and what is known of doing it twice. "idempotent": whoever gets the same key again does it once, so it
 * is sent again. "ambiguous": neither can one ask, so when nobody knows, the owner is asked. `look`: tells whether it happened under that
 * key, and what came of it.
 */
export type Effect<T> =
  | "idempotent"
  | "ambiguous"
  | { readonly look: (key: string, signal: AbortSignal) => Promise<{ readonly value: T } | undefined> };

export type StepOptions<T> = {
  /** For people. */
  readonly label?: string;
  /** What the step depends on. When it is another one on a later way through, the code is another one. */
  readonly input?: Json;
  /** Tries in all, the first included; 7 when absent. Waits are those of jobs. */
  readonly retry?: { readonly attemptsMax: number };
  /** One try; 10 minutes when absent, 6 hours at most. */
  readonly timeoutMs?: number;
  readonly effect?: Effect<T>;
};

/** What was said to a run. */
export type Signal = { readonly kind: string; readonly body: Json; readonly from: string; readonly at: number };

/**
 * What a run is written with. Its code is run from the top again and again, and what it did before is answered from memory: so it may
 * only depend on its arguments and on what these return. Await each before the next; side by side only in `parallel`.
 */
export type RunContext = {
  readonly runId: string;
  /** When it began; milliseconds since 1970. */
  readonly startedAt: number;
  /** Fires when this worker is to leave the run. */
  readonly signal: AbortSignal;
  /**
   * Does something once and remembers what came of it, as JSON. A try that fails is tried again unless it cannot help; when it fails for
   * good this throws a NikaError, every time.
   */
  step<T extends Json | undefined | void>(
    key: string,
    work: (attempt: Try) => Promise<T> | T,
    options?: StepOptions<T>,
  ): Promise<T>;
  /** Waits that many milliseconds, or until that moment, without holding anything. */
  sleep(key: string, until: number | Date): Promise<void>;
  /** Waits for a signal of that kind that has everything in `match`; undefined when none came within `timeoutMs`. */
  waitSignal(kind: string, match?: Json, timeoutMs?: number): Promise<Signal | undefined>;
  /** Begins another run and waits for what comes of it. Throws what it failed with, `cancelled` when it was stopped. */
  spawn<T extends Json | undefined>(name: string, args: Json, options?: { readonly label?: string }): Promise<T>;
  /**
   * Branches side by side, each with steps of its own. Waits for all of them; then, if some failed, throws the error of the first of these
   * in the order in which they are written.
   */
  parallel<B extends Readonly<Record<string, (context: RunContext) => Promise<unknown>>>>(
    branches: B,
  ): Promise<{ [K in keyof B]: Awaited<ReturnType<B[K]>> }>;
};

export type RunOptions<Args, Needs extends keyof Ports> = {
  /** What its steps may touch. */
  readonly needs?: readonly Needs[];
  /** Goes up when runs that are under way cannot go on with the code as it is now, although their steps look the same. 1 when absent. */
  readonly version?: number;
  /** Earlier versions that it can go on with. */
  readonly continues?: readonly number[];
  /** Arguments as they are; throws a NikaError when they are not. */
  readonly parse?: (args: unknown) => Args;
};

export type RunDefinition<Args = unknown, Needs extends keyof Ports = keyof Ports> = {
  readonly name: string;
  readonly handler: (context: RunContext, args: Args, ports: Pick<Ports, Needs>) => Promise<unknown>;
  readonly options: RunOptions<Args, Needs>;
};
// oxlint-disable-next-line typescript/no-explicit-any -- the only way to say "some arguments, some needs" of a contravariant type
export type AnyRunDefinition = RunDefinition<any, any>;

/** A function of many steps that outlives its process: what it has done is not done again, whatever happens to whoever runs it. */
export function defineRun<Args = Json, const Needs extends keyof Ports = never>(
  name: string,
  handler: (context: RunContext, args: Args, ports: Pick<Ports, Needs>) => Promise<unknown>,
  options: RunOptions<Args, Needs> = {},
): RunDefinition<Args, Needs> {
  return { name, handler, options };
}

type Extent = {
  /** Whether trying again can help; what the code says when absent. */
  readonly retry?: boolean;
  /** Who refused it said when to come back. */
  readonly retryAfterMs?: number;
  /** It certainly did not happen; when absent it did not if it was refused for good, and nobody knows otherwise. */
  readonly isUnsent?: boolean;
  readonly cause?: unknown;
};

/** What a step throws when it knows more than a code can say. */
export class StepError extends NikaError {
  readonly retry: boolean;
  readonly retryAfterMs: number | undefined;
  readonly isUnsent: boolean;

  constructor(code: Code, message: string, { retry, retryAfterMs, isUnsent, cause }: Extent = {}) {
    super(code, message, { cause });
    this.retry = retry ?? (retryAfterMs !== undefined || codes[code].retry);
    this.retryAfterMs = retryAfterMs;
    this.isUnsent = isUnsent ?? isRefusal(code);
  }
}

/** Whoever refused it for good did not do it. Of a mistake of ours, or of being stopped, nobody knows. */
export const isRefusal = (code: Code): boolean => !codes[code].retry && code !== "bug" && code !== "cancelled";
