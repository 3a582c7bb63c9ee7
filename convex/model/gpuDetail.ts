/** One piece of work, or one machine, as it is looked at closely. Amounts are micro-EUR. */
import { v, type Infer } from "convex/values";
import { vMachineFacts } from "./agent.ts";
import { costOf } from "./budget.ts";
import { vFailure, vMoney, vNeed, vOffer } from "./gpu.ts";
import { vGpuJobView } from "./gpuJob.ts";
import { vEndReason, vMachineState, vMachineView } from "./machine.ts";

/** A machine that it was on, or that was asked for in vain. */
const vAttempt = v.object({
  attempt: v.number(),
  machineId: v.id("machines"),
  name: v.string(),
  offer: vOffer,
  /** As people are told it. */
  state: vMachineState,
  why: v.optional(vEndReason),
  failure: v.optional(vFailure),
  createdAt: v.number(),
  /** Absent when it never was there. */
  startedAt: v.optional(v.number()),
  endedAt: v.optional(v.number()),
  spent: v.number(),
  /** Of the ledger while it may be there, whatever its vendor bills in; 0 once it is gone. */
  hourly: v.number(),
});
export type Attempt = Infer<typeof vAttempt>;

const unmade: ReadonlySet<Attempt["state"]> = new Set(["intended", "creating", "unknownOutcome"]);

/** What a machine came to, or has come to by now, in micro-EUR by the ledger's price and rate: what is begun of a quantum counts whole. */
export function costSoFar({ offer, state, spent, hourly, createdAt }: Attempt, now: number): number {
  if (hourly === 0 || unmade.has(state)) return spent;
  return costOf({ ...offer, hourly: { micros: hourly, currency: "EUR" } }, now - createdAt).micros;
}

/** Of all machines of a piece of work. */
export const jobCostSoFar = ({ view, attempts }: Pick<GpuJobDetail, "view" | "attempts">, now: number): number =>
  attempts.reduce((sum, one) => sum + costSoFar(one, now) - one.spent, view.spent);

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
