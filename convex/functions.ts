/** Functions that the owner wrote, and their runs. What they are made of lies in the data folder and never comes here. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import {
  deliveriesKeptMs,
  functionsMax,
  inlineCharsMax,
  logCharsMax,
  quantileOf,
  toFunctionName,
  vFunctionReport,
  vFunctionView,
  vInvocationDetail,
  vInvocationState,
  vInvocationView,
  vRunFacts,
  vTrigger,
  type FunctionView,
  type InvocationDetail,
  type InvocationView,
} from "./model/userFunction.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { beginInvocation, count, dropInvocation, findFunction, findLog, insertInvocation } from "./turn/invocation.ts";

const listedMax = 200;
const dropBatch = 100; // One short transaction; the rest follows in the next.
const sweptMax = 3;

/** By name. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vFunctionView),
  handler: async (ctx) => (await ctx.db.query("userFunctions").withIndex("by_name").take(functionsMax)).map(toView),
});

export const get = ownerQuery({
  args: { name: v.string() },
  returns: v.union(vFunctionView, v.null()),
  handler: async (ctx, { name }) => {
    const f = await findFunction(ctx, name);
    return f && toView(f);
  },
});

/** Runs, newest first; of one function, if given. */
export const invocations = ownerQuery({
  args: { name: v.optional(v.string()), limit: v.optional(v.number()) },
  returns: v.array(vInvocationView),
  handler: async (ctx, { name, limit = 50 }) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > listedMax)
      throw new NikaError("invalid", `The limit must be from 1 to ${listedMax}.`);
    const rows = name === undefined ? ctx.db.query("invocations") : ofName(ctx, name);
    return (await rows.order("desc").take(limit)).map(toInvocationView);
  },
});

/** One run with all that is known of it; null when it is gone. */
export const invocation = ownerQuery({
  args: { id: v.string() },
  returns: v.union(vInvocationDetail, v.null()),
  handler: async (ctx, { id }) => {
    const known = ctx.db.normalizeId("invocations", id);
    const row = known && (await ctx.db.get(known));
    return row && toDetail(ctx, row);
  },
});

/** Runs it as a durable job. `input` is JSON text; longer ones are stored first, and `inputId` says where. */
export const invoke = ownerMutation({
  args: { name: v.string(), input: v.optional(v.string()), inputId: v.optional(v.id("_storage")) },
  returns: v.object({ id: v.id("invocations"), jobId: v.id("jobs") }),
  handler: async (turn, { name, input, inputId }) => {
    const { invocationId, jobId } = await beginInvocation(turn, { name, trigger: "owner", ...toInput(input, inputId) });
    return { id: invocationId, jobId };
  },
});

/** Whether it may run without a sandbox where there is none. Nobody but the owner says so, function by function. */
export const allow = ownerMutation({
  args: { name: v.string(), isBare: v.boolean() },
  returns: v.null(),
  handler: async (turn, { name, isBare }) => {
    const f = await mustFind(turn, name);
    await turn.db.patch(f._id, { isBareAllowed: isBare, changedAt: turn.now });
    return null;
  },
});

/** What the appliance needs to know of all of them. */
export const allowed = systemQuery({
  args: {},
  returns: v.array(v.object({ name: v.string(), isBareAllowed: v.boolean() })),
  handler: async (ctx) => {
    const all = await ctx.db.query("userFunctions").withIndex("by_name").take(functionsMax);
    return all.map(({ name, isBareAllowed }) => ({ name, isBareAllowed }));
  },
});

/** By name, those that answer. */
export const names = systemQuery({
  args: {},
  returns: v.array(v.string()),
  handler: async (ctx) => {
    const all = await ctx.db.query("userFunctions").withIndex("by_name").take(functionsMax);
    return all.map(({ name }) => name);
  },
});

/** What lies in the data folder now. What is no longer there is forgotten with its runs, when `isAll`. */
export const report = systemMutation({
  args: { functions: v.array(vFunctionReport), isAll: v.boolean() },
  returns: v.null(),
  handler: async (turn, { functions, isAll }) => {
    for (const one of functions) {
      toFunctionName(one.name);
      const f = await findFunction(turn, one.name);
      const fresh = { isBareAllowed: false, done: 0, failed: 0, recentMs: [], kept: 0 };
      if (!f) {
        await turn.db.insert("userFunctions", { ...fresh, ...one, changedAt: turn.now });
        continue;
      }
      const { _id, _creationTime, isBareAllowed, done, failed, lastError, lastAt, recentMs, kept } = f;
      const own = { isBareAllowed, done, failed, recentMs, kept };
      const told = { ...own, ...(lastError !== undefined && { lastError }), ...(lastAt !== undefined && { lastAt }) };
      // A new version begins with a clean slate: what went wrong with the last one is in its runs.
      const isNew = one.version !== undefined && one.version !== f.version;
      if (isNew) delete told.lastError;
      await turn.db.replace(_id, { ...told, ...(isNew && { recentMs: [] }), ...one, changedAt: turn.now });
    }
    if (!isAll) return null;
    const here = new Set(functions.map(({ name }) => name));
    for (const f of await turn.db.query("userFunctions").collect())
      if (!here.has(f.name)) {
        await turn.db.delete(f._id);
        await dropRuns(turn, f.name);
      }
    return null;
  },
});

/** The rest of what a function left. */
export const drop = systemMutation({
  args: { name: v.string() },
  returns: v.null(),
  handler: async (turn, { name }) => {
    if (!(await findFunction(turn, name))) await dropRuns(turn, name);
    return null;
  },
});

/**
 * A run asked for from outside. A delivery is known by its key: the same one again is the same run, and nothing is done. Fails with
 * `missing` when there is no such function.
 */
export const enqueue = systemMutation({
  args: {
    name: v.string(),
    trigger: vTrigger,
    input: v.optional(v.string()),
    inputId: v.optional(v.id("_storage")),
    deliveryKey: v.optional(v.string()),
  },
  returns: v.object({ id: v.id("invocations"), isNew: v.boolean() }),
  handler: async (turn, { name, trigger, input, inputId, deliveryKey }) => {
    if (deliveryKey !== undefined) {
      const before = await turn.db
        .query("deliveries")
        .withIndex("by_key", (q) => q.eq("name", name).eq("key", deliveryKey))
        .first();
      if (before) {
        if (inputId) await turn.storage.delete(inputId);
        return { id: before.invocationId, isNew: false };
      }
    }
    const { invocationId } = await beginInvocation(turn, { name, trigger, ...toInput(input, inputId) });
    if (deliveryKey !== undefined) {
      const old = await turn.db
        .query("deliveries")
        .withIndex("by_at", (q) => q.lt("at", turn.now - deliveriesKeptMs))
        .take(sweptMax);
      for (const { _id } of old) await turn.db.delete(_id);
      await turn.db.insert("deliveries", { name, key: deliveryKey, invocationId, at: turn.now });
    }
    return { id: invocationId, isNew: true };
  },
});

/** What a run needs; null when it is gone. */
export const forRun = systemQuery({
  args: { id: v.id("invocations") },
  returns: v.union(
    v.object({ name: v.string(), trigger: vTrigger, input: v.optional(v.string()), inputUrl: v.optional(v.string()) }),
    v.null(),
  ),
  handler: async (ctx, { id }) => {
    const row = await ctx.db.get(id);
    if (!row) return null;
    const { name, trigger, input, inputId } = row;
    const inputUrl = inputId && (await ctx.storage.getUrl(inputId));
    return { name, trigger, ...(input !== undefined && { input }), ...(inputUrl && { inputUrl }) };
  },
});

/** What a run says meanwhile. `text` follows what was said before; a new try begins anew. Beyond the bound it is only counted. */
export const say = systemMutation({
  args: { id: v.id("invocations"), attempt: v.number(), text: v.string() },
  returns: v.null(),
  handler: async (turn, { id, attempt, text }) => {
    const row = await turn.db.get(id);
    if (!row || attempt < row.attempt) return null;
    const log = await findLog(turn, id);
    if (row.attempt !== attempt) await turn.db.patch(id, { attempt });
    const before = log?.attempt === attempt ? log : { text: "", dropped: 0 };
    const all = before.text + text;
    const kept = all.slice(0, logCharsMax);
    const said = { invocationId: id, attempt, text: kept, dropped: before.dropped + all.length - kept.length };
    if (log) await turn.db.replace(log._id, said);
    else await turn.db.insert("invocationLogs", said);
    return null;
  },
});

/** A run that somebody waited for, recorded when it was over. */
export const recordCall = systemMutation({
  args: {
    name: v.string(),
    trigger: vTrigger,
    state: vInvocationState,
    input: v.optional(v.string()),
    output: v.optional(v.string()),
    error: v.optional(v.object({ code: v.string(), message: v.string() })),
    facts: v.optional(vRunFacts),
    log: v.string(),
    createdAt: v.number(),
  },
  returns: v.union(v.id("invocations"), v.null()),
  handler: async (turn, { log, ...ran }) => {
    const f = await findFunction(turn, ran.name);
    if (!f) return null;
    const { input, output, ...rest } = ran;
    const short = (text: string | undefined): boolean => text !== undefined && text.length <= inlineCharsMax;
    const id = await insertInvocation(turn, f, {
      ...rest,
      // What is too long was handed to whoever waited for it, and is not kept twice.
      ...(short(input) && { input }),
      ...(short(output) && { output }),
      attempt: 1,
      endedAt: turn.now,
    });
    await count(turn, ran.name, { state: ran.state, facts: ran.facts, error: ran.error?.message });
    const text = log.slice(0, logCharsMax);
    if (log !== "")
      await turn.db.insert("invocationLogs", { invocationId: id, attempt: 1, text, dropped: log.length - text.length });
    return id;
  },
});

function toInput(
  input: string | undefined,
  inputId: Id<"_storage"> | undefined,
): { input: string } | { inputId: Id<"_storage"> } {
  if (inputId) return { inputId };
  const text = input ?? "null";
  try {
    JSON.parse(text);
  } catch {
    throw new NikaError("invalid", "What a function is given must be JSON.");
  }
  return { input: text };
}

async function dropRuns(turn: Turn, name: string): Promise<void> {
  const some = await turn.db
    .query("invocations")
    .withIndex("by_name", (q) => q.eq("name", name))
    .take(dropBatch);
  for (const one of some) await dropInvocation(turn, one);
  if (some.length === dropBatch) await turn.scheduler.runAfter(0, internal.functions.drop, { name });
}

const ofName = (ctx: QueryCtx, name: string) => ctx.db.query("invocations").withIndex("by_name", (q) => q.eq("name", name));

async function mustFind(turn: Turn, name: string): Promise<Doc<"userFunctions">> {
  const f = await findFunction(turn, name);
  if (!f) throw new NikaError("missing", `There is no function called ${name.slice(0, 60)}.`);
  return f;
}

function toView({ _id, _creationTime, recentMs, kept: _kept, ...view }: Doc<"userFunctions">): FunctionView {
  const [p50Ms, p95Ms] = [quantileOf(recentMs, 0.5), quantileOf(recentMs, 0.95)];
  return { ...view, ...(p50Ms !== undefined && { p50Ms }), ...(p95Ms !== undefined && { p95Ms }) };
}

function toInvocationView(row: Doc<"invocations">): InvocationView {
  const { _id, name, trigger, state, attempt, error, facts, jobId, createdAt, endedAt } = row;
  return {
    id: _id,
    name,
    trigger,
    state,
    attempt,
    ...(error && { error }),
    ...(facts && { facts }),
    ...(jobId && { jobId }),
    createdAt,
    ...(endedAt !== undefined && { endedAt }),
  };
}

async function toDetail(ctx: QueryCtx, row: Doc<"invocations">): Promise<InvocationDetail> {
  const { input, inputId, output, outputId } = row;
  const [inputUrl, outputUrl] = await Promise.all(
    [inputId, outputId].map((id) => (id ? ctx.storage.getUrl(id) : Promise.resolve(null))),
  );
  const log = await findLog(ctx, row._id);
  return {
    ...toInvocationView(row),
    ...(input !== undefined && { input }),
    ...(inputUrl && { inputUrl }),
    ...(output !== undefined && { output }),
    ...(outputUrl && { outputUrl }),
    log: log?.text ?? "",
    logDropped: log?.dropped ?? 0,
  };
}
