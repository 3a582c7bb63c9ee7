/** What the page shows besides text, taken from where it is kept. */
import { internal } from "../convex/_generated/api.js";
import { documentBytesMax } from "../convex/model/document.ts";
import { ownerTenant } from "../convex/model/tenant.ts";
import type { Ports } from "../functions/define.ts";
import type { Media } from "./http/media.ts";

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
      const bytes = await files.read(file.url, { bytesMax: documentBytesMax, signal });
      const image = await reader.page(bytes, { name: file.name, page, widthMax, signal });
      return image && { bytes: image, mediaType: "image/webp" };
    },
    async file(documentId, signal) {
      const file = await state.query(internal.pictures.fileForServing, { id: documentId });
      if (!file) return undefined;
      const bytes = await files.read(file.url, { bytesMax: documentBytesMax, signal });
      return { bytes, mediaType: "application/octet-stream", fileName: file.name.slice(file.name.lastIndexOf("/") + 1) };
    },
    async passages(documentId, { from, to }, signal) {
      return { passages: await vectors.passages({ tenantId: ownerTenant, documentId, from, to }, signal) };
    },
  };
}
