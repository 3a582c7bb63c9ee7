/**
 * What the agent on a machine tells and is told. Times on the wire are spans, never instants: the machine's clock may be wrong by minutes.
 * Agent: appliance/gpu/agent; who answers: appliance/gpu/door.
 */
import { v, type Infer } from "convex/values";

/** What `nvidia-smi` said of one GPU. */
export const vGpuFact = v.object({
  name: v.string(),
  uuid: v.string(),
  memoryMb: v.number(),
  driver: v.string(),
  /** Compute capability, "9.0"; absent where the driver does not tell. */
  compute: v.optional(v.string()),
  /** Since it was started: errors of its memory that could not be corrected. */
  memoryErrors: v.optional(v.number()),
  /** Part of its memory is given up at its next start. */
  isRetiring: v.optional(v.boolean()),
  /** Its own hardware slows it down, for heat or want of power. */
  isThrottled: v.optional(v.boolean()),
});
export type GpuFact = Infer<typeof vGpuFact>;

/** What the agent found where it woke up. */
export const vMachineFacts = v.object({
  gpus: v.array(vGpuFact),
  /** The GPUs are made up by a scenario; shown wherever they are. */
  isSimulated: v.optional(v.boolean()),
  cpus: v.number(),
  memoryMb: v.number(),
  diskFreeMb: v.number(),
  system: v.string(),
});
export type MachineFacts = Infer<typeof vMachineFacts>;

/** How far the machine's work is. `done` and `failed` are said only once everything was handed over. */
export const vWorkState = v.union(
  v.literal("idle"),
  v.literal("fetching"),
  v.literal("running"),
  v.literal("uploading"),
  v.literal("done"),
  v.literal("failed"),
);
export type WorkState = Infer<typeof vWorkState>;

/** Said every 10 s, and at once when `work` changes. */
export const vBeat = v.object({
  /** Of the attempt; an older one is told to end. */
  epoch: v.number(),
  /** Counts from 1; what comes out of order is passed over. */
  seq: v.number(),
  work: vWorkState,
  /** Of the command, once it ended; 128 + n after signal n. */
  exitCode: v.optional(v.number()),
  /** Why it failed when the command was not at fault: the disk was full, a file did not arrive whole. */
  problem: v.optional(v.string()),
  /** Of output written so far. */
  logBytes: v.number(),
  /** Number of the last checkpoint that was handed over. */
  checkpoint: v.optional(v.number()),
  /** The vendor said that it takes the machine away, in so many ms. */
  takenInMs: v.optional(v.number()),
  gpus: v.array(v.object({ usePercent: v.number(), memoryMb: v.number(), celsius: v.optional(v.number()) })),
  diskFreeMb: v.number(),
});
export type Beat = Infer<typeof vBeat>;

/** `stop`: end the work, saving, and hand over what there is. `end`: the machine is to go, at once. */
export const vOrder = v.union(v.literal("stop"), v.literal("end"));
export type Order = Infer<typeof vOrder>;

/** One file, known by its bytes. `path` is relative, with `/`, and leads nowhere above. */
export const vShipped = v.object({
  path: v.string(),
  sha256: v.string(),
  sizeBytes: v.number(),
  isProgram: v.optional(v.boolean()),
});
export type Shipped = Infer<typeof vShipped>;

/** Spans the agent's watchdog keeps to, whoever answers or not. */
export const beatMs = 10_000;
/** Without work and without an answer for this long, the machine ends itself. */
export const idleMsMax = 5 * 60_000;
/** Results that nobody takes in are kept for this long, or to the hard deadline if that is sooner. */
export const resultsMsMax = 30 * 60_000;
/** A machine on which nobody enrolled ends itself after this long; it is also how long an enrolment token is good for. */
export const enrolMsMax = 15 * 60_000;
