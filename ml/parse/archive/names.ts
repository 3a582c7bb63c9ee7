import { toDocumentName } from "../../../convex/model/document.ts";

/** What file managers and packers leave in archives for themselves. */
const litter = /(?:^|\/)(?:__MACOSX\/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._[^/]*$)/iu;

export function isLitter(name: string): boolean {
  return litter.test(name.replaceAll("\\", "/"));
}

/** The name of an entry as a label below its archive: no way up, no drive, no root, nothing that hides. */
export function toEntryName(raw: string): string {
  const parts = toDocumentName(raw)
    .split("/")
    .map((part) => part.trim())
    .filter((part) => part !== "" && part !== "." && part !== ".." && !/^[A-Za-z]:$/u.test(part));
  return toDocumentName(parts.join("/"));
}

/** Gives the second of two equal names another one, so that both are kept: "a.txt", "a (2).txt". */
export class NameKeeper {
  readonly #seen = new Map<string, number>();

  next(raw: string): string {
    const name = toEntryName(raw);
    const count = (this.#seen.get(name) ?? 0) + 1;
    this.#seen.set(name, count);
    if (count === 1) return name;
    const dot = name.lastIndexOf(".");
    return dot > name.lastIndexOf("/") + 1 ? `${name.slice(0, dot)} (${count})${name.slice(dot)}` : `${name} (${count})`;
  }
}
