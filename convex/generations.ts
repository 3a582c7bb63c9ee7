/** Which model searches go by, and how the vault moves from one to the next. The rows' rules: model/generation.ts. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import {
  keptAfterSwitchMs,
  pastKeptMax,
  vGenerationsView,
  vSpace,
  vSpaces,
  wantedOf,
  type GenerationView,
  type Space,
} from "./model/generation.ts";
import { fusionDefault } from "./model/model.ts";
import { begin, generationIn, isWorkedOn, leave, movingOf, movingStates } from "./turn/generation.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";

const reasonCharsMax = 500;
const vId = { generationId: v.id("generations") };

/**
 * Moves the vault to "baseline", "bge" or a model that was trained here and judged better. Searches go on by the one in force until all
 * passages are there. `anyway` is the reason for one whose verdict is of another time. Fails as `begin` says.
 */
export const deploy = ownerMutation({
  args: { modelId: v.string(), anyway: v.optional(v.string()) },
  returns: v.id("generations"),
  handler: (turn, { modelId, anyway }) =>
    begin(turn, { modelId, by: "owner", ...(anyway !== undefined && { reason: anyway.slice(0, reasonCharsMax) }) }),
});

/** The same for the schedule, after a verdict of "better". */
export const propose = systemMutation({
  args: { modelId: v.id("models") },
  returns: v.id("generations"),
  handler: (turn, { modelId }) => begin(turn, { modelId, by: "schedule" }),
});

/**
 * Gives up the move that is under way; without one, searches go by the last model again, at once, and what was written since is in it. Says
 * which embedder is in force now. Fails with `missing` when there is nothing to go back to.
 */
export const rollback = ownerMutation({
  args: {},
  returns: v.object({ embedderId: v.string(), gaveUp: v.boolean() }),
  handler: async (turn) => {
    const live = await generationIn(turn, "live");
    const moving = await movingOf(turn);
    if (moving) {
      await leave(turn, moving, "Given up by its owner.");
      const job = moving.jobId && (await turn.db.get(moving.jobId));
      if (job?.state === "leased") await turn.db.patch(job._id, { cancelAsked: true });
      return { embedderId: live?.embedderId ?? "", gaveUp: true };
    }
    const kept = await generationIn(turn, "kept");
    if (!live || !kept?.embedderId)
      throw new NikaError(
        "missing",
        "There is no earlier model to go back to; `nika model deploy baseline` moves the vault to the one that Nika brings.",
      );
    await turn.db.patch(kept._id, { state: "live", liveAt: turn.now, endedAt: undefined });
    await leave(turn, live, "Rolled back by its owner.");
    await point(turn);
    return { embedderId: kept.embedderId, gaveUp: false };
  },
});

export const current = ownerQuery({
  args: {},
  returns: vGenerationsView,
  handler: async (ctx) => {
    const [live, moving, kept] = [await generationIn(ctx, "live"), await movingOf(ctx), await generationIn(ctx, "kept")];
    const past = (
      await Promise.all(
        (["leaving", "gone"] as const).map((state) =>
          ctx.db
            .query("generations")
            .withIndex("by_state", (q) => q.eq("state", state))
            .order("desc")
            .take(pastKeptMax),
        ),
      )
    ).flat();
    return {
      live: live && toView(live),
      moving: moving && { ...toView(moving), ...(await standing(ctx, moving)) },
      kept: kept && toView(kept),
      ...(kept && { keptUntil: (live?.liveAt ?? 0) + keptAfterSwitchMs }),
      past: past
        .toSorted((a, b) => b.number - a.number)
        .slice(0, pastKeptMax)
        .map(toView),
    };
  },
});

/** What the appliance reads and follows. */
export const spaces = systemQuery({
  args: {},
  returns: vSpaces,
  handler: async (ctx) => {
    const live = await generationIn(ctx, "live");
    const moving = await movingOf(ctx);
    const beside = (moving && moving.state !== "planned" ? moving : null) ?? (await generationIn(ctx, "kept"));
    return { live: live && toSpace(live), beside: beside && toSpace(beside) };
  },
});

/**
 * What was found in the store at first, or instead of a collection that is no longer there, comes in force as it is. `replaces` is the
 * generation that the finder took for the live one; when another is live by now, nothing is changed. Gives what is true afterwards.
 */
export const adopt = systemMutation({
  args: {
    collection: v.string(),
    embedderId: v.string(),
    dimensions: v.number(),
    replaces: v.union(v.id("generations"), v.null()),
  },
  returns: vSpace,
  handler: async (turn, { collection, embedderId, dimensions, replaces }) => {
    const live = await generationIn(turn, "live");
    if (live && live._id !== replaces) return mustBeSpace(live);
    if (live && live.collection === collection) {
      // An empty vault follows the embedder that is there.
      await turn.db.patch(live._id, { embedderId, dimensions, wanted: wantedOf(embedderId), fusion: fusionDefault });
      return { ...mustBeSpace(live), embedderId, dimensions, fusion: fusionDefault };
    }
    if (live)
      await turn.db.patch(live._id, { state: "gone", endedAt: turn.now, problem: "Its vectors were no longer in the store." });
    const last = await turn.db.query("generations").order("desc").first();
    const row = {
      number: (last?.number ?? 0) + 1,
      wanted: wantedOf(embedderId),
      collection,
      embedderId,
      dimensions,
      fusion: fusionDefault,
      state: "live" as const,
      by: "start",
      at: turn.now,
      liveAt: turn.now,
    };
    const generationId = await turn.db.insert("generations", row);
    return { generationId, collection, embedderId, dimensions, fusion: fusionDefault };
  },
});

/** What its move needs to know; null when it was given up. */
export const get = systemQuery({
  args: vId,
  returns: v.union(
    v.null(),
    v.object({
      state: v.union(v.literal("planned"), v.literal("copying"), v.literal("checking"), v.literal("live")),
      wanted: v.string(),
      collection: v.string(),
      cursor: v.union(v.string(), v.null()),
      done: v.number(),
      /** A worker elsewhere has a document in hand that it began before the two spaces are compared. */
      isReadElsewhere: v.boolean(),
    }),
  ),
  handler: async (ctx, { generationId }) => {
    const row = await ctx.db.get(generationId);
    if (!row) return null;
    const { state, wanted, collection, cursor = null, done = 0 } = row;
    if (state !== "live" && state !== "planned" && state !== "copying" && state !== "checking") return null;
    return { state, wanted, collection, cursor, done, isReadElsewhere: state === "checking" && (await isReadElsewhere(ctx)) };
  },
});

/** Its collection is there: from now on every write goes to it as well. "over" when it was given up meanwhile. May be repeated. */
export const prepared = systemMutation({
  args: { ...vId, embedderId: v.string(), dimensions: v.number(), total: v.number() },
  returns: v.union(v.literal("prepared"), v.literal("inForce"), v.literal("over")),
  handler: async (turn, { generationId, ...more }) => {
    const row = await turn.db.get(generationId);
    if (row?.state === "copying" || row?.state === "checking") return "prepared";
    if (row?.state !== "planned") return "over";
    const live = await generationIn(turn, "live");
    if (live?.embedderId === more.embedderId) return "inForce";
    await turn.db.patch(generationId, { ...more, state: "copying", done: 0 });
    return "prepared";
  },
});

/** How far the copy is; `cursor` null says that all of it was looked at. False when it was given up. */
export const copied = systemMutation({
  args: { ...vId, cursor: v.union(v.string(), v.null()), done: v.number() },
  returns: v.boolean(),
  handler: async (turn, { generationId, cursor, done }) => {
    const row = await turn.db.get(generationId);
    if (row?.state !== "copying") return row?.state === "checking";
    await turn.db.patch(generationId, cursor === null ? { cursor: undefined, done, state: "checking" } : { cursor, done });
    return true;
  },
});

/**
 * Puts it in force, and keeps the one before. "busy" while a worker elsewhere reads a document: it may have begun when there was one space
 * only, and the move is checked again after it. "over" when it was given up. May be repeated.
 */
export const switchTo = systemMutation({
  args: vId,
  returns: v.union(v.literal("switched"), v.literal("busy"), v.literal("over")),
  handler: async (turn, { generationId }) => {
    const row = await turn.db.get(generationId);
    if (row?.state === "live") return "switched";
    if (row?.state !== "checking") return "over";
    if (await isReadElsewhere(turn)) return "busy";
    const live = await generationIn(turn, "live");
    if (live) await turn.db.patch(live._id, { state: "kept", endedAt: turn.now });
    await turn.db.patch(generationId, { state: "live", liveAt: turn.now });
    return "switched";
  },
});

/** It cannot be done: what there is of it goes. */
export const abandon = systemMutation({
  args: { ...vId, problem: v.string() },
  returns: v.null(),
  handler: async (turn, { generationId, problem }) => {
    const row = await turn.db.get(generationId);
    if (row && movingStates.includes(row.state)) await leave(turn, row, problem);
    return null;
  },
});

/** The embedder of the space that is kept cannot be had any more, so it cannot be written: there is no way back to it. */
export const lapse = systemMutation({
  args: { ...vId, problem: v.string() },
  returns: v.null(),
  handler: async (turn, { generationId, problem }) => {
    const row = await turn.db.get(generationId);
    if (row?.state === "kept") await leave(turn, row, problem);
    return null;
  },
});

/** The collection to drop, and the one that is in force; null when it is not to be dropped. */
export const toDrop = systemQuery({
  args: vId,
  returns: v.union(v.null(), v.string()),
  handler: async (ctx, { generationId }) => {
    const row = await ctx.db.get(generationId);
    const live = await generationIn(ctx, "live");
    return row?.state === "leaving" && row.collection !== live?.collection ? row.collection : null;
  },
});

export const dropped = systemMutation({
  args: vId,
  returns: v.null(),
  handler: async (turn, { generationId }) => {
    const row = await turn.db.get(generationId);
    if (row?.state === "leaving") await turn.db.patch(generationId, { state: "gone" });
    return null;
  },
});

async function point(turn: Turn): Promise<void> {
  await enqueue(turn, { kind: "models.rollback", args: {}, label: "searches to the last model", uniqueKey: "point" });
}

/** Joined workers write both spaces by themselves, and not in step with who copies and compares them. */
async function isReadElsewhere({ db }: Pick<QueryCtx, "db">): Promise<boolean> {
  const workers = await db
    .query("workers")
    .withIndex("by_isUp", (q) => q.eq("isUp", true))
    .collect();
  for (const { _id, tokenId } of workers) {
    if (!tokenId) continue;
    const held = await db
      .query("jobs")
      .withIndex("by_worker", (q) => q.eq("lease.workerId", _id))
      .collect();
    if (held.some(({ kind, state }) => kind === "documents.ingest" && state === "leased")) return true;
  }
  return false;
}

function toSpace(row: Doc<"generations">): Space | null {
  const { _id: generationId, collection, embedderId, dimensions, fusion } = row;
  return embedderId === undefined || dimensions === undefined
    ? null
    : { generationId, collection, embedderId, dimensions, fusion };
}

function mustBeSpace(row: Doc<"generations">): Space {
  const space = toSpace(row);
  if (!space) throw new NikaError("bug", "A generation in force has no embedder.");
  return space;
}

async function standing(ctx: QueryCtx, row: Doc<"generations">): Promise<Pick<GenerationView, "isWorkedOn" | "problem">> {
  const job = row.jobId && (await ctx.db.get(row.jobId));
  return { isWorkedOn: await isWorkedOn(ctx, row), ...(job?.error && { problem: job.error.message }) };
}

function toView(row: Doc<"generations">): GenerationView {
  const { _id: id, number, state, wanted, embedderId, fusion, by, reason, at, liveAt, endedAt, done, total, problem } = row;
  return {
    id,
    number,
    state,
    wanted,
    fusion,
    by,
    at,
    ...(embedderId !== undefined && { embedderId }),
    ...(reason !== undefined && { reason }),
    ...(liveAt !== undefined && { liveAt }),
    ...(endedAt !== undefined && { endedAt }),
    ...(done !== undefined && { done }),
    ...(total !== undefined && { total }),
    ...(problem !== undefined && { problem }),
  };
}
