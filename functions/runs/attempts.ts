/** The work of steps: begun, bounded in time, stopped with the run, and turned into what is written down of it. */
import { codes, isNikaError, NikaError, toNikaError } from "../../convex/model/error.ts";
import type { StepRecord, Tried, Value } from "../../convex/model/run.ts";
import { isRefusal, StepError, type StepOptions, type Try } from "../defineRun.ts";

const timeoutMs = 10 * 60_000;
const timeoutMsMax = 6 * 3_600_000;
/** What was told to stop gets this long. */
const stopMs = 10_000;
/** What is told to nobody. */
export const never = new Promise<never>(() => undefined);

export type Attempt<T> = {
  readonly work: (attempt: Try) => Promise<T> | T;
  readonly options: StepOptions<T>;
  readonly keyOf: () => string;
  /** Begun in this life: how far it came in another one nobody knows. */
  readonly isOurs: boolean;
  readonly mayHaveHappened: boolean;
};

export type AttemptsOptions = {
  readonly runId: string;
  /** Keeps JSON of any size. */
  readonly keep: (json: string) => Promise<Value>;
  readonly log: (line: string) => void;
  /** Fires when the run is left. */
  readonly closing: AbortSignal;
};

/** Every try of one way through a run. */
export class Attempts {
  readonly #options: AttemptsOptions;
  /** Steps' own work, which may go on after nobody waits for it any more. */
  readonly #working = new Set<Promise<void>>();

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  /** Tries a step once. Never ends when the run is left meanwhile. */
  async once<T>(record: StepRecord, attempt: Attempt<T>): Promise<{ readonly tried: Tried; readonly value?: unknown }> {
    const { options, keyOf, isOurs, mayHaveHappened } = attempt;
    const { effect } = options;
    if (effect === "ambiguous" && !isOurs) return { tried: { type: "unknown" } };
    const { closing } = this.#options;
    const controller = new AbortController();
    const { signal } = controller;
    const stopped = Promise.withResolvers<never>();
    const stop = (): void => {
      stopped.reject(closing.reason);
      controller.abort(closing.reason);
    };
    const timer = setTimeout(
      () => {
        const outOfTime = new StepError("timeout", "It took longer than it may.");
        stopped.reject(outOfTime);
        controller.abort(outOfTime);
      },
      Math.min(options.timeoutMs ?? timeoutMs, timeoutMsMax),
    );
    closing.addEventListener("abort", stop, { once: true });
    const work = async (): Promise<T> => {
      const found = typeof effect === "object" && mayHaveHappened ? await effect.look(keyOf(), signal) : undefined;
      return found
        ? found.value
        : await attempt.work({
            signal,
            attempt: record.attempts + 1,
            get key() {
              return keyOf();
            },
          });
    };
    // What ignores its signal is left alone; it is not heard any more.
    const working = work();
    const ended = working.then(
      () => void this.#working.delete(ended),
      () => void this.#working.delete(ended),
    );
    this.#working.add(ended);
    try {
      const value = await Promise.race([working, stopped.promise]);
      const kept = await this.kept(value, `What “${record.path}” returned`);
      return { tried: { type: "done", ...(kept && { value: kept }) }, value: sameAsKept(value) };
    } catch (thrown) {
      if (closing.aborted) return never;
      // Out of time whatever it said when it was told so.
      return { tried: this.#failure(signal.aborted ? signal.reason : thrown) };
    } finally {
      clearTimeout(timer);
      closing.removeEventListener("abort", stop);
    }
  }

  /** Waits until what was told to stop has stopped, or had time to. */
  async settled(): Promise<void> {
    await settledWithin(this.#working, stopMs);
  }

  #failure(thrown: unknown): Tried {
    const error = this.told(thrown);
    const isDetailed = error instanceof StepError;
    return {
      type: "failed",
      code: error.code,
      message: error.message,
      retry: isDetailed ? error.retry : codes[error.code].retry,
      isUnsent: isDetailed ? error.isUnsent : isRefusal(error.code),
      ...(isDetailed && error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
    };
  }

  /** What is no error of ours is for the log. */
  told(thrown: unknown): NikaError {
    const error = toNikaError(thrown);
    if (!isNikaError(thrown))
      this.#options.log(
        `run ${this.#options.runId}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
      );
    return error;
  }

  /** What a step or the run returned, as it is kept; undefined for nothing. Fails with `bug` on what JSON does not know. */
  async kept(value: unknown, what: string): Promise<Value | undefined> {
    let json: string | undefined;
    try {
      json = JSON.stringify(value);
    } catch (cause) {
      throw new NikaError("bug", `${what} cannot be kept as JSON.`, { cause });
    }
    return json === undefined ? undefined : this.#options.keep(json);
  }
}

/** What the handler sees the first time is what it sees each time after. */
function sameAsKept(value: unknown): unknown {
  const json = JSON.stringify(value);
  return json === undefined ? undefined : JSON.parse(json);
}

async function settledWithin(active: ReadonlySet<Promise<unknown>>, ms: number): Promise<void> {
  if (active.size === 0) return;
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, ms);
  await Promise.race([Promise.allSettled(active), limit.promise]);
  clearTimeout(timer);
}
