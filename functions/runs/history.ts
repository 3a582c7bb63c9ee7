/** What a run did before, and whether its code asks for the same things in the same order now. */
import { NikaError } from "../../convex/model/error.ts";
import { stepKeyPattern, stepsMax, type StepRecord, type StepSpec, type StepType } from "../../convex/model/run.ts";
import type { Json } from "../defineRun.ts";
import type { Next } from "./checkpointer.ts";
import { changedProblem } from "./diff.ts";
import { hashOf } from "./hash.ts";

/** One level of a run's code: the top, or a branch of `parallel`. In each one thing happens after the other. */
export type Scope = { readonly path: string; readonly used: Map<string, number>; n: number; isBusy: boolean; isBeyond: boolean };

export const scopeAt = (path: string): Scope => ({ path, used: new Map(), n: 0, isBusy: false, isBeyond: false });

export type AskedStep = Pick<StepSpec, "label" | "effect" | "attemptsMax"> & {
  readonly key: string;
  readonly type: StepType;
  readonly input?: Json;
};

/** Steps by their path and by their place in their scope; what is asked for is held against them. */
export class History {
  /** As it was when this way through began. */
  readonly #steps: readonly StepRecord[];
  readonly #recorded = new Map<string, StepRecord>();
  readonly #byScope = new Map<string, StepRecord[]>();
  readonly #seen = new Set<string>();

  constructor(steps: readonly StepRecord[]) {
    this.#steps = steps;
    for (const step of steps) {
      this.#recorded.set(step.path, step);
      const own = this.#byScope.get(step.scope) ?? [];
      own[step.n] = step;
      this.#byScope.set(step.scope, own);
    }
  }

  /** Undefined when the run has not begun that step yet. */
  get(path: string): StepRecord | undefined {
    return this.#recorded.get(path);
  }

  /** The control plane wrote this down. */
  set(record: StepRecord): void {
    this.#recorded.set(record.path, record);
  }

  /** As they are now. */
  records(): StepRecord[] {
    return [...this.#recorded.values()];
  }

  /**
   * The next step of a scope, or how the run is to be left instead. `begun` steps are on their way and not recorded yet. Fails with `bug`
   * on a bad key.
   */
  ask(
    scope: Scope,
    { key, type, input, ...more }: AskedStep,
    begun: number,
  ): { readonly spec: StepSpec } | { readonly next: Next } {
    const path = this.nameIn(scope, key);
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
      return { next: this.#changed({ scope: scope.path, n, asked: spec }) };
    }
    this.#seen.add(path);
    if (!was && !scope.isBeyond) {
      scope.isBeyond = true;
      // Everything that was done below this point belongs before it.
      const next = this.leftOut(scope.path, spec);
      if (next) return { next };
    }
    if (!was && this.#recorded.size + begun >= stepsMax) {
      const message = `A run takes ${stepsMax} steps at most; have it begin others for parts of the work.`;
      return { next: { type: "failed", error: { code: "full", message } } };
    }
    return { spec };
  }

  /** Its path: the key is numbered when it comes again. Fails with `bug` on a bad key. */
  nameIn({ path, used }: Scope, key: string): string {
    mustBeKey(key);
    const times = (used.get(key) ?? 0) + 1;
    used.set(key, times);
    return `${path}${key}${times === 1 ? "" : `#${times}`}`;
  }

  /** What was done before in this scope or below it, and was not asked for on this way through. */
  leftOut(path: string, asked?: StepSpec): Next | undefined {
    for (const step of this.#steps)
      if (step.path.startsWith(path) && !this.#seen.has(step.path))
        return this.#changed({ scope: step.scope, n: step.n, asked: asked?.scope === step.scope ? asked : undefined });
    return undefined;
  }

  #changed(where: Parameters<typeof changedProblem>[1]): Next {
    return { type: "parked", problem: changedProblem(this.#steps, where) };
  }
}

function mustBeKey(key: string): void {
  if (!stepKeyPattern.test(key))
    throw new NikaError("bug", `“${key.slice(0, 80)}” cannot name a step: 1 to 80 characters, none of them / or #.`);
}
