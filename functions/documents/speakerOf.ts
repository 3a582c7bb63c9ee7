import type { Passage, ReadPicture } from "../ports/reader.ts";

/** Which passage speaks for a picture, by its position, and the headings it stands under. */
export type Speaker = { readonly passage?: number; readonly headings?: readonly string[] };

/**
 * The passage made of the figure itself, by its caption or text; else the one around it on its page; else, of a document that is a
 * picture, its first. Headings are those of that passage. Pictures without any of these stand alone.
 */
export function speakerOf(picture: ReadPicture, passages: readonly Passage[]): Speaker {
  const said = [picture.caption ?? "", picture.text ?? ""].filter((part) => part.trim() !== "");
  const own = passages.findIndex(({ kind, text, place }) => {
    const isThere = picture.page === undefined || place.page === undefined || place.page === picture.page;
    return kind === "figure" && isThere && said.some((part) => text.startsWith(start(part)));
  });
  const captioned = own !== -1 ? own : passages.findIndex(({ text }) => said.some((part) => text.includes(start(part))));
  const near = captioned !== -1 ? captioned : nearest(picture, passages);
  const speaker = passages[near];
  if (!speaker) return {};
  const { headings } = speaker.place;
  return { passage: near, ...(headings && headings.length > 0 && { headings }) };
}

/** A passage may be cut; its first words are enough to know it by. */
const start = (text: string): string => text.trim().slice(0, 60);

/** On the picture's page, the last passage that begins above it; the first one there when none does. */
function nearest({ type, page, box }: ReadPicture, passages: readonly Passage[]): number {
  if (type === "image" && page === undefined) return passages.length > 0 ? 0 : -1;
  if (page === undefined) return -1;
  const there = passages.map(({ place }, at) => ({ place, at })).filter(({ place }) => place.page === page);
  const above = box ? there.filter(({ place }) => place.box !== undefined && place.box.top <= box.top) : [];
  return (above.at(-1) ?? there[0])?.at ?? -1;
}
