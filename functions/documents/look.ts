import { internal } from "../../convex/_generated/api.js";
import { isNikaError } from "../../convex/model/error.ts";
import { lookAgainMs } from "../../convex/model/picture.ts";
import { defineFunction } from "../define.ts";
import type { SeenPicture } from "../ports/pictures.ts";
import { markOf, wordsOf } from "./embedPictures.ts";

/** No larger picture is kept. */
const bytesMax = 48 * 1024 * 1024;
/** Pictures embedded between two looks at the signal. */
const picturesPerBatchMax = 8;

/** Embeds the pictures of a document that were stored while what embeds them did not answer; while it still does not, waits. */
export const lookAtPictures = defineFunction({
  kind: "documents.look",
  needs: ["state", "files", "embedder", "visual", "pictures"],
  run: async ({ args: { documentId }, signal, progress }, { state, files, embedder, visual, pictures }) => {
    const file = await state.query(internal.documents.fileForIngest, { documentId });
    if (!file || file.state === "forgetting" || !visual || !pictures) return { type: "done" };
    const document = { tenantId: file.tenantId, documentId };
    const [{ visualId, captionId }, unseen] = await Promise.all([pictures.spaces(), pictures.unseen(document, signal)]);
    // Another embedder is in force: what it makes would not belong here.
    if (visualId !== visual.id) return { type: "done" };
    const rows = new Map((await state.query(internal.pictures.held, { documentId })).map((row) => [row.ordinal, row]));
    for (let from = 0; from < unseen.length; from += picturesPerBatchMax) {
      signal.throwIfAborted();
      const batch: { bytes: Uint8Array; words: string; ordinal: number; mark: string }[] = [];
      for (const picture of unseen.slice(from, from + picturesPerBatchMax)) {
        const row = rows.get(picture.ordinal);
        const stored = row && (await state.query(internal.pictures.forServing, { id: row.id }));
        if (!row || !stored) continue;
        const words = wordsOf(picture, picture);
        const mark = markOf(row.sha256, words, visualId, captionId === embedder.id ? captionId : "");
        batch.push({ bytes: await files.read(stored.url, { bytesMax, signal }), words, ordinal: picture.ordinal, mark });
      }
      let vectors: readonly (Float32Array | undefined)[];
      try {
        vectors = await visual.images(batch, signal);
      } catch (error) {
        if (isNikaError(error) && (error.code === "unavailable" || error.code === "denied"))
          return { type: "snoozed", delayMs: lookAgainMs };
        throw error;
      }
      const seen = batch.map(({ ordinal, mark }, at): SeenPicture => {
        const visual = vectors[at];
        return { ordinal, mark, ...(visual && { visual }) };
      });
      await pictures.see(document, seen, signal);
      progress(Math.min(unseen.length, from + picturesPerBatchMax), unseen.length);
    }
    return { type: "done" };
  },
});
