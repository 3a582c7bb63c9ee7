import { createHash } from "node:crypto";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { picturesPerDocumentMax } from "../../convex/model/document.ts";
import { isNikaError } from "../../convex/model/error.ts";
import { documentTerms } from "../../ml/retrieve/terms.ts";
import type { Ports } from "../define.ts";
import { unseenMark, type PicturePoint } from "../ports/pictures.ts";
import type { Passage, ReadPicture } from "../ports/reader.ts";
import type { PassageFacts } from "../ports/vectors.ts";
import { pictureTextMax, shownOf } from "./shownPicture.ts";
import { speakerOf } from "./speakerOf.ts";

/** Pictures embedded between two looks at the signal. */
const picturesPerBatchMax = 8;

/** A document that was read, with what is known of it for filters and for showing. */
export type PicturesOf = PassageFacts & {
  readonly tenantId: string;
  readonly documentId: Id<"documents">;
  readonly documentName: string;
  readonly title: string;
  readonly passages: readonly Passage[];
  readonly pictures: readonly ReadPicture[];
};

/**
 * Has a document's pictures found, and no others of it. Those whose bytes, words and embedders are the same as before are not embedded
 * again. When what embeds pictures does not answer they are written all the same and found by their words; true says that some are
 * still to be looked at.
 */
export async function embedPictures(
  { tenantId, documentId, passages, pictures: found, ...facts }: PicturesOf,
  { signal }: { readonly signal: AbortSignal },
  { state, embedder, visual, pictures }: Pick<Ports, "state" | "embedder" | "visual" | "pictures">,
): Promise<boolean> {
  if (!pictures || !visual) return false;
  const key = { tenantId, documentId };
  const rows = new Map((await state.query(internal.pictures.held, { documentId })).map((row) => [row.ordinal, row]));
  const [{ visualId, captionId }, known] = await Promise.all([pictures.spaces(), pictures.marks(key, signal)]);
  const [isSeen, isTold] = [visualId === visual.id, captionId === embedder.id];
  const points: PicturePoint[] = [];
  for (let from = 0; from < Math.min(found.length, picturesPerDocumentMax); from += picturesPerBatchMax) {
    signal.throwIfAborted();
    const batch = found.slice(from, Math.min(from + picturesPerBatchMax, picturesPerDocumentMax)).flatMap((picture, at) => {
      const row = rows.get(from + at);
      // Gone again: its document is being taken away.
      if (!row) return [];
      const speaker = speakerOf(picture, passages);
      const words = wordsOf(picture, { title: facts.title, headings: speaker.headings });
      const mark = markOf(row.sha256, words, isSeen ? visualId : "", isTold ? captionId : "");
      return [{ ordinal: from + at, row, picture, speaker, words, mark, isKnown: known.get(from + at) === mark }];
    });
    const changed = batch.filter(({ isKnown }) => !isKnown);
    const [seen, told] = await Promise.all([
      isSeen && changed.length > 0 ? look(changed, visual, signal) : [],
      isTold && changed.length > 0
        ? embedder.passages(
            changed.map(({ words }) => words),
            signal,
          )
        : [],
    ]);
    for (const one of batch) {
      const at = changed.indexOf(one);
      const [sight, caption] = [seen?.[at], told[at]];
      const made = one.isKnown
        ? undefined
        : { terms: documentTerms(one.words), ...(sight && { visual: sight }), ...(caption && { caption }) };
      points.push({
        ...facts,
        documentId,
        ordinal: one.ordinal,
        pictureId: one.row.id,
        ...shownOf(one.picture),
        ...one.speaker,
        // Nobody looked at it: that is done later, and the next reading finds another mark than this.
        mark: made && isSeen && !seen ? unseenMark : one.mark,
        ...(made && { made }),
      });
    }
  }
  signal.throwIfAborted();
  await pictures.replace(key, points, signal);
  return points.some(({ mark }) => mark === unseenMark);
}

type Changed = readonly { readonly picture: ReadPicture; readonly words: string }[];

/** Undefined when the embedder cannot be had now; an ingest does not wait for somebody else's service. */
async function look(
  changed: Changed,
  visual: NonNullable<Ports["visual"]>,
  signal: AbortSignal,
): Promise<readonly (Float32Array | undefined)[] | undefined> {
  try {
    return await visual.images(
      changed.map(({ picture: { bytes }, words }) => ({ bytes, words })),
      signal,
    );
  } catch (error) {
    if (isNikaError(error) && (error.code === "unavailable" || error.code === "denied")) return undefined;
    throw error;
  }
}

/** What there is to say of a picture: where it stands, what it is called, what is written in it. */
export function wordsOf(
  { caption, text }: Pick<ReadPicture, "caption" | "text">,
  { title, headings = [] }: { readonly title: string; readonly headings?: readonly string[] | undefined },
): string {
  const about = [title, ...headings].filter((part, at, all) => part !== "" && part !== all[at - 1]).join(" › ");
  return [about, caption, text?.slice(0, pictureTextMax)].filter((part) => part !== undefined && part.trim() !== "").join("\n");
}

export const markOf = (...parts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
