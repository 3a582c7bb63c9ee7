/** What the owner sets about machines that are rented for work, and what is shown of it. */
import { v, type Infer } from "convex/values";
import { NikaError } from "./error.ts";
import { vProviderId } from "./gpu.ts";
import { scalingDefaults, vPoolMachine, vScalingSettings, vSignals, vWorkClass, type ScalingSettings } from "./scale.ts";

/** Where such machines may come from and what they must have. */
export const vScalingWhere = v.object({
  /** Absent: all that are set up, but not this machine itself, which would gain nothing. */
  providers: v.optional(v.array(vProviderId)),
  isInEu: v.boolean(),
  maySpot: v.boolean(),
  cpus: v.number(),
  memoryMb: v.number(),
  /** An image with this version of Nika in it, for containers elsewhere. */
  image: v.optional(v.string()),
});
export type ScalingWhere = Infer<typeof vScalingWhere>;
export const whereDefaults: ScalingWhere = { isInEu: true, maySpot: false, cpus: 2, memoryMb: 4_000 };

export const vScalingPlan = v.object({ settings: vScalingSettings, where: vScalingWhere });
export type ScalingPlan = Infer<typeof vScalingPlan>;
export const planDefaults: ScalingPlan = { settings: scalingDefaults, where: whereDefaults };

export const vDecisionView = v.object({
  id: v.id("scalingDecisions"),
  at: v.number(),
  add: v.number(),
  remove: v.number(),
  need: v.number(),
  /** One sentence each: what and why, and where. */
  says: v.string(),
  where: v.optional(v.string()),
});
export type DecisionView = Infer<typeof vDecisionView>;

export const vScalingView = v.object({
  ...vScalingPlan.fields,
  /** When it was last looked at, and what was seen then; absent before the first look. */
  look: v.optional(
    v.object({
      at: v.number(),
      says: v.string(),
      where: v.optional(v.string()),
      need: v.number(),
      signals: vSignals,
      work: v.array(vWorkClass),
      home: v.object({ slots: v.number(), busy: v.number() }),
      pool: v.array(vPoolMachine),
    }),
  ),
  /** Newest first: looks that rented or let go something, or that said something new. */
  decisions: v.array(vDecisionView),
});
export type ScalingView = Infer<typeof vScalingView>;

/** The most machines anybody may set; more than that is another design. */
export const machinesMax = 50;
/** A machine is given this long at first; it goes earlier when it is of no use, and others come after it when it is. */
export const workerLifeMs = 6 * 3_600_000;
/** So long before its end a machine takes nothing new. */
export const workerWindDownMs = 10 * 60_000;

/** Fails with `invalid` for what makes no sense. */
export function mustMakeSense({ min, max, cpuMax, memoryMax, queueMax, targetWaitMs }: ScalingSettings): void {
  const isWhole = (value: number): boolean => Number.isInteger(value) && value >= 0;
  if (!isWhole(min) || !isWhole(max) || min > max || max > machinesMax)
    throw new NikaError("invalid", `The least and the most machines are whole numbers up to ${machinesMax}, the least first.`);
  const isShare = (value: number): boolean => value > 0 && value <= 1;
  if (!isShare(cpuMax) || !isShare(memoryMax))
    throw new NikaError("invalid", "A share of processors or memory is from 1 to 100 %.");
  if (!isWhole(queueMax)) throw new NikaError("invalid", "The number of jobs that may wait is a whole number.");
  if (!(targetWaitMs >= 10_000 && targetWaitMs <= 24 * 3_600_000))
    throw new NikaError("invalid", "Work may be made to wait from 10 s to a day.");
}
