/** Runs: what the owner sees of them and may do to them, and how a worker advances them. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import { isOpen, vFailure } from "./model/job.ts";
import {
  startable,
  vAsked,
  vRunDetail,
  vRunProblem,
  vRunState,
  vRunView,
  vStepRecord,
  vStepSpec,
  vTried,
  vValue,
  type RunView,
  type StepView,
  type Value,
} from "./model/run.ts";
import { checkpoint, findMine } from "./turn/checkpoint.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import {
  cancelRun,
  mustGetRun,
  parkRun,
  putToWork,
  restartRun,
  resumeRun,
  startRun,
  stopChildren,
  wakeInTime,
} from "./turn/run.ts";
import { toRecord } from "./turn/runStep.ts";

const listedMax = 200;
/** Steps of one run that a page shows. */
const shownMax = 1_000;
/** What a timeline shows of a result. */
const previewChars = 400;
/** Behind this the call that was to wake a run is taken to be lost. */
const overdueMs = 5_000;
const checkedMax = 200;
const pageMax = 256;
const boundariesMax = 256;

/** Those that nobody else began: open ones first, then those that ended, the latest first. Of one state, if given. */
export const list = ownerQuery({
  args: { limit: v.optional(v.number()), state: v.optional(vRunState) },
  returns: v.array(vRunView),
  handler: async (ctx, { limit = 50, state }) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > listedMax)
      throw new NikaError("invalid", `The limit must be from 1 to ${listedMax}.`);
    if (state) {
      const found = ctx.db.query("runs").withIndex("by_state", (q) => q.eq("state", state));
      return (await found.order("desc").take(limit)).map(toView);
    }
    const open = ctx.db.query("runs").withIndex("by_parent", (q) => q.eq("parentId", undefined).eq("endedAt", undefined));
    const runs = await open.order("desc").take(limit);
    const ended = ctx.db.query("runs").withIndex("by_parent", (q) => q.eq("parentId", undefined).gt("endedAt", 0));
    if (runs.length < limit) runs.push(...(await ended.order("desc").take(limit - runs.length)));
    return runs.map(toView);
  },
});

/** One run with its steps, in the order in which they began; null when there is none. */
export const get = ownerQuery({
  args: { id: v.string() },
  returns: v.union(vRunDetail, v.null()),
  handler: async (ctx, { id }) => {
    const runId = ctx.db.normalizeId("runs", id);
    const run = runId && (await ctx.db.get(runId));
    if (!run) return null;
    const rows = await ctx.db
      .query("steps")
      .withIndex("by_run", (q) => q.eq("runId", runId).eq("life", run.life))
      .take(shownMax);
    const unread = await ctx.db
      .query("signals")
      .withIndex("by_run", (q) => q.eq("runId", runId).eq("stepId", undefined))
      .take(shownMax);
    const steps = await Promise.all(rows.map((step) => toStepView(ctx, step)));
    return { ...toView(run), args: run.args, life: run.life, steps, unread: unread.length };
  },
});

/** Begins one of the runs that the owner may begin. `args` is one JSON object. */
export const start = ownerMutation({
  args: { name: v.string(), args: v.string(), label: v.optional(v.string()) },
  returns: v.id("runs"),
  handler: async (turn, { name, args, label }) => {
    if (!startable.some((one) => one === name))
      throw new NikaError("missing", `There is no run ${name.slice(0, 60)} to begin; there is ${startable.join(", ")}.`);
    return startRun(turn, { name, args: toJson(args, "The arguments"), label });
  },
});

/** With everything it began. What is just being sent may still arrive. */
export const cancel = ownerMutation({
  args: { id: v.id("runs") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    const run = await mustGetRun(turn, id);
    if (run.endedAt !== undefined) throw new NikaError("conflict", "That run has ended.");
    await cancelRun(turn, run);
    return null;
  },
});

/** A parked run is tried again from where it is. */
export const resume = ownerMutation({
  args: { id: v.id("runs") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await resumeRun(turn, await mustGetRun(turn, id));
    return null;
  },
});

/** It begins anew; what it has sent is sent again. */
export const restart = ownerMutation({
  args: { id: v.id("runs") },
  returns: v.null(),
  handler: async (turn, { id }) => {
    await restartRun(turn, await mustGetRun(turn, id));
    return null;
  },
});

/** As `start`, for the appliance and for any name. */
export const begin = systemMutation({
  args: { name: v.string(), args: v.string(), label: v.optional(v.string()) },
  returns: v.id("runs"),
  handler: (turn, { name, args, label }) => startRun(turn, { name, args, label }),
});

const vHold = { runId: v.id("runs"), jobId: v.id("jobs"), token: v.string() };

/** What a worker needs to go on with a run that is its own, a page of steps at a time; null when it is not. */
export const load = systemQuery({
  args: { ...vHold, cursor: v.union(v.string(), v.null()) },
  returns: v.union(
    v.object({
      name: v.string(),
      label: v.string(),
      args: v.string(),
      version: v.optional(v.number()),
      life: v.number(),
      startedAt: v.number(),
      steps: v.array(vStepRecord),
      cursor: v.union(v.string(), v.null()),
    }),
    v.null(),
  ),
  handler: async (ctx, { cursor, ...hold }) => {
    const run = await findMine(ctx as unknown as Pick<Turn, "db">, hold);
    if (!run) return null;
    const page = await ctx.db
      .query("steps")
      .withIndex("by_run", (q) => q.eq("runId", run._id).eq("life", run.life))
      .paginate({ cursor, numItems: pageMax });
    return {
      name: run.name,
      label: run.label,
      args: run.args,
      life: run.life,
      startedAt: run._creationTime,
      ...(run.version !== undefined && { version: run.version }),
      steps: await Promise.all(page.page.map((step) => toRecord(ctx, step))),
      cursor: page.isDone ? null : page.continueCursor,
    };
  },
});

const vBoundary = v.object({
  ...vHold,
  version: v.number(),
  ended: v.array(v.object({ stepId: v.id("steps"), tried: vTried })),
  again: v.array(v.id("steps")),
  begun: v.array(v.object({ spec: vStepSpec, asked: vAsked })),
  looks: v.boolean(),
  next: v.optional(
    v.union(
      v.object({ type: v.literal("suspended") }),
      v.object({ type: v.literal("done"), value: v.optional(vValue) }),
      v.object({ type: v.literal("failed"), error: vFailure }),
      v.object({ type: v.literal("parked"), problem: vRunProblem }),
    ),
  ),
});

/**
 * What runs of one worker did since their last boundaries, and what begins: of several runs in one commit. `isCurrent` is false, and
 * nothing of that run was written, when its job holds it no longer.
 */
export const advance = systemMutation({
  args: { boundaries: v.array(vBoundary) },
  returns: v.array(
    v.object({
      isCurrent: v.boolean(),
      begun: v.array(v.id("steps")),
      changed: v.array(vStepRecord),
      isSuspended: v.boolean(),
    }),
  ),
  handler: async (turn, { boundaries }) => {
    if (boundaries.length > boundariesMax) throw new NikaError("invalid", `At most ${boundariesMax} boundaries at a time.`);
    const answers = [];
    for (const boundary of boundaries) answers.push(await checkpoint(turn, boundary));
    return answers;
  },
});

/** Goes up when something came for a run that is being advanced. */
export const news = systemQuery({
  args: { runId: v.id("runs") },
  returns: v.number(),
  handler: async (ctx, { runId }) => (await ctx.db.get(runId))?.news ?? 0,
});

/** The time that it waits for. */
export const wake = systemMutation({
  args: { runId: v.id("runs") },
  returns: v.null(),
  handler: async (turn, { runId }) => {
    const run = await turn.db.get(runId);
    if (run) await wakeInTime(turn, run);
    return null;
  },
});

/** The job that advanced it ended in another way than by its work: the owner stopped it, or it was given up. */
export const advanceEnded = systemMutation({
  args: { runId: v.id("runs"), jobId: v.id("jobs"), isDead: v.boolean() },
  returns: v.null(),
  handler: async (turn, { runId, jobId, isDead }) => {
    const run = await turn.db.get(runId);
    if (run?.state !== "running" || run.jobId !== jobId) return null;
    if (!isDead) await cancelRun(turn, run);
    else {
      const why = (await turn.db.get(jobId))?.error?.message ?? "It failed too often.";
      await parkRun(turn, run, { type: "stuck", message: why, diff: [] });
    }
    return null;
  },
});

/** The rest of many children of a run that was stopped. */
export const stopRest = systemMutation({
  args: { runId: v.id("runs") },
  returns: v.null(),
  handler: async (turn, { runId }) => {
    if (await stopChildren(turn, runId)) await turn.scheduler.runAfter(0, internal.runs.stopRest, { runId });
    return null;
  },
});

/** Each minute, should a call have been lost: overdue runs are woken, and none is left without a job. */
export const check = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const overdue = await turn.db
      .query("runs")
      .withIndex("by_state", (q) =>
        q
          .eq("state", "waiting")
          .gt("wakeAt", 0)
          .lte("wakeAt", turn.now - overdueMs),
      )
      .take(checkedMax);
    for (const run of overdue) await wakeInTime(turn, run);
    const running = await turn.db
      .query("runs")
      .withIndex("by_state", (q) => q.eq("state", "running"))
      .take(checkedMax);
    for (const run of running) {
      const job = run.jobId && (await turn.db.get(run.jobId));
      if (!job || !isOpen(job.state)) await putToWork(turn, run);
    }
    return null;
  },
});

/** Any JSON, in its shortest form. */
function toJson(text: string, what: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (cause) {
    throw new NikaError("invalid", `${what} must be JSON, such as {"name": "value"}.`, { cause });
  }
}

function toView(run: Doc<"runs">): RunView {
  const { _id: id, _creationTime: createdAt, name, label, state, endedAt, wakeAt, parentId, error, problem, asks, result } = run;
  const shown = previewOf(result);
  return {
    id,
    name,
    label,
    state,
    createdAt,
    asks,
    ...(endedAt !== undefined && { endedAt }),
    ...(wakeAt !== undefined && { wakeAt }),
    ...(parentId && { parentId }),
    ...(error && { error }),
    ...(problem && { problem }),
    ...(shown !== undefined && { result: shown }),
  };
}

async function toStepView(ctx: QueryCtx, step: Doc<"steps">): Promise<StepView> {
  const { _id: id, path, label, type, state, attempts, startedAt, endedAt, waitFor, error, value, effectId, childId } = step;
  const effect: Doc<"effects"> | null = effectId ? await ctx.db.get(effectId) : null;
  const result = previewOf(value);
  return {
    id,
    path,
    type,
    state,
    attempts,
    startedAt,
    ...(label !== undefined && { label }),
    ...(endedAt !== undefined && { endedAt }),
    ...(waitFor && { waitFor }),
    ...(error && { error }),
    ...(result !== undefined && { result }),
    ...(effect && { effect: { class: effect.class, state: effect.state, key: effect.key } }),
    ...(childId && { childId }),
  };
}

function previewOf(value: Value | undefined): string | undefined {
  if (!value) return undefined;
  if (value.type === "file") return `(${value.sizeBytes} bytes)`;
  return value.text.length > previewChars ? `${value.text.slice(0, previewChars)}…` : value.text;
}
