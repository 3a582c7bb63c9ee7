import { v, type Infer } from "convex/values";

/** What becomes of a document whose file is deleted from a watched folder: it stays, or it is forgotten as well. */
export const vWatchMode = v.union(v.literal("keep"), v.literal("mirror"));
export type WatchMode = Infer<typeof vWatchMode>;

/** Files of one watched folder. More would make each look at it too long. */
export const watchedFilesMax = 50_000;
/** Folders. Each holds some of the system's watches. */
export const watchesMax = 50;

/** How the last look at the folder went. */
export const vWatchReport = v.object({ at: v.number(), files: v.number(), problem: v.optional(v.string()) });
export type WatchReport = Infer<typeof vWatchReport>;

/** A watched folder as the owner sees it. */
export const vWatchView = v.object({
  id: v.id("watches"),
  path: v.string(),
  mode: vWatchMode,
  isReviewed: v.boolean(),
  isPaused: v.boolean(),
  addedAt: v.number(),
  report: v.optional(vWatchReport),
});
export type WatchView = Infer<typeof vWatchView>;

/** A file as a watch last saw it: unchanged while both are the same. Milliseconds since 1970. */
export const vSeen = v.object({ watchId: v.id("watches"), sizeBytes: v.number(), mtimeMs: v.number() });
export type Seen = Infer<typeof vSeen>;
