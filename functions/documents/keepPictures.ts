import { createHash } from "node:crypto";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { picturesPerDocumentMax } from "../../convex/model/document.ts";
import type { PictureFacts } from "../../convex/model/picture.ts";
import type { Ports } from "../define.ts";
import type { ReadPicture } from "../ports/reader.ts";
import { shownOf } from "./shownPicture.ts";

/** Keeps the pictures of a document, and no others. Those that an earlier try kept are not sent again. */
export async function keepPictures(
  documentId: Id<"documents">,
  found: readonly ReadPicture[],
  { signal }: { readonly signal: AbortSignal },
  { state, files }: Pick<Ports, "state" | "files">,
): Promise<void> {
  const pictures = found.slice(0, picturesPerDocumentMax);
  const held = await state.query(internal.pictures.held, { documentId });
  if (pictures.length === 0 && held.length === 0) return;
  const known = new Map(held.map(({ ordinal, sha256 }) => [ordinal, sha256]));
  for (const [ordinal, picture] of pictures.entries()) {
    if (known.get(ordinal) === createHash("sha256").update(picture.bytes).digest("hex")) continue;
    signal.throwIfAborted();
    const url = await state.mutation(internal.sources.uploadUrl, {});
    const storageId = (await files.write(url, picture.bytes, { signal })) as Id<"_storage">;
    signal.throwIfAborted();
    await state.mutation(internal.pictures.put, { documentId, storageId, facts: toFacts(picture, ordinal) });
  }
  if (held.some(({ ordinal }) => ordinal >= pictures.length))
    await state.mutation(internal.pictures.trim, { documentId, count: pictures.length });
}

function toFacts(picture: ReadPicture, ordinal: number): PictureFacts {
  const { mediaType, confidence } = picture;
  return { ordinal, mediaType, ...shownOf(picture), ...(confidence !== undefined && { confidence }) };
}
