/** The only ways to declare a function here: who may call it is decided before its first line runs. */
import { ConvexError, type GenericValidator, type Infer, type ObjectType, type PropertyValidators } from "convex/values";
import type { RegisteredMutation, RegisteredQuery } from "convex/server";
import { internalMutation, internalQuery, mutation, query, type MutationCtx, type QueryCtx } from "../_generated/server.js";
import type { Doc } from "../_generated/dataModel.js";
import { isNikaError, NikaError } from "../model/error.ts";
import { workerSubject } from "../model/joined.ts";
import { openSums, type Sums } from "./sum.ts";
import { openTally, type Tally } from "./tally.ts";

/** What a mutation works with: Convex's context, the one reading of the clock, and the counts it changes. */
export type Turn = MutationCtx & { readonly now: number; readonly tally: Tally; readonly sums: Sums };

type Definition<Ctx, Args extends PropertyValidators, Returns extends GenericValidator> = {
  readonly args: Args;
  readonly returns: Returns;
  readonly handler: (ctx: Ctx, args: ObjectType<Args>) => Promise<Infer<Returns>>;
};
/** The subject of the tokens the appliance signs for the one person it belongs to. */
const ownerSubject = "owner";

async function onlyOwner(ctx: QueryCtx | MutationCtx): Promise<void> {
  const identity = await ctx.auth.getUserIdentity();
  if (identity?.subject !== ownerSubject)
    throw new NikaError("denied", "Only the owner may do this; open a new link with `nika up`.");
}

/** Whom a worker of another machine was let in as. Looked up each time, so that taking its token away takes effect at once. */
async function joinedWorker(ctx: QueryCtx | MutationCtx): Promise<Doc<"workerTokens">> {
  const subject = (await ctx.auth.getUserIdentity())?.subject ?? "";
  const id = subject.startsWith(workerSubject)
    ? ctx.db.normalizeId("workerTokens", subject.slice(workerSubject.length))
    : undefined;
  const token = id && (await ctx.db.get(id));
  if (!token) throw new NikaError("denied", "This worker's token is not taken any more; make one with `nika worker token`.");
  return token;
}

/** Callers get a code and a sentence; what is not ours stays a server error, whose text Convex keeps from them. */
async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isNikaError(error) ? new ConvexError({ code: error.code, message: error.message }) : error;
  }
}

async function inTurn<T>(ctx: MutationCtx, work: (turn: Turn) => Promise<T>): Promise<T> {
  const [now, tally, sums] = [Date.now(), openTally(), openSums()];
  const result = await work({ ...ctx, now, tally, sums });
  await tally.write(ctx.db);
  await sums.write(ctx.db, now);
  return result;
}

// The return types below are spelled out because the typed API reads arguments and results off the parameters of exactly these
// aliases; an alias of ours around them would hide both.

export function ownerQuery<Args extends PropertyValidators, Returns extends GenericValidator>(
  definition: Definition<QueryCtx, Args, Returns>,
): RegisteredQuery<"public", ObjectType<Args>, Promise<Infer<Returns>>> {
  const handler = (ctx: QueryCtx, args: ObjectType<Args>): Promise<Infer<Returns>> =>
    answering(async () => {
      await onlyOwner(ctx);
      return definition.handler(ctx, args);
    });
  return query({ args: definition.args, returns: definition.returns, handler } as never) as never;
}

export function ownerMutation<Args extends PropertyValidators, Returns extends GenericValidator>(
  definition: Definition<Turn, Args, Returns>,
): RegisteredMutation<"public", ObjectType<Args>, Promise<Infer<Returns>>> {
  const handler = (ctx: MutationCtx, args: ObjectType<Args>): Promise<Infer<Returns>> =>
    answering(async () => {
      await onlyOwner(ctx);
      return inTurn(ctx, (turn) => definition.handler(turn, args));
    });
  return mutation({ args: definition.args, returns: definition.returns, handler } as never) as never;
}

type Joined = { readonly joined: Doc<"workerTokens"> };

/** For workers on other machines, each with a token of its own. */
export function joinedQuery<Args extends PropertyValidators, Returns extends GenericValidator>(
  definition: Definition<QueryCtx & Joined, Args, Returns>,
): RegisteredQuery<"public", ObjectType<Args>, Promise<Infer<Returns>>> {
  const handler = (ctx: QueryCtx, args: ObjectType<Args>): Promise<Infer<Returns>> =>
    answering(async () => definition.handler({ ...ctx, joined: await joinedWorker(ctx) }, args));
  return query({ args: definition.args, returns: definition.returns, handler } as never) as never;
}

export function joinedMutation<Args extends PropertyValidators, Returns extends GenericValidator>(
  definition: Definition<MutationCtx & Joined, Args, Returns>,
): RegisteredMutation<"public", ObjectType<Args>, Promise<Infer<Returns>>> {
  const handler = (ctx: MutationCtx, args: ObjectType<Args>): Promise<Infer<Returns>> =>
    answering(async () => definition.handler({ ...ctx, joined: await joinedWorker(ctx) }, args));
  return mutation({ args: definition.args, returns: definition.returns, handler } as never) as never;
}

/** For the appliance and for Convex's own scheduler; nobody else can name an internal function. */
export function systemQuery<Args extends PropertyValidators, Returns extends GenericValidator>(
  definition: Definition<QueryCtx, Args, Returns>,
): RegisteredQuery<"internal", ObjectType<Args>, Promise<Infer<Returns>>> {
  const handler = (ctx: QueryCtx, args: ObjectType<Args>): Promise<Infer<Returns>> =>
    answering(() => definition.handler(ctx, args));
  return internalQuery({ args: definition.args, returns: definition.returns, handler } as never) as never;
}

export function systemMutation<Args extends PropertyValidators, Returns extends GenericValidator>(
  definition: Definition<Turn, Args, Returns>,
): RegisteredMutation<"internal", ObjectType<Args>, Promise<Infer<Returns>>> {
  const handler = (ctx: MutationCtx, args: ObjectType<Args>): Promise<Infer<Returns>> =>
    answering(() => inTurn(ctx, (turn) => definition.handler(turn, args)));
  return internalMutation({ args: definition.args, returns: definition.returns, handler } as never) as never;
}
