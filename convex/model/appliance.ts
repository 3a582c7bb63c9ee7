import { v, type Infer } from "convex/values";

const about = {
  name: v.string(),
  version: v.string(),
  /** Which parts the appliance runs on: its own, or the real ones. */
  mode: v.object({
    state: v.union(v.literal("embedded"), v.literal("convex")),
    vectors: v.union(v.literal("embedded"), v.literal("qdrant")),
  }),
  embedder: v.object({ id: v.string(), label: v.string(), isBaseline: v.boolean() }),
  /** Milliseconds since 1970. */
  startedAt: v.number(),
};

/** What the appliance says about itself when it starts. */
export const vReport = v.object(about);
export type Report = Infer<typeof vReport>;

export const vStatus = v.object({ ...about, passages: v.number() });
export type Status = Infer<typeof vStatus>;

/** How hard the machine is at it, in shares from 0 to 1. */
export const vPressure = v.object({
  /** Of all processors, kept busy by others than Nika. */
  cpu: v.number(),
  /** Of memory, in use. */
  memory: v.number(),
  /** Of all processors, kept busy by anybody. */
  allCpu: v.optional(v.number()),
  /** Of time, in which something waited for a processor, or for memory; absent where the system does not tell. */
  cpuStall: v.optional(v.number()),
  memoryStall: v.optional(v.number()),
  /** Of time, in which everybody waited for a disk. */
  disk: v.number(),
  /** Of the disk that the data is on, in use. */
  diskUsed: v.number(),
});
export type Pressure = Infer<typeof vPressure>;

/** How many files are read at a time, of how many when the machine is quiet, and what keeps it from more. */
export const vReadingRoom = v.object({
  slots: v.number(),
  slotsMax: v.number(),
  because: v.optional(v.union(v.literal("cpu"), v.literal("memory"), v.literal("disk"))),
  pressure: v.optional(vPressure),
});
export type ReadingRoom = Infer<typeof vReadingRoom>;

/**
 * As many passages as the embedded store is right for: it looks at all that a filter leaves, so a question's time grows with them; at a
 * million each ranking by vectors reads some 200 MB of memory. Measured in docs/vectors.md.
 */
export const embeddedPassagesMax = 500_000;

/** What to do about a vault that has outgrown the embedded store; undefined while it has not. */
export function vaultAdvice({ mode, passages }: { mode: { vectors: string }; passages: number }): string | undefined {
  if (mode.vectors !== "embedded" || passages <= embeddedPassagesMax) return undefined;
  return "Searches grow slow at this size; move the vault to a Qdrant: NIKA_QDRANT=docker, or NIKA_QDRANT_URL (docs/vectors.md).";
}
