/** What a run did and asks for, on its way to the control plane, and what it hears back: one boundary at a time, as few as will do. */
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import type { Asked, StepRecord, StepSpec, Tried } from "../../convex/model/run.ts";
import type { Answer, Next, Part } from "./checkpointer.ts";
import type { History } from "./history.ts";

/** What a step did is written down with the beginning of the next one; when none begins soon, by itself. */
const lateMs = 20;
/** What is waited for is looked at after this long at the latest. */
const alarmMsMax = 6 * 3_600_000;

export type ExchangeOptions = {
  readonly send: (part: Part) => Promise<Answer>;
  /** Calls back when something came that the run may wait for. */
  readonly watch: (onNews: () => void) => () => void;
  /** Fires when the run is left. */
  readonly closing: AbortSignal;
};

/** suspended: it waits. ended: with an outcome, or put aside. lost: it is in other hands. */
export type Leave = "suspended" | "ended" | "lost";

/** Collects what happens until a boundary is due, writes it, and tells those who wait what was answered. */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #history: History;
  /** Steps that wait to hear what becomes of them, by id. */
  readonly #awaiting = new Map<string, (record: StepRecord) => void>();
  readonly #over = Promise.withResolvers<Leave>();
  /** What keeps the run from being left. */
  #active = 0;
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

  constructor(history: History, options: ExchangeOptions) {
    this.#history = history;
    this.#options = options;
    this.#looks = history.records().some(({ state }) => state === "waiting");
  }

  /** How the run was left. Fails when the control plane cannot be reached, or with what `fail` was told. */
  get over(): Promise<Leave> {
    return this.#over.promise;
  }

  /** Ends it from outside: `over` fails with this. */
  fail(reason: unknown): void {
    this.#over.reject(reason);
  }

  /** Lets go of its timers and of what it watches. */
  close(): void {
    clearTimeout(this.#late);
    clearTimeout(this.#alarm);
    this.#unwatch?.();
  }

  /** Steps that begin with the next boundary. */
  get begun(): number {
    return this.#begun.length;
  }

  /** Whether steps are begun or wait whose outcome was not heard. */
  get isAwaited(): boolean {
    return this.#awaiting.size > 0 || this.#begun.length > 0;
  }

  /** The run is left with the next boundary. The first word counts: what was put aside stays so. */
  leave(next: Next): void {
    this.#next ??= next;
    this.touch();
  }

  /** What came of one try at a step. */
  end(stepId: StepRecord["id"], tried: Tried): void {
    this.#ended = [...this.#ended, { stepId, tried }];
    if (tried.type !== "done") this.#isUrgent = true;
    this.touch();
  }

  /** Resolves once it is written down that the step begins. */
  async begin(spec: StepSpec, asked: Asked): Promise<StepRecord> {
    await new Promise<void>((told) => {
      this.#begun.push({ spec, asked, told });
      this.touch();
    });
    return this.#history.get(spec.path) as StepRecord;
  }

  /** The same for a step that is tried once more. */
  beginAgain(id: StepRecord["id"]): Promise<void> {
    return new Promise<void>((told) => {
      this.#again.push({ id, told });
      this.touch();
    });
  }

  /** What the control plane says next of a step that waits. */
  heard(id: StepRecord["id"]): Promise<StepRecord> {
    return new Promise((resolve) => {
      this.#awaiting.set(id, resolve);
      this.touch();
    });
  }

  /** While it goes on the run is not only waiting. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#active += 1;
    try {
      return await work();
    } finally {
      this.#active -= 1;
      this.touch();
    }
  }

  /** Once everything that follows at once has been asked for. */
  touch(): void {
    if (this.#isTurning || this.#options.closing.aborted) return;
    this.#isTurning = true;
    setImmediate(() => {
      this.#isTurning = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#isSending || this.#options.closing.aborted) return;
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
    this.#send().then(
      () => {
        this.#isSending = false;
        this.touch();
      },
      (error: unknown) => this.#over.reject(toUnavailable(error)),
    );
  }

  #hurry(): void {
    this.#late = undefined;
    this.#isUrgent = true;
    this.touch();
  }

  /** Something else goes on, so the run is not left although parts of it wait. */
  #listen(): void {
    this.#unwatch ??= this.#options.watch(() => this.#look());
    const untils = this.#history
      .records()
      .flatMap(({ id, until }) => (until !== undefined && this.#awaiting.has(id) ? [until] : []));
    clearTimeout(this.#alarm);
    if (untils.length > 0)
      this.#alarm = setTimeout(() => this.#look(), Math.min(Math.max(1, Math.min(...untils) - Date.now()), alarmMsMax));
  }

  #look(): void {
    this.#looks = true;
    this.touch();
  }

  async #send(): Promise<void> {
    const [ended, again, begun, looks, next] = [this.#ended, this.#again, this.#begun, this.#looks, this.#next];
    this.#ended = [];
    this.#again = [];
    this.#begun = [];
    this.#looks = false;
    this.#isUrgent = false;
    // The run may end while this is being written; that goes with the next one.
    this.#next = undefined;
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
    for (const [i, { spec, asked }] of begun.entries()) {
      const state = asked.type === "work" ? ("started" as const) : ("waiting" as const);
      this.#history.set({ id: answer.begun[i] as StepRecord["id"], ...spec, state, attempts: 0 });
    }
    for (const record of answer.changed) this.#history.set(record);
    for (const { told } of [...begun, ...again]) told();
    for (const record of answer.changed) {
      const tell = this.#awaiting.get(record.id);
      this.#awaiting.delete(record.id);
      tell?.(record);
    }
  }
}

function toUnavailable(error: unknown): unknown {
  return isNikaError(error)
    ? error
    : new NikaError("unavailable", "The control plane did not take what the run did.", { cause: error });
}
