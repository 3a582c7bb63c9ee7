/** One piece of work, or one machine, as the owner looks at it closely. Read only. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import { toView as toJobView } from "./gpuJobs.ts";
import { toView as toMachineView } from "./machines.ts";
import { shownState } from "./model/machine.ts";
import { vGpuJobDetail, vMachineDetail, type Attempt } from "./model/gpuDetail.ts";
import { ownerQuery } from "./turn/guard.ts";

const resultsMax = 200;
const attemptsMax = 100;

/** Null when there is none, or no more. */
export const job = ownerQuery({
  args: { id: v.string() },
  returns: v.union(vGpuJobDetail, v.null()),
  handler: async (ctx, { id: raw }) => {
    const id = ctx.db.normalizeId("gpuJobs", raw);
    const row = id && (await ctx.db.get(id));
    if (!row) return null;
    const machines = await ctx.db
      .query("machines")
      .withIndex("by_gpuJob", (q) => q.eq("owner.gpuJobId", id))
      .take(attemptsMax);
    const { ask, files } = row;
    const results = await Promise.all(
      (files?.files ?? []).slice(0, resultsMax).map(async ({ path, sizeBytes, sha256, storageId }) => ({
        path,
        sizeBytes,
        sha256,
        url: await ctx.storage.getUrl(storageId),
      })),
    );
    return {
      view: await toJobView(ctx, row),
      command: ask.command,
      ...(ask.image !== undefined && { image: ask.image }),
      need: ask.need,
      runMsMax: ask.runMsMax,
      ...(ask.costMax && { costMax: ask.costMax }),
      attempts: machines.map(toAttempt).toSorted((one, other) => one.attempt - other.attempt),
      checkpoints: row.checkpoints.map(({ attempt, seq, at }) => ({ attempt, seq, at })),
      results,
    };
  },
});

function toAttempt({ _id, name, epoch, owner, offer, life, createdAt, counted }: Doc<"machines">): Attempt {
  const { why, failure, bootedAt } = life;
  const endedAt = life.endingAt ?? life.goneAt;
  return {
    attempt: epoch,
    machineId: _id,
    name,
    offer,
    state: shownState({ state: life.state, owner }),
    ...(why && { why }),
    ...(failure && { failure }),
    createdAt,
    ...(bootedAt !== undefined && { startedAt: bootedAt }),
    ...(endedAt !== undefined && { endedAt }),
    spent: counted.spent,
    hourly: counted.hourly,
  };
}

/** Null when there is none, or no more. */
export const machine = ownerQuery({
  args: { id: v.string() },
  returns: v.union(vMachineDetail, v.null()),
  handler: async (ctx, { id: raw }) => {
    const id = ctx.db.normalizeId("machines", raw);
    const row = id && (await ctx.db.get(id));
    if (!row) return null;
    const { owner, facts, counted, capability, life } = row;
    const beat = await ctx.db
      .query("machineBeats")
      .withIndex("by_machine", (q) => q.eq("machineId", id))
      .unique();
    const sweep = await ctx.db
      .query("gpuSweeps")
      .withIndex("by_provider", (q) => q.eq("provider", row.offer.provider))
      .unique();
    const work = owner.type === "gpuJob" ? await ctx.db.get(owner.gpuJobId) : null;
    return {
      view: await toMachineView(ctx, row),
      ...(facts && { facts }),
      ...(beat && {
        beat: {
          ...(beat.diskFreeMb !== undefined && { diskFreeMb: beat.diskFreeMb }),
          ...(beat.gpu && { gpu: beat.gpu }),
        },
      }),
      ...(work && { job: { id: work._id, label: work.ask.label } }),
      spent: counted.spent,
      reserved: counted.reserved,
      ...(sweep?.wholeAt !== undefined && { sweptAt: sweep.wholeAt }),
      hasTtl: capability.hasTtl,
      endAsks: life.endAsks,
      cleanLooks: life.cleanLooks,
    };
  },
});
