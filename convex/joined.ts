/**
 * The door for workers on other machines. They hold no key of the appliance's: each call is checked against the token it came with, and goes
 * on to the functions that every worker uses.
 */
import type { FunctionReference } from "convex/server";
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import { vSpaces, type Spaces } from "./model/generation.ts";
import { vOutcome } from "./model/job.ts";
import { isAbout, joinedKinds, mayCall, versionProblem, vWorkerAbout } from "./model/joined.ts";
import { vArgs, vKind } from "./model/kinds.ts";
import { vLane } from "./model/lane.ts";
import { generationIn } from "./turn/generation.ts";
import { joinedMutation, joinedQuery } from "./turn/guard.ts";

const vIncarnation = { workerId: v.id("workers"), epoch: v.number() };

/** It begins. Refused when it runs another version of Nika, or says that it can do what may not leave the appliance. */
export const hello = joinedMutation({
  args: { slots: v.number(), about: vWorkerAbout },
  returns: v.object({ ...vIncarnation, beatEveryMs: v.number(), ttlMs: v.number() }),
  handler: async (ctx, { slots, about }): Promise<Hello> => {
    const ours = await ctx.db.query("appliance").first();
    const problem = ours && versionProblem(about.version, ours.version);
    if (problem !== null && problem !== undefined) throw new NikaError("conflict", problem);
    const kinds = (about.kinds ?? []).filter((kind) => (joinedKinds as readonly string[]).includes(kind));
    const { name, _id: tokenId } = ctx.joined;
    return ctx.runMutation(internal.workers.hello, { name, slots, about: { ...about, kinds }, tokenId });
  },
});
type Hello = { workerId: Id<"workers">; epoch: number; beatEveryMs: number; ttlMs: number };

export const beat = joinedMutation({
  args: { ...vIncarnation, running: v.array(v.object({ jobId: v.id("jobs"), token: v.string() })) },
  returns: v.object({ isCurrent: v.boolean(), lost: v.array(v.id("jobs")), cancel: v.array(v.id("jobs")) }),
  handler: async (ctx, args): Promise<{ isCurrent: boolean; lost: Id<"jobs">[]; cancel: Id<"jobs">[] }> => {
    await mustBeOwn(ctx, args.workerId);
    return ctx.runMutation(internal.workers.beat, args);
  },
});

export const orders = joinedQuery({
  args: vIncarnation,
  returns: v.object({ isCurrent: v.boolean(), cancel: v.array(v.id("jobs")) }),
  handler: async (ctx, args): Promise<{ isCurrent: boolean; cancel: Id<"jobs">[] }> => {
    await mustBeOwn(ctx, args.workerId);
    return ctx.runQuery(internal.workers.orders, args);
  },
});

export const goodbye = joinedMutation({
  args: vIncarnation,
  returns: v.null(),
  handler: async (ctx, args): Promise<null> => {
    await mustBeOwn(ctx, args.workerId);
    return ctx.runMutation(internal.workers.goodbye, args);
  },
});

/** What waits of what it may take. */
export const head = joinedQuery({
  args: { lane: vLane, limit: v.number(), kinds: v.array(v.string()) },
  returns: v.array(v.id("jobs")),
  handler: async (ctx, { kinds, ...args }): Promise<Id<"jobs">[]> => {
    // It writes to every space there is, and nobody can hold it back at the store: while two are compared to change places, it reads nothing new.
    const isCompared = await generationIn(ctx, "checking");
    const may = isCompared ? kinds.filter((kind) => kind !== "documents.ingest") : kinds;
    return ctx.runQuery(internal.work.head, { ...args, kinds: may });
  },
});

/** The vault's spaces: where documents are written, and by which embedders. */
export const spaces = joinedQuery({
  args: {},
  returns: vSpaces,
  handler: (ctx): Promise<Spaces> => ctx.runQuery(internal.generations.spaces, {}),
});

/** Hands in and claims. It adds no work: only what happens at the appliance is a reason for that. */
export const exchange = joinedMutation({
  args: {
    ...vIncarnation,
    settle: v.array(v.object({ jobId: v.id("jobs"), token: v.string(), outcome: vOutcome })),
    claim: v.object({ token: v.string(), jobIds: v.array(v.id("jobs")) }),
  },
  returns: v.object({
    isCurrent: v.boolean(),
    settled: v.array(v.boolean()),
    claimed: v.array(v.object({ jobId: v.id("jobs"), kind: vKind, lane: vLane, args: vArgs, attempt: v.number() })),
    added: v.array(v.any()),
  }),
  // oxlint-disable-next-line typescript/no-explicit-any -- as the validator above has it: nothing is ever added
  handler: async (ctx, args): Promise<any> => {
    await mustBeOwn(ctx, args.workerId);
    return ctx.runMutation(internal.work.exchange, args);
  },
});

export const progress = joinedMutation({
  args: { reports: v.array(v.object({ jobId: v.id("jobs"), token: v.string(), done: v.number(), total: v.number() })) },
  returns: v.null(),
  handler: (ctx, args): Promise<null> => ctx.runMutation(internal.work.progress, args),
});

const vCall = { jobId: v.id("jobs"), token: v.string(), name: v.string(), args: v.any() };

/** What the run of a job reads, while the worker holds it. */
export const read = joinedQuery({
  args: vCall,
  returns: v.any(),
  handler: async (ctx, call): Promise<unknown> => {
    await mustHold(ctx, call);
    return ctx.runQuery(find(queries, call.name), call.args);
  },
});

/** What the run of a job writes, while the worker holds it. */
export const write = joinedMutation({
  args: vCall,
  returns: v.any(),
  handler: async (ctx, call): Promise<unknown> => {
    await mustHold(ctx, call);
    return ctx.runMutation(find(mutations, call.name), call.args);
  },
});

/** Each must also stand in model/joined.ts, beside the kinds whose runs may call it. */
const queries: Readonly<Record<string, FunctionReference<"query", "internal">>> = {
  "documents:fileForIngest": internal.documents.fileForIngest,
  "pictures:held": internal.pictures.held,
};
const mutations: Readonly<Record<string, FunctionReference<"mutation", "internal">>> = {
  "pictures:owe": internal.pictures.owe,
  "pictures:put": internal.pictures.put,
  "pictures:trim": internal.pictures.trim,
  "sources:unpack": internal.sources.unpack,
  "sources:uploadUrl": internal.sources.uploadUrl,
};

function find<T>(table: Readonly<Record<string, T>>, name: string): T {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found === undefined) throw refusal();
  return found;
}

type Ctx = QueryCtx & { readonly joined: Doc<"workerTokens"> };
type Asked = {
  readonly jobId: Id<"jobs">;
  readonly token: string;
  readonly name: string;
  readonly args: Record<string, unknown>;
};

async function mustBeOwn(ctx: Ctx, workerId: Id<"workers">): Promise<void> {
  const worker = await ctx.db.get(workerId);
  if (worker?.tokenId !== ctx.joined._id) throw new NikaError("denied", "This token belongs to another worker.");
}

async function mustHold(ctx: Ctx, { jobId, token, name, args }: Asked): Promise<void> {
  const job = await ctx.db.get(jobId);
  if (job?.lease?.token !== token) throw new NikaError("conflict", "This worker does not hold that job any more.");
  await mustBeOwn(ctx, job.lease.workerId);
  if (!mayCall(job.kind, name) || !isAbout(job, args)) throw refusal();
}

const refusal = (): NikaError => new NikaError("denied", "A worker on another machine may not do this.");
