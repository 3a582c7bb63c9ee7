import { v, type Infer } from "convex/values";
import { vBox } from "./place.ts";

/** Until pictures are looked at again that could not be embedded: what embeds them may be down for minutes or for days. */
export const lookAgainMs = 10 * 60_000;

/** The only ones Nika makes, and the only ones it serves. */
export const vMediaType = v.union(v.literal("image/webp"), v.literal("image/png"), v.literal("image/jpeg"));

const facts = {
  /** Position among the pictures of its document, from 0. */
  ordinal: v.number(),
  type: v.union(v.literal("figure"), v.literal("page"), v.literal("image")),
  mediaType: vMediaType,
  width: v.number(),
  height: v.number(),
  page: v.optional(v.number()),
  box: v.optional(vBox),
  caption: v.optional(v.string()),
  /** Recognised in it, and how sure the recogniser was, 0 to 100. */
  text: v.optional(v.string()),
  confidence: v.optional(v.number()),
};

/** A picture taken out of a document. */
export const vPictureFacts = v.object(facts);
export type PictureFacts = Infer<typeof vPictureFacts>;

export const vPictureView = v.object({ id: v.id("pictures"), documentId: v.id("documents"), sizeBytes: v.number(), ...facts });
export type PictureView = Infer<typeof vPictureView>;
