/** What the page shows besides text, taken from where it is kept. */
import { internal } from "../convex/_generated/api.js";
import { ownerTenant } from "../convex/model/tenant.ts";
import { NikaError } from "../convex/model/error.ts";
import type { Ports } from "../functions/define.ts";
import type { PictureSearch } from "../functions/vault/pictures.ts";
import type { Media } from "./http/media.ts";
import type { PictureRequest } from "./http/vault.ts";

/** Pictures are cut out of pages and made small; one that is larger was not made by us. */
const pictureBytesMax = 32 * 1024 * 1024;

export function mediaOf({ state, files, reader, vectors }: Pick<Ports, "state" | "files" | "reader" | "vectors">): Media {
  return {
    async picture(id, signal) {
      const picture = await state.query(internal.pictures.forServing, { id });
      if (!picture) return undefined;
      return { bytes: await files.read(picture.url, { bytesMax: pictureBytesMax, signal }), mediaType: picture.mediaType };
    },
    async page(documentId, { page, widthMax }, signal) {
      const file = await state.query(internal.pictures.fileForServing, { id: documentId });
      if (!file) return undefined;
      const bytes = files.open(file.url, { sizeBytes: file.sizeBytes });
      const image = await reader.page(bytes, { name: file.name, page, widthMax, signal });
      return image && { bytes: image, mediaType: "image/webp" };
    },
    async file(documentId) {
      const file = await state.query(internal.pictures.fileForServing, { id: documentId });
      if (!file) return undefined;
      const bytes = files.open(file.url, { sizeBytes: file.sizeBytes });
      return { bytes, mediaType: "application/octet-stream", fileName: file.name.slice(file.name.lastIndexOf("/") + 1) };
    },
    async passages(documentId, { from, to }, signal) {
      return { passages: await vectors.passages({ tenantId: ownerTenant, documentId, from, to }, signal) };
    },
  };
}

/** What is asked with: words, bytes that were sent, or a picture that is kept, with the words that belong to it. */
export async function toPictureSearch(
  { imageId, image, question, ...asked }: PictureRequest,
  { state, files }: Pick<Ports, "state" | "files">,
  signal: AbortSignal,
): Promise<Omit<PictureSearch, "tenantId"> & ({ question: string } | { like: { bytes: Uint8Array; words: string } })> {
  if (question !== undefined) return { ...asked, question };
  if (image) return { ...asked, like: { bytes: image, words: "" } };
  const picture = await state.query(internal.pictures.forServing, { id: imageId ?? "" });
  if (!picture) throw new NikaError("missing", "There is no such picture; its document may have been forgotten.");
  const bytes = await files.read(picture.url, { bytesMax: pictureBytesMax, signal });
  return { ...asked, like: { bytes, words: picture.words } };
}
