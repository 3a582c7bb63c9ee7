/**
 * Fills a control plane with machines and work for them, many in one write, by the very mutations that the appliance calls. Added to a copy of
 * its functions by tick.ts, and by nothing else.
 */
import { v } from "convex/values";
import { internal } from "../../../../convex/_generated/api.js";
import type { Id } from "../../../../convex/_generated/dataModel.js";
import { vCapability, vOffer } from "../../../../convex/model/gpu.ts";
import { vGpuAsk } from "../../../../convex/model/gpuJob.ts";
import { writeSettings } from "../../../../convex/turn/budget.ts";
import { systemMutation } from "../../../../convex/turn/guard.ts";

const cap = 1e12;

export const allow = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    await writeSettings(turn, { caps: { job: cap, day: cap, month: cap, hourly: cap, agentDay: cap } });
    return null;
  },
});

export const queue = systemMutation({
  args: { ask: vGpuAsk, count: v.number() },
  returns: v.null(),
  handler: async (turn, { ask, count }) => {
    for (let i = 0; i < count; i += 1) await turn.runMutation(internal.gpuJobs.add, { ask });
    return null;
  },
});

/** Placed, asked for, made, dialled in and at work. The last of the functions that were planned for each stay as they were planned. */
export const lease = systemMutation({
  args: {
    ask: vGpuAsk,
    offer: vOffer,
    capability: vCapability,
    installId: v.string(),
    from: v.number(),
    count: v.number(),
  },
  returns: v.array(v.object({ machineId: v.id("machines"), epoch: v.number() })),
  handler: async (turn, { ask, offer, capability, installId, from, count }) => {
    const made: { machineId: Id<"machines">; epoch: number }[] = [];
    for (let i = from; i < from + count; i += 1) {
      const gpuJobId: Id<"gpuJobs"> = await turn.runMutation(internal.gpuJobs.add, { ask });
      await turn.runMutation(internal.gpuJobs.placing, { gpuJobId });
      const placed = { gpuJobId, installId, choices: [{ offer, capability }], says: "" };
      const machineId: Id<"machines"> | null = await turn.runMutation(internal.gpuJobs.placed, placed);
      if (!machineId) throw new Error("It was not placed.");
      const intent = await turn.runMutation(internal.machines.asking, { machineId });
      if (!intent) throw new Error("It was not asked for.");
      const { key, name, epoch } = intent;
      const ref = { provider: offer.provider, region: offer.region, id: `m${i}` };
      const observed = { ref, name, machineId: key, installId, state: "running" as const, isBilled: true, satellites: [] };
      await turn.runMutation(internal.machineBeats.setSecret, { machineId, secretHash: key });
      await turn.runMutation(internal.machines.asked, { machineId, result: { type: "created", observed } });
      await turn.runMutation(internal.machineBeats.enrol, { key, secretHash: key });
      await turn.runMutation(internal.gpuJobs.started, { machineId, epoch, facts: [] });
      made.push({ machineId, epoch });
    }
    return made;
  },
});

/** So many machines and jobs are to be seen to by the next tick. */
export const fallDue = systemMutation({
  args: { count: v.number() },
  returns: v.null(),
  handler: async (turn, { count }) => {
    const machines = turn.db.query("machines").withIndex("by_state", (q) => q.eq("life.state", "busy"));
    const ready = turn.db.query("machines").withIndex("by_state", (q) => q.eq("life.state", "ready"));
    for (const { _id } of [...(await machines.take(count)), ...(await ready.take(count))].slice(0, count))
      await turn.db.patch(_id, { reapAt: turn.now });
    const jobs = turn.db.query("gpuJobs").withIndex("by_state", (q) => q.eq("life.state", "queued"));
    for (const { _id, life } of await jobs.take(count)) await turn.db.patch(_id, { life: { ...life, dueAt: turn.now } });
    return null;
  },
});
