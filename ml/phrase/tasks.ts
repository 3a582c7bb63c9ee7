/** One wish that is several: "read the news; ask when the lease ends", "prépare le rapport puis envoie à homelab : prêt". */
import { fold } from "./text.ts";

export type Tasks = {
  readonly tasks: readonly string[];
  /** One after the other, because the words say so. */
  readonly isInTurn: boolean;
};

/** A semicolon sets them side by side; "then" puts them in a row. Quotes hold together what is in them. */
const beside = /\s*;\s*/gu;
const after = /\s*(?:[,;]\s*|\b(?:et|and)\s+)?\b(?:puis|ensuite|then|after that|apres quoi)\b[ ,:]*/gu;
const numbered = /^(?:\d{1,2}[.)]|[-•*])\s+/u;

/** Fewer than two: it is one wish. */
export function splitTasks(text: string): Tasks {
  const isInTurn = pieces(text, after).length > 1;
  const tasks = (isInTurn ? pieces(text, after).flatMap((part) => pieces(part, beside)) : pieces(text, beside))
    .map((part) =>
      part
        .replace(numbered, "")
        .replace(/^[,:]\s*|[\s,;:]+$/gu, "")
        .trim(),
    )
    .filter((part) => part !== "");
  return { tasks, isInTurn };
}

function pieces(text: string, separator: RegExp): string[] {
  const plain = text.normalize("NFC");
  const folded = fold(plain).replaceAll(/«[^»]*»|"[^"]*"|“[^”]*”/gu, (span) => "_".repeat(span.length));
  const found: string[] = [];
  let from = 0;
  for (const match of folded.matchAll(separator)) {
    found.push(plain.slice(from, match.index));
    from = match.index + match[0].length;
  }
  return [...found, plain.slice(from)].filter((part) => part.trim() !== "");
}
