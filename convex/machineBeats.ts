/** What machines say of themselves, by the door (appliance/gpu/door), fenced by their epoch. */
import { v } from "convex/values";
import { NikaError } from "./model/error.ts";
import { vOffer } from "./model/gpu.ts";
import { vGpuAsk } from "./model/gpuJob.ts";
import { vLane } from "./model/lane.ts";
import { isOver } from "./model/machine.ts";
import { systemMutation } from "./turn/guard.ts";
import { findBeat, move, moveJob } from "./turn/lease.ts";

const vMachineWord = { machineId: v.id("machines"), epoch: v.number() };

/** The hash of the secret that it will show. Written before it is asked for; the first one stays, so that asking again is the same. */
export const setSecret = systemMutation({
  args: { machineId: v.id("machines"), secretHash: v.string() },
  returns: v.null(),
  handler: async (turn, { machineId, secretHash }) => {
    const machine = await turn.db.get(machineId);
    if (machine && machine.secretHash === undefined) await turn.db.patch(machineId, { secretHash });
    return null;
  },
});

/** It dials in for the first time. Once; and only with its secret, and while it is waited for. */
export const enrol = systemMutation({
  args: { key: v.string(), secretHash: v.string() },
  returns: v.object({
    ...vMachineWord,
    deadline: v.number(),
    offer: vOffer,
    ask: v.optional(vGpuAsk),
    gpuJobId: v.optional(v.id("gpuJobs")),
    lane: v.optional(vLane),
  }),
  handler: async (turn, { key, secretHash }) => {
    const rows = await turn.db
      .query("machines")
      .withIndex("by_key", (q) => q.eq("key", key))
      .take(10);
    const machine = rows.find((row) => row.secretHash === secretHash);
    const { state } = machine?.life ?? {};
    // What was asked for may dial in before the answer to that is here.
    if (!machine || isOver(machine.life.state) || (state !== "booting" && state !== "creating" && state !== "unknownOutcome"))
      throw new NikaError("denied", "This machine is not waited for.");
    const { _id: machineId, epoch, deadline, offer, owner } = machine;
    if (state === "booting") await move(turn, machine, { type: "enrolled" });
    const beat = await findBeat(turn, machineId);
    if (beat) await turn.db.patch(beat._id, { at: turn.now });
    const job = owner.type === "gpuJob" ? await turn.db.get(owner.gpuJobId) : null;
    if (job?.machineId === machineId) await moveJob(turn, job, { type: "enrolled" });
    return {
      machineId,
      epoch,
      deadline,
      offer,
      ...(job && { ask: job.ask, gpuJobId: job._id }),
      ...(owner.type === "lane" && { lane: owner.lane }),
    };
  },
});

/** They are there. Of each: whether it is still ours, and until when it may live. */
export const beat = systemMutation({
  args: {
    beats: v.array(
      v.object({
        ...vMachineWord,
        seq: v.number(),
        gpu: v.optional(v.object({ name: v.string(), busy: v.number(), memoryMb: v.number(), celsius: v.optional(v.number()) })),
        diskFreeMb: v.optional(v.number()),
        says: v.optional(v.string()),
      }),
    ),
  },
  /** `isDraining`: it is to take nothing new, and to stop. */
  returns: v.array(v.object({ isCurrent: v.boolean(), until: v.number(), isDraining: v.boolean() })),
  handler: async (turn, { beats }) => {
    const answers = [];
    for (const { machineId, epoch, ...said } of beats) {
      const machine = await turn.db.get(machineId);
      const isCurrent = machine !== null && machine.epoch === epoch && !isOver(machine.life.state);
      const isDraining = isCurrent && machine.life.state === "draining";
      answers.push({ isCurrent, until: isCurrent ? machine.deadline : 0, isDraining });
      const row = isCurrent ? await findBeat(turn, machineId) : null;
      if (row && said.seq >= row.seq) await turn.db.patch(row._id, { ...said, at: turn.now });
    }
    return answers;
  },
});

/** It is not what was paid for: it ends, its work goes elsewhere, and its place is passed over for a while. */
export const refuse = systemMutation({
  args: { ...vMachineWord, says: v.string() },
  returns: v.null(),
  handler: async (turn, { machineId, epoch, says }) => {
    const machine = await turn.db.get(machineId);
    if (machine?.epoch !== epoch) return null;
    const failure = { kind: "invalid" as const, scope: "type" as const, says };
    await move(turn, { ...machine, life: { ...machine.life, failure } }, { type: "end", why: "unfit" });
    return null;
  },
});

/** It says that it has to go. */
export const leave = systemMutation({
  args: { ...vMachineWord, why: v.union(v.literal("preempted"), v.literal("idle"), v.literal("finished")) },
  returns: v.null(),
  handler: async (turn, { machineId, epoch, why }) => {
    const machine = await turn.db.get(machineId);
    if (machine?.epoch === epoch) await move(turn, machine, { type: "end", why });
    return null;
  },
});
