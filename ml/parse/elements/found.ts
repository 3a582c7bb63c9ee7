import type { Element } from "../../../convex/model/document.ts";

/** A fact and where in the text it stands: the offset of its first character. */
export type Found = Element & { readonly at: number };
