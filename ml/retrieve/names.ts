import { words } from "./words.ts";

/** The words a person may be asked for by: "Ada Lorne <ada@mill.org>" → ada, lorne, ada@mill.org, mill, org. */
export function nameWords(name: string): string[] {
  return [...new Set(words(name).map((word) => word.form))];
}

/** The folders a document's name says it is in, outermost first: "clients/2025/a.pdf" → clients, clients/2025. Lower case. */
export function foldersOf(documentName: string): string[] {
  const parts = toFolder(documentName).split("/").slice(0, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
}

/** A folder as `foldersOf` writes it. */
export function toFolder(name: string): string {
  return name
    .replaceAll("\\", "/")
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")
    .toLowerCase();
}
