/**
 * Which vectors searches go by. A generation is one embedder, the collection that holds what it made of the vault, and how its ranking is
 * joined with the one by words: the three change together or not at all.
 */
import { v, type Infer } from "convex/values";
import { vFusion } from "./model.ts";

/**
 * `planned`: wanted, nothing is there yet. `copying`: its collection is being filled, and every write goes to it as well. `checking`: all is
 * in it and is compared. `live`: searches go by it. `kept`: searches went by it; it is still written, so that going back loses nothing.
 * `leaving`: nobody asks it any more, its collection is about to be dropped. `gone`: history.
 */
export const vGenerationState = v.union(
  v.literal("planned"),
  v.literal("copying"),
  v.literal("checking"),
  v.literal("live"),
  v.literal("kept"),
  v.literal("leaving"),
  v.literal("gone"),
);
export type GenerationState = Infer<typeof vGenerationState>;

/** What a request reads, once, and keeps to until it is answered. */
export const vSpace = v.object({
  generationId: v.id("generations"),
  /** Its own name at the store, not the alias: that one moves. */
  collection: v.string(),
  embedderId: v.string(),
  dimensions: v.number(),
  fusion: vFusion,
});
export type Space = Infer<typeof vSpace>;

/** The space in force and the one beside it, which is written along: one that is being filled, or the last one. */
export const vSpaces = v.object({ live: v.union(vSpace, v.null()), beside: v.union(vSpace, v.null()) });
export type Spaces = Infer<typeof vSpaces>;

export const vGenerationView = v.object({
  id: v.id("generations"),
  number: v.number(),
  state: vGenerationState,
  /** "baseline", "bge", or the id of a model that was trained here. */
  wanted: v.string(),
  embedderId: v.optional(v.string()),
  fusion: vFusion,
  /** Who asked for it: "owner", "schedule", or "start" for what was found at a start. */
  by: v.string(),
  /** Why it was put in force although its verdict is of another time. */
  reason: v.optional(v.string()),
  /** When it was asked for, came in force, and ceased to be. Milliseconds since 1970. */
  at: v.number(),
  liveAt: v.optional(v.number()),
  endedAt: v.optional(v.number()),
  /** Passages in it and passages in all, while it is being filled. */
  done: v.optional(v.number()),
  total: v.optional(v.number()),
  /** False when nobody works on it although it is not finished: `deploy` takes it up again. */
  isWorkedOn: v.optional(v.boolean()),
  problem: v.optional(v.string()),
});
export type GenerationView = Infer<typeof vGenerationView>;

export const vGenerationsView = v.object({
  live: v.union(vGenerationView, v.null()),
  moving: v.union(vGenerationView, v.null()),
  kept: v.union(vGenerationView, v.null()),
  /** Until when that one is kept. */
  keptUntil: v.optional(v.number()),
  /** Newest first. */
  past: v.array(vGenerationView),
});
export type GenerationsView = Infer<typeof vGenerationsView>;

/** The last space is kept for so long, or until the next move begins. */
export const keptAfterSwitchMs = 7 * 24 * 3_600_000;
/** A space that is not asked any more goes this much later: who began to search in it a moment ago is answered first. */
export const dropAfterMs = 60_000;
/** A move that nobody works on is given up after this. */
export const stalledMs = 24 * 3_600_000;
export const pastKeptMax = 20;

/** Of a model that was trained here. Its files' fingerprint is part of the id: other files, other vectors. */
export const learnedId = (modelId: string, fingerprint: string): string => `nika-learned-${modelId}-${fingerprint}`;
const learnedPattern = /^nika-learned-(?<modelId>[^-]+)-(?<fingerprint>[^-]+)$/u;

/** What `deploy` is asked for to have this embedder. */
export function wantedOf(embedderId: string): string {
  if (embedderId.startsWith("nika-baseline-")) return "baseline";
  if (embedderId.startsWith("bge-")) return "bge";
  return learnedPattern.exec(embedderId)?.groups?.["modelId"] ?? embedderId;
}
