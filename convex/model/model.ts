/** Models that were learned here: what is known of each, and which one searches go by. */
import { v, type Infer } from "convex/values";

/** How the ranking by vectors and the one by words become one; see ml/retrieve/fuse.ts. Chosen with a model and in force with it. */
export const vFusion = v.object({
  method: v.union(v.literal("ranks"), v.literal("scores")),
  /** Of ranks: what weights act on. */
  k: v.number(),
  dense: v.number(),
  lexical: v.number(),
});
export type Fusion = Infer<typeof vFusion>;

/** What holds until a model brings its own. */
export const fusionDefault: Fusion = { method: "ranks", k: 2, dense: 1, lexical: 2 };
