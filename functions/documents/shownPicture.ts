import type { ReadPicture } from "../ports/reader.ts";

/** As much text of a picture as anybody reads under it; the rest is in the passages. */
export const pictureTextMax = 4_000;

/** What is kept of a picture beside its bytes, to show it by: the same in its row and in what finds it. */
export function shownOf({ type, width, height, page, box, caption, text }: ReadPicture) {
  return {
    type,
    width,
    height,
    ...(page !== undefined && { page }),
    ...(box && { box }),
    ...(caption !== undefined && { caption: caption.slice(0, pictureTextMax) }),
    ...(text !== undefined && { text: text.slice(0, pictureTextMax) }),
  };
}
