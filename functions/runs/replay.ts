import { NikaError, type Code } from "../../convex/model/error.ts";
import type { Asked, StepRecord, StepSpec, Value } from "../../convex/model/run.ts";
import type { Effect, Json, RunContext, Signal, StepOptions, Try } from "../defineRun.ts";
import { Attempts, never } from "./attempts.ts";
import type { Answer, Next, Part } from "./checkpointer.ts";
import { Exchange, type Leave } from "./exchange.ts";
import { effectKey } from "./hash.ts";
import { History, scopeAt, type AskedStep, type Scope } from "./history.ts";

export type ReplayOptions = {
  readonly run: { readonly id: string; readonly life: number; readonly startedAt: number };
  /** What it did before. */
  readonly steps: readonly StepRecord[];
  readonly send: (part: Part) => Promise<Answer>;
  /** Keeps JSON of any size. */
  readonly keep: (json: string) => Promise<Value>;
  /** JSON that is kept in a file. */
  readonly read: (url: string) => Promise<string>;
  /** Calls back when something came that the run may wait for. */
  readonly watch: (onNews: () => void) => () => void;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
};

/** Runs a handler from its top: what was done is answered from memory, what was not is done, until it ends or only waits. */
export class Replay {
  readonly #options: ReplayOptions;
  readonly #closing = new AbortController();
  readonly #history: History;
  readonly #exchange: Exchange;
  readonly #attempts: Attempts;

  constructor(options: ReplayOptions) {
    this.#options = options;
    const { run, steps, send, keep, watch, log } = options;
    const { signal: closing } = this.#closing;
    this.#history = new History(steps);
    this.#exchange = new Exchange(this.#history, { send, watch, closing });
    this.#attempts = new Attempts({ runId: run.id, keep, log, closing });
  }

  /** Fails with the signal's reason when that fires, once the steps under way have stopped or had time to. */
  async run(handler: (context: RunContext) => Promise<unknown>): Promise<Leave> {
    const { signal } = this.#options;
    const stop = (): void => this.#exchange.fail(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const root = scopeAt("");
    void this.#finish(root, handler);
    this.#exchange.touch();
    try {
      return await this.#exchange.over;
    } finally {
      signal.removeEventListener("abort", stop);
      this.#closing.abort(signal.aborted ? signal.reason : undefined);
      this.#exchange.close();
      await this.#attempts.settled();
    }
  }

  async #finish(root: Scope, handler: (context: RunContext) => Promise<unknown>): Promise<void> {
    const next = await this.#outcomeOf(root, handler);
    if (!this.#closing.signal.aborted) this.#exchange.leave(next);
  }

  async #outcomeOf(root: Scope, handler: (context: RunContext) => Promise<unknown>): Promise<Next> {
    let next: Next;
    try {
      const result = await handler(this.#contextOf(root));
      const kept = await this.#exchange.during(() => this.#attempts.kept(result, "What the run returned"));
      next = { type: "done", ...(kept && { value: kept }) };
    } catch (thrown) {
      const error = this.#attempts.told(thrown);
      next = { type: "failed", error: { code: error.code, message: error.message } };
    }
    const changed = this.#history.leftOut("");
    if (changed) return changed;
    if (next.type === "done" && (root.isBusy || this.#exchange.isAwaited))
      return { type: "failed", error: { code: "bug", message: "It ended without awaiting one of its steps." } };
    return next;
  }

  #contextOf(scope: Scope): RunContext {
    const { run, signal } = this.#options;
    return {
      runId: run.id,
      startedAt: run.startedAt,
      signal,
      step: (key, work, options = {}) => this.#alone(scope, () => this.#step(scope, key, work, options)),
      sleep: (key, until) =>
        this.#alone(scope, () => {
          const asked = until instanceof Date ? { until: until.getTime() } : { ms: until };
          return this.#wait(scope, { key, type: "sleep", input: asked }, { type: "sleep", ...asked }) as Promise<void>;
        }),
      waitSignal: (kind, match, signalMs) =>
        this.#alone(scope, () => {
          const wanted = match === undefined ? {} : { match: JSON.stringify(match) };
          const asked: Asked = { type: "signal", kind, ...wanted, ...(signalMs !== undefined && { timeoutMs: signalMs }) };
          const input = { match, timeoutMs: signalMs } as unknown as Json;
          return this.#wait(scope, { key: kind, type: "signal", input }, asked) as Promise<Signal | undefined>;
        }),
      spawn: <T>(name: string, args: Json, { label }: { readonly label?: string } = {}) =>
        this.#alone(scope, () => {
          const asked: Asked = { type: "run", name, args: JSON.stringify(args) ?? "null", ...(label !== undefined && { label }) };
          const named = label === undefined ? {} : { label };
          return this.#wait(scope, { key: name, type: "run", input: args, ...named }, asked) as Promise<T>;
        }),
      parallel: (branches) => this.#alone(scope, () => this.#parallel(scope, branches)) as never,
    };
  }

  /** Two things at once in one scope would come in another order the next time. */
  async #alone<T>(scope: Scope, work: () => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) return never;
    if (scope.isBusy)
      throw new NikaError(
        "bug",
        "It began a step before the one before was over; what is to go side by side stands in `parallel`.",
      );
    scope.isBusy = true;
    try {
      return await work();
    } finally {
      scope.isBusy = false;
    }
  }

  async #parallel(
    scope: Scope,
    branches: Readonly<Record<string, (context: RunContext) => Promise<unknown>>>,
  ): Promise<Record<string, unknown>> {
    const names = Object.keys(branches);
    const results = await Promise.allSettled(
      names.map(async (name) => {
        const branch = scopeAt(`${this.#history.nameIn(scope, name)}/`);
        const result = await branches[name]?.(this.#contextOf(branch));
        const changed = this.#history.leftOut(branch.path);
        if (!changed) return result;
        this.#exchange.leave(changed);
        return never;
      }),
    );
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
    return Object.fromEntries(names.map((name, i) => [name, (results[i] as PromiseFulfilledResult<unknown>).value]));
  }

  async #step<T>(scope: Scope, key: string, work: (attempt: Try) => Promise<T> | T, options: StepOptions<T>): Promise<T> {
    const { label, input, retry, effect } = options;
    const spec = this.#ask(scope, {
      key,
      type: "step",
      ...(label !== undefined && { label }),
      ...("input" in options && { input: input as Json }),
      ...(effect !== undefined && { effect: classOf(effect) }),
      ...(retry && { attemptsMax: retry.attemptsMax }),
    });
    if (!spec) return never;
    const { run } = this.#options;
    let known: string | undefined;
    const keyOf = (): string => (known ??= effectKey(run, spec.path));
    let record = this.#history.get(spec.path);
    /** Begun in this life: how far it came in another one nobody knows. */
    let isOurs = false;
    if (!record) {
      record = await this.#exchange.begin(spec, { type: "work", ...(effect !== undefined && { idemKey: keyOf() }) });
      isOurs = true;
    }
    for (;;) {
      switch (record.state) {
        case "done":
          return (await this.#valueOf(record)) as T;
        case "failed":
        case "cancelled":
          throw errorOf(record);
        case "waiting":
          record = await this.#exchange.heard(record.id);
          break;
        case "ready":
          await this.#exchange.beginAgain(record.id);
          isOurs = true;
          record = { ...record, state: "started" };
          break;
        case "started": {
          const at: StepRecord = record;
          const mayHaveHappened = !isOurs || at.attempts > 0;
          const result = await this.#exchange.during(() =>
            this.#attempts.once(at, { work, options, keyOf, isOurs, mayHaveHappened }),
          );
          this.#exchange.end(at.id, result.tried);
          if (result.tried.type === "done") return result.value as T;
          record = await this.#exchange.heard(at.id);
          isOurs = false;
        }
      }
    }
  }

  async #wait(scope: Scope, step: AskedStep, asked: Asked): Promise<unknown> {
    const spec = this.#ask(scope, step);
    if (!spec) return never;
    let record = this.#history.get(spec.path) ?? (await this.#exchange.begin(spec, asked));
    while (record.state === "waiting") record = await this.#exchange.heard(record.id);
    if (record.state !== "done") throw errorOf(record);
    return this.#valueOf(record);
  }

  /** Undefined when the run is to be left. */
  #ask(scope: Scope, step: AskedStep): StepSpec | undefined {
    const asked = this.#history.ask(scope, step, this.#exchange.begun);
    if ("spec" in asked) return asked.spec;
    this.#exchange.leave(asked.next);
    return undefined;
  }

  async #valueOf({ value, url }: StepRecord): Promise<unknown> {
    if (!value) return undefined;
    if (value.type === "text") return JSON.parse(value.text);
    if (url === undefined) throw new NikaError("missing", "A result of this run is gone from the file storage.");
    return JSON.parse(await this.#exchange.during(() => this.#options.read(url)));
  }
}

const classOf = (effect: Effect<unknown>) => (typeof effect === "string" ? effect : "reconcilable");

function errorOf({ path, error }: StepRecord): NikaError {
  return new NikaError((error?.code ?? "cancelled") as Code, error?.message ?? `“${path}” was stopped.`);
}
