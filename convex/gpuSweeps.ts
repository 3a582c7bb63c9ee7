/** Looking through whole accounts, the third killer: what each holds, held against our rows. Its steps: functions/machines/sweep.ts. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import { vCapability, vObserved, vProviderId } from "./model/gpu.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerQuery, systemMutation, type Turn } from "./turn/guard.ts";
import { findByRef, see, takeIn } from "./turn/lease.ts";

const accountsMax = 500;
const sweptMax = 25;

/**
 * Some of what a provider's account was just listed to hold, and ours. What has a row is compared with it; what has none is taken in, waits
 * five minutes (its intent may be on its way) and is ended. All of it is told so, in parts; answers when that was.
 */
export const compared = systemMutation({
  args: { capability: vCapability, observed: v.array(vObserved) },
  returns: v.number(),
  handler: async (turn, { capability, observed }) => {
    for (const one of observed) {
      const holder = await findByRef(turn, one.ref);
      if (holder) {
        await see(turn, holder, [one]);
        continue;
      }
      const intent = await turn.db
        .query("machines")
        .withIndex("by_key", (q) => q.eq("key", one.machineId ?? ""))
        .first();
      const isAwaited = intent !== null && intent.life.ref === undefined && intent.life.state !== "gone";
      if (isAwaited) await see(turn, intent, [one]);
      else if (one.state !== "gone" || one.satellites.length > 0) await takeIn(turn, one, "stray", { capability });
    }
    return turn.now;
  },
});

const shownStates = ["booting", "ready", "busy", "draining", "ending", "leakSuspect"] as const;

/**
 * A provider's whole account was listed, and compared from `since` on. What should be there and was not shown is looked at by itself: one
 * list proves nothing. What is not ours is written down and never touched. True while there are more that were not shown.
 */
export const swept = systemMutation({
  args: { provider: vProviderId, since: v.number(), ours: v.number(), foreign: v.array(vObserved) },
  returns: v.boolean(),
  handler: async (turn, { provider, since, ours, foreign }) => {
    let left = sweptMax;
    for (const state of shownStates) {
      const missing = await turn.db
        .query("machines")
        .withIndex("by_lookedAt", (q) => q.eq("offer.provider", provider).eq("life.state", state).lt("lookedAt", since))
        .take(left);
      for (const machine of missing) await see(turn, machine, []);
      left -= missing.length;
      if (left === 0) return true;
    }
    await note(turn, provider, {
      at: turn.now,
      wholeAt: turn.now,
      ours,
      foreign: foreign.map(({ name, ref, satellites }) => ({ name, id: ref.id, satellites })),
      failure: undefined,
    });
    return false;
  },
});

export const failed = systemMutation({
  args: { provider: vProviderId, failure: v.string() },
  returns: v.null(),
  handler: async (turn, { provider, failure }) => {
    await note(turn, provider, { at: turn.now, failure });
    return null;
  },
});

type SweepNote = {
  readonly at: number;
  readonly wholeAt?: number;
  readonly ours?: number;
  readonly foreign?: Doc<"gpuSweeps">["foreign"];
  readonly failure?: string | undefined;
};

async function note(turn: Turn, provider: Doc<"gpuSweeps">["provider"], { failure, ...told }: SweepNote): Promise<void> {
  const row = await turn.db
    .query("gpuSweeps")
    .withIndex("by_provider", (q) => q.eq("provider", provider))
    .unique();
  if (row) await turn.db.patch(row._id, { ...told, failure });
  else await turn.db.insert("gpuSweeps", { provider, ours: 0, foreign: [], ...told, ...(failure !== undefined && { failure }) });
}

/** When each account was last looked through, and what was there that is not ours. */
export const list = ownerQuery({
  args: {},
  returns: v.array(
    v.object({
      provider: vProviderId,
      at: v.number(),
      wholeAt: v.optional(v.number()),
      ours: v.number(),
      foreign: v.array(v.object({ name: v.string(), id: v.string() })),
      failure: v.optional(v.string()),
    }),
  ),
  handler: async (ctx) =>
    (await ctx.db.query("gpuSweeps").take(accountsMax)).map(({ _id, _creationTime, foreign, ...one }) => ({
      ...one,
      foreign: foreign.map(({ name, id }) => ({ name, id })),
    })),
});

/** Which providers are set up, from now on: their accounts are looked through every five minutes, at once for the first time. */
export const setUp = systemMutation({
  args: { providers: v.array(vProviderId) },
  returns: v.null(),
  handler: async (turn, { providers }) => {
    const rows = await turn.db.query("gpuSweeps").take(accountsMax);
    for (const row of rows) if (!providers.includes(row.provider)) await turn.db.delete(row._id);
    for (const provider of providers)
      if (!rows.some((row) => row.provider === provider))
        await turn.db.insert("gpuSweeps", { provider, at: 0, ours: 0, foreign: [] });
    await enqueueAll(turn, providers);
    return null;
  },
});

/** The third killer's clock. */
export const due = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    const rows = await turn.db.query("gpuSweeps").take(accountsMax);
    await enqueueAll(
      turn,
      rows.map(({ provider }) => provider),
    );
    return null;
  },
});

/** Of each account at most one look through at a time. */
async function enqueueAll(turn: Turn, providers: readonly Doc<"gpuSweeps">["provider"][]): Promise<void> {
  for (const provider of providers)
    await enqueue(turn, { kind: "machines.sweep", args: { provider }, label: provider, uniqueKey: provider });
}
