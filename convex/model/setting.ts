import { v, type Infer } from "convex/values";

/** What the owner may change at run time. */
export const vSettings = v.object({
  language: v.union(v.literal("en"), v.literal("fr"), v.literal("auto")),
  theme: v.union(v.literal("auto"), v.literal("dark"), v.literal("light")),
  /** Whether what is handed in waits for the owner's word before it counts. */
  review: v.optional(v.boolean()),
});
export type Settings = Infer<typeof vSettings>;

export const defaultSettings: Settings = { language: "auto", theme: "auto" };
