import { isNikaError, NikaError, codes, toNikaError, type Code } from "../../convex/model/error.ts";
import {
  stepKeyPattern,
  stepsMax,
  type Asked,
  type StepRecord,
  type StepSpec,
  type StepType,
  type Tried,
  type Value,
} from "../../convex/model/run.ts";
import {
  isRefusal,
  StepError,
  type Effect,
  type Json,
  type RunContext,
  type Signal,
  type StepOptions,
  type Try,
} from "../defineRun.ts";
import type { Answer, Boundary } from "./checkpointer.ts";
import { changedProblem } from "./diff.ts";
import { effectKey, hashOf } from "./hash.ts";

type Part = Pick<Boundary, "ended" | "again" | "begun" | "looks" | "next">;
type Next = NonNullable<Boundary["next"]>;

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

/** suspended: it waits. ended: with an outcome, or put aside. lost: it is in other hands. */
export type Leave = "suspended" | "ended" | "lost";

/** One level of a run's code: the top, or a branch of `parallel`. In each one thing happens after the other. */
type Scope = { readonly path: string; readonly used: Map<string, number>; n: number; isBusy: boolean; isBeyond: boolean };

const timeoutMs = 10 * 60_000;
const timeoutMsMax = 6 * 3_600_000;
/** What a step did is written down with the beginning of the next one; when none begins soon, by itself. */
const lateMs = 20;
const never = new Promise<never>(() => undefined);

/** Runs a handler from its top: what was done is answered from memory, what was not is done, until it ends or only waits. */
export class Replay {
  readonly #options: ReplayOptions;
  readonly #recorded = new Map<string, StepRecord>();
  readonly #byScope = new Map<string, StepRecord[]>();
  readonly #seen = new Set<string>();
  /** Steps that wait to hear what becomes of them, by id. */
  readonly #awaiting = new Map<string, (record: StepRecord) => void>();
  readonly #closing = new AbortController();
  readonly #over = Promise.withResolvers<Leave>();
  /** What keeps the run from being left. */
  #active = 0;
  /** Steps' own work, which may go on after nobody waits for it any more. */
  readonly #working = new Set<Promise<void>>();
  #ended: Part["ended"] = [];
  #again: { readonly id: StepRecord["id"]; readonly told: () => void }[] = [];
  #begun: { readonly spec: StepSpec; readonly asked: Asked; readonly told: () => void }[] = [];
  #next: Next | undefined;
  #looks = false;
  #isUrgent = false;
  #isSending = false;
  #isTurning = false;
  #late: NodeJS.Timeout | undefined;
  #alarm: NodeJS.Timeout | undefined;
  #unwatch: (() => void) | undefined;

  constructor(options: ReplayOptions) {
    this.#options = options;
    for (const step of options.steps) {
      this.#recorded.set(step.path, step);
      const own = this.#byScope.get(step.scope) ?? [];
      own[step.n] = step;
      this.#byScope.set(step.scope, own);
    }
    this.#looks = options.steps.some(({ state }) => state === "waiting");
  }

  /** Fails with the signal's reason when that fires, once the steps under way have stopped or had time to. */
  async run(handler: (context: RunContext) => Promise<unknown>): Promise<Leave> {
    const { signal } = this.#options;
    const stop = (): void => this.#over.reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const root = scopeAt("");
    void this.#finish(root, handler);
    this.#touch();
    try {
      return await this.#over.promise;
    } finally {
      signal.removeEventListener("abort", stop);
      this.#closing.abort(signal.aborted ? signal.reason : undefined);
      clearTimeout(this.#late);
      clearTimeout(this.#alarm);
      this.#unwatch?.();
      await settledWithin(this.#working, stopMs);
    }
  }

  async #finish(root: Scope, handler: (context: RunContext) => Promise<unknown>): Promise<void> {
    const next = await this.#outcomeOf(root, handler);
    if (this.#closing.signal.aborted) return;
    // What was put aside meanwhile stays so.
    this.#next ??= next;
    this.#touch();
  }

  async #outcomeOf(root: Scope, handler: (context: RunContext) => Promise<unknown>): Promise<Next> {
    let next: Next;
    try {
      const result = await handler(this.#contextOf(root));
      const kept = await this.#during(() => this.#kept(result, "What the run returned"));
      next = { type: "done", ...(kept && { value: kept }) };
    } catch (thrown) {
      const error = this.#told(thrown);
      next = { type: "failed", error: { code: error.code, message: error.message } };
    }
    const changed = this.#leftOut("");
    if (changed) return changed;
    if (next.type === "done" && (root.isBusy || this.#awaiting.size > 0 || this.#begun.length > 0))
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
        mustBeKey(name);
        const branch = scopeAt(`${this.#nameIn(scope, name)}/`);
        const result = await branches[name]?.(this.#contextOf(branch));
        const changed = this.#leftOut(branch.path);
        return changed ? this.#leave(changed) : result;
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
    let record = this.#recorded.get(spec.path);
    /** Begun in this life: how far it came in another one nobody knows. */
    let isOurs = false;
    if (!record) {
      record = await this.#begin(spec, { type: "work", ...(effect !== undefined && { idemKey: keyOf() }) });
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
          record = await this.#heard(record.id);
          break;
        case "ready":
          await this.#beginAgain(record.id);
          isOurs = true;
          record = { ...record, state: "started" };
          break;
        case "started": {
          const at: StepRecord = record;
          const mayHaveHappened = !isOurs || at.attempts > 0;
          const result = await this.#during(() => this.#tryOnce(at, { work, options, keyOf, isOurs, mayHaveHappened }));
          this.#ended = [...this.#ended, { stepId: at.id, tried: result.tried }];
          if (result.tried.type !== "done") this.#isUrgent = true;
          this.#touch();
          if (result.tried.type === "done") return result.value as T;
          record = await this.#heard(at.id);
          isOurs = false;
        }
      }
    }
  }

  async #tryOnce<T>(
    record: StepRecord,
    attempt: {
      readonly work: (attempt: Try) => Promise<T> | T;
      readonly options: StepOptions<T>;
      readonly keyOf: () => string;
      readonly isOurs: boolean;
      readonly mayHaveHappened: boolean;
    },
  ): Promise<{ readonly tried: Tried; readonly value?: unknown }> {
    const { options, keyOf, isOurs, mayHaveHappened } = attempt;
    const { effect } = options;
    if (effect === "ambiguous" && !isOurs) return { tried: { type: "unknown" } };
    const { signal: closing } = this.#closing;
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
      const kept = await this.#kept(value, `What “${record.path}” returned`);
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

  #failure(thrown: unknown): Tried {
    const error = this.#told(thrown);
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
  #told(thrown: unknown): NikaError {
    const error = toNikaError(thrown);
    if (!isNikaError(thrown))
      this.#options.log(
        `run ${this.#options.run.id}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
      );
    return error;
  }

  async #wait(scope: Scope, step: AskedStep, asked: Asked): Promise<unknown> {
    const spec = this.#ask(scope, step);
    if (!spec) return never;
    let record = this.#recorded.get(spec.path) ?? (await this.#begin(spec, asked));
    while (record.state === "waiting") record = await this.#heard(record.id);
    if (record.state !== "done") throw errorOf(record);
    return this.#valueOf(record);
  }

  /** Undefined when the run is to be left. */
  #ask(scope: Scope, { key, type, input, ...more }: AskedStep): StepSpec | undefined {
    mustBeKey(key);
    const path = this.#nameIn(scope, key);
    const n = scope.n++;
    const spec: StepSpec = {
      path,
      scope: scope.path,
      n,
      type,
      ...more,
      ...(input !== undefined && { inputHash: hashOf(input) }),
    };
    const was = this.#byScope.get(scope.path)?.[n];
    if (was && (was.path !== path || was.type !== type || was.inputHash !== spec.inputHash)) {
      void this.#leave(this.#changed({ scope: scope.path, n, asked: spec }));
      return undefined;
    }
    this.#seen.add(path);
    if (!was && !scope.isBeyond) {
      scope.isBeyond = true;
      // Everything that was done below this point belongs before it.
      const left = this.#leftOut(scope.path, spec);
      if (left) {
        void this.#leave(left);
        return undefined;
      }
    }
    if (!was && this.#recorded.size + this.#begun.length >= stepsMax) {
      const message = `A run takes ${stepsMax} steps at most; have it begin others for parts of the work.`;
      void this.#leave({ type: "failed", error: { code: "full", message } });
      return undefined;
    }
    return spec;
  }

  #nameIn({ path, used }: Scope, key: string): string {
    const times = (used.get(key) ?? 0) + 1;
    used.set(key, times);
    return `${path}${key}${times === 1 ? "" : `#${times}`}`;
  }

  /** What was done before in this scope or below it, and was not asked for on this way through. */
  #leftOut(path: string, asked?: StepSpec): Next | undefined {
    for (const step of this.#options.steps)
      if (step.path.startsWith(path) && !this.#seen.has(step.path))
        return this.#changed({ scope: step.scope, n: step.n, asked: asked?.scope === step.scope ? asked : undefined });
    return undefined;
  }

  #changed(where: Parameters<typeof changedProblem>[1]): Next {
    return { type: "parked", problem: changedProblem(this.#options.steps, where) };
  }

  /** The handler hears nothing any more. */
  #leave(next: Next): Promise<never> {
    this.#next ??= next;
    this.#touch();
    return never;
  }

  async #begin(spec: StepSpec, asked: Asked): Promise<StepRecord> {
    await new Promise<void>((told) => {
      this.#begun.push({ spec, asked, told });
      this.#touch();
    });
    return this.#recorded.get(spec.path) as StepRecord;
  }

  #beginAgain(id: StepRecord["id"]): Promise<void> {
    return new Promise<void>((told) => {
      this.#again.push({ id, told });
      this.#touch();
    });
  }

  #heard(id: StepRecord["id"]): Promise<StepRecord> {
    return new Promise((resolve) => {
      this.#awaiting.set(id, resolve);
      this.#touch();
    });
  }

  /** While it goes on the run is not only waiting. */
  async #during<T>(work: () => Promise<T>): Promise<T> {
    this.#active += 1;
    try {
      return await work();
    } finally {
      this.#active -= 1;
      this.#touch();
    }
  }

  async #kept(value: unknown, what: string): Promise<Value | undefined> {
    let json: string | undefined;
    try {
      json = JSON.stringify(value);
    } catch (cause) {
      throw new NikaError("bug", `${what} cannot be kept as JSON.`, { cause });
    }
    return json === undefined ? undefined : this.#options.keep(json);
  }

  async #valueOf({ value, url }: StepRecord): Promise<unknown> {
    if (!value) return undefined;
    if (value.type === "text") return JSON.parse(value.text);
    if (url === undefined) throw new NikaError("missing", "A result of this run is gone from the file storage.");
    return JSON.parse(await this.#during(() => this.#options.read(url)));
  }

  /** Once everything that follows at once has been asked for. */
  #touch(): void {
    if (this.#isTurning || this.#closing.signal.aborted) return;
    this.#isTurning = true;
    setImmediate(() => {
      this.#isTurning = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#isSending || this.#closing.signal.aborted) return;
    const isDue = this.#next || this.#begun.length > 0 || this.#again.length > 0 || this.#looks || this.#isUrgent;
    if (!isDue) {
      if (this.#active === 0 && this.#awaiting.size > 0) this.#next = { type: "suspended" };
      else {
        if (this.#ended.length > 0) this.#late ??= setTimeout(() => this.#hurry(), lateMs);
        if (this.#awaiting.size > 0) this.#listen();
        return;
      }
    }
    this.#isSending = true;
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#exchange().then(
      () => {
        this.#isSending = false;
        this.#touch();
      },
      (error: unknown) => this.#over.reject(toUnavailable(error)),
    );
  }

  #hurry(): void {
    this.#late = undefined;
    this.#isUrgent = true;
    this.#touch();
  }

  /** Something else goes on, so the run is not left although parts of it wait. */
  #listen(): void {
    this.#unwatch ??= this.#options.watch(() => this.#look());
    const untils = [...this.#recorded.values()].flatMap(({ id, until }) =>
      until !== undefined && this.#awaiting.has(id) ? [until] : [],
    );
    clearTimeout(this.#alarm);
    if (untils.length > 0)
      this.#alarm = setTimeout(() => this.#look(), Math.min(Math.max(1, Math.min(...untils) - Date.now()), timeoutMsMax));
  }

  #look(): void {
    this.#looks = true;
    this.#touch();
  }

  async #exchange(): Promise<void> {
    const [ended, again, begun, looks, next] = [this.#ended, this.#again, this.#begun, this.#looks, this.#next];
    this.#ended = [];
    this.#again = [];
    this.#begun = [];
    this.#looks = false;
    this.#isUrgent = false;
    const answer = await this.#options.send({
      ended,
      again: again.map(({ id }) => id),
      begun: begun.map(({ spec, asked }) => ({ spec, asked })),
      looks,
      ...(next && { next }),
    });
    if (!answer.isCurrent) return this.#over.resolve("lost");
    if (answer.isSuspended) return this.#over.resolve("suspended");
    if (next && next.type !== "suspended") return this.#over.resolve("ended");
    this.#next = undefined;
    for (const [i, { spec, asked }] of begun.entries()) {
      const state = asked.type === "work" ? ("started" as const) : ("waiting" as const);
      this.#recorded.set(spec.path, { id: answer.begun[i] as StepRecord["id"], ...spec, state, attempts: 0 });
    }
    for (const record of answer.changed) this.#recorded.set(record.path, record);
    for (const { told } of [...begun, ...again]) told();
    for (const record of answer.changed) {
      const tell = this.#awaiting.get(record.id);
      this.#awaiting.delete(record.id);
      tell?.(record);
    }
  }
}

type AskedStep = Pick<StepSpec, "label" | "effect" | "attemptsMax"> & {
  readonly key: string;
  readonly type: StepType;
  readonly input?: Json;
};

/** What was told to stop gets this long. */
const stopMs = 10_000;

const scopeAt = (path: string): Scope => ({ path, used: new Map(), n: 0, isBusy: false, isBeyond: false });

function mustBeKey(key: string): void {
  if (!stepKeyPattern.test(key))
    throw new NikaError("bug", `“${key.slice(0, 80)}” cannot name a step: 1 to 80 characters, none of them / or #.`);
}

const classOf = (effect: Effect<unknown>) => (typeof effect === "string" ? effect : "reconcilable");

/** What the handler sees the first time is what it sees each time after. */
function sameAsKept(value: unknown): unknown {
  const json = JSON.stringify(value);
  return json === undefined ? undefined : JSON.parse(json);
}

function errorOf({ path, error }: StepRecord): NikaError {
  return new NikaError((error?.code ?? "cancelled") as Code, error?.message ?? `“${path}” was stopped.`);
}

function toUnavailable(error: unknown): unknown {
  return isNikaError(error)
    ? error
    : new NikaError("unavailable", "The control plane did not take what the run did.", { cause: error });
}

async function settledWithin(active: ReadonlySet<Promise<unknown>>, ms: number): Promise<void> {
  if (active.size === 0) return;
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, ms);
  await Promise.race([Promise.allSettled(active), limit.promise]);
  clearTimeout(timer);
}
