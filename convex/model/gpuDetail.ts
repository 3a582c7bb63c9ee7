/** One piece of work, or one machine, as it is looked at closely. Amounts are micro-EUR. */
import { v, type Infer } from "convex/values";
import { vMachineFacts } from "./agent.ts";
import { vFailure, vMoney, vNeed, vOffer } from "./gpu.ts";
import { vGpuJobView } from "./gpuJob.ts";
import { vEndReason, vMachineState, vMachineView } from "./machine.ts";

/** A machine that it was on, or that was asked for in vain. */
const vAttempt = v.object({
  attempt: v.number(),
  machineId: v.id("machines"),
  name: v.string(),
  offer: vOffer,
  state: vMachineState,
  why: v.optional(vEndReason),
  failure: v.optional(vFailure),
  createdAt: v.number(),
  /** Absent when it never was there. */
  startedAt: v.optional(v.number()),
  endedAt: v.optional(v.number()),
  spent: v.number(),
});
export type Attempt = Infer<typeof vAttempt>;

export const vGpuJobDetail = v.object({
  view: vGpuJobView,
  command: v.array(v.string()),
  image: v.optional(v.string()),
  need: vNeed,
  runMsMax: v.number(),
  costMax: v.optional(vMoney),
  /** In the order in which they were asked for. */
  attempts: v.array(vAttempt),
  /** Newest first; those that are kept. */
  checkpoints: v.array(v.object({ attempt: v.number(), seq: v.number(), at: v.number() })),
  /** Official results, as far as they are shown; `url` gives their bytes. */
  results: v.array(v.object({ path: v.string(), sizeBytes: v.number(), sha256: v.string(), url: v.union(v.string(), v.null()) })),
});
export type GpuJobDetail = Infer<typeof vGpuJobDetail>;

export const vMachineDetail = v.object({
  view: vMachineView,
  facts: v.optional(vMachineFacts),
  /** What it said last of what it does. */
  beat: v.optional(
    v.object({
      diskFreeMb: v.optional(v.number()),
      gpu: v.optional(v.object({ name: v.string(), busy: v.number(), memoryMb: v.number(), celsius: v.optional(v.number()) })),
    }),
  ),
  job: v.optional(v.object({ id: v.id("gpuJobs"), label: v.string() })),
  spent: v.number(),
  reserved: v.number(),
  /** Who ends it should nobody else: when its account was last read to the end, and whether its vendor keeps a timer. */
  sweptAt: v.optional(v.number()),
  hasTtl: v.boolean(),
  endAsks: v.number(),
  cleanLooks: v.number(),
});
export type MachineDetail = Infer<typeof vMachineDetail>;
