/**
 * Runs on the control plane's own functions in memory, advanced by hand: the clock stands still unless it is moved, and a worker dies when
 * the test says so.
 */
import assert from "node:assert/strict";
import { mock } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { RunDetail, StepView } from "../../../convex/model/run.ts";
import type { Ports } from "../../../functions/define.ts";
import type { AnyRunDefinition } from "../../../functions/defineRun.ts";
import type { State } from "../../../functions/ports/state.ts";
import { advanceRuns } from "../../../functions/runs/advance.ts";
import { joinWorker, type Worker } from "../../contracts/lab.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

export const start = Date.UTC(2026, 10, 21, 9);

/** The process of a worker is gone: nothing it does from now on reaches anybody. */
export class Died extends Error {}

export type Stage = {
  readonly state: FakeState;
  /** What runs are made of from now on: a deploy. */
  deploy(...definitions: readonly AnyRunDefinition[]): void;
  begin(name: string, args?: unknown): Promise<Id<"runs">>;
  /** Every job there is, each to its end, until none is due. True when the worker died on the way; then another one takes its place. */
  work(): Promise<boolean>;
  /** Time goes by, and what is due is woken. */
  pass(ms: number): Promise<void>;
  get(id: Id<"runs">): Promise<RunDetail>;
  step(id: Id<"runs">, path: string): Promise<StepView>;
  /** Called before and after each write of a worker, and by steps of the test wherever they may die. Throws to die. */
  at: (point: string) => void;
  /** Writes of steps so far. */
  readonly writes: { count: number };
};

export function openStage(...definitions: readonly AnyRunDefinition[]): Stage {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: start });
  const state = openFakeState();
  const writes = { count: 0 };
  let advance = advanceRuns(definitions);
  let worker: Worker | undefined;

  const stage: Stage = {
    state,
    writes,
    at: () => undefined,
    deploy(...next) {
      advance = advanceRuns(next);
    },
    begin: (name, args = null) => state.mutation(internal.runs.begin, { name, args: JSON.stringify(args) }),
    async work() {
      worker ??= await joinWorker(state);
      for (;;) {
        const [job] = await worker.claim(1);
        if (!job) return false;
        if (job.kind !== "runs.advance") {
          await worker.settle(job, { type: "done" });
          continue;
        }
        if (!(await advanceOnce(job, worker))) {
          worker = await joinWorker(state);
          return true;
        }
      }
    },
    async pass(ms) {
      mock.timers.tick(ms);
      // It did not say that it lives, for nobody beats here.
      worker = undefined;
      await state.mutation(internal.workers.check, {});
      const waiting = await state.owner.query(api.runs.list, { state: "waiting", limit: 200 });
      for (const { id } of waiting) await state.mutation(internal.runs.wake, { runId: id });
    },
    async get(id) {
      const run = await state.owner.query(api.runs.get, { id });
      assert(run);
      return run;
    },
    async step(id, path) {
      const step = (await stage.get(id)).steps.find((one) => one.path === path);
      assert(step, `no step ${path}`);
      return step;
    },
  };

  /** False when the worker died. */
  async function advanceOnce(job: { jobId: Id<"jobs">; token: string }, by: Worker): Promise<boolean> {
    const controller = new AbortController();
    const dead = Promise.withResolvers<never>();
    const die = (point: string): void => {
      if (controller.signal.aborted) throw new Died(point);
      try {
        stage.at(point);
      } catch (error) {
        dead.reject(error);
        controller.abort(error);
        throw error;
      }
    };
    const mortal: State = {
      ...state,
      async mutation(f, args) {
        die("before a write");
        const answer = await state.mutation(f, args);
        writes.count += 1;
        die("after a write");
        return answer;
      },
    };
    current = die;
    const row = await state.run((ctx) => ctx.db.get(job.jobId));
    assert(row && row.kind === "runs.advance" && "runId" in row.args);
    const call = { ...job, args: row.args, attempt: 1, signal: controller.signal, progress: () => undefined };
    const ports = { state: mortal, files: {} } as unknown as Ports;
    try {
      const outcome = await Promise.race([advance.run(call, ports), dead.promise]);
      await by.settle(job, outcome);
      return true;
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      return false;
    }
  }
  let current: (point: string) => void = () => undefined;
  return Object.defineProperty(stage, "die", { value: (point: string) => current(point) });
}

/** A step of the test may die here. */
export const mayDie = (stage: Stage, point: string): void => (stage as Stage & { die: (point: string) => void }).die(point);

/** Until the run has ended or waits for somebody, with time going by whenever it waits for that. */
export async function through(stage: Stage, id: Id<"runs">, roundsMax = 200): Promise<RunDetail> {
  for (let round = 0; round < roundsMax; round += 1) {
    await stage.work();
    const run = await stage.get(id);
    if (run.endedAt !== undefined || run.state === "parked" || run.asks > 0) return run;
    await stage.pass(run.wakeAt === undefined ? 20 * 60_000 : Math.max(1, run.wakeAt - Date.now()));
  }
  return stage.get(id);
}
