import type { Place } from "../../convex/model/place.ts";

/**
 * What is embedded and indexed for a passage: "title › heading path", then its text. A passage rarely repeats what its document is
 * about, and people ask with those words. The table row or page number is left out: it says where, not what.
 */
export function textToEmbed({ title, place, text }: { title: string; place: Place; text: string }): string {
  const path = [title, ...(place.headings ?? [])].filter((part, at, all) => part !== "" && part !== all[at - 1]);
  return path.length === 0 ? text : `${path.join(" › ")}\n${text}`;
}
