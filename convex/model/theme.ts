/** What documents are about: what is kept of each so that themes can be found among all of them. */
import { v, type Infer } from "convex/values";

/** About 2 KB: see ml/organize/themes.ts. `vector` holds one signed byte a dimension, of a vector of length 1. */
export const vProfile = v.object({
  language: v.string(),
  vector: v.bytes(),
  terms: v.array(v.object({ stem: v.string(), word: v.string(), weight: v.number() })),
});
export type Profile = Infer<typeof vProfile>;

/** Themes are looked for again when at least this many documents came since, and a tenth of all. */
export const freshMin = 6;
export const freshShare = 0.1;
/** A page of profiles: within what one query may read. */
export const profilesPerPage = 500;
