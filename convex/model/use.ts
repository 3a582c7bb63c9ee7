/** What is remembered of how searches were used, for who learns from it. Only the owner's machine holds it, and only where it may. */
import { v, type Infer } from "convex/values";

/** A passage, named as everywhere: the document and its position in it. */
export const vPassageName = v.object({ documentId: v.string(), ordinal: v.number() });
export type PassageName = Infer<typeof vPassageName>;

/** What somebody did with a passage that was shown. */
export const vReactionType = v.union(
  v.literal("opened"),
  v.literal("cited"),
  v.literal("copied"),
  v.literal("liked"),
  v.literal("disliked"),
);
export type ReactionType = Infer<typeof vReactionType>;

/** A question that was asked, and what was shown. */
export type Asked = {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Who or what asked in one go: a browser's session, an agent's. */
  readonly session: string;
  readonly question: string;
  readonly shown: readonly PassageName[];
};

export type Reaction = { readonly askId: string; readonly at: number; readonly type: ReactionType } & PassageName;
