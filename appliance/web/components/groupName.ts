import type { Grouping } from "../../../convex/model/batch.ts";
import { domainDefault, type Format, type Problem } from "../../../convex/model/document.ts";
import type { Words } from "../language/words.ts";

/** What a group is called; what Nika has no word for is called as it is. */
export function groupName(
  { by, value }: { readonly by: Grouping; readonly value: string },
  words: Words,
  languageName: (code: string) => string,
): string {
  switch (by) {
    case "type":
      return words.document.types[value as keyof Words["document"]["types"]] ?? value;
    case "language":
      return languageName(value) || words.batches.unknownLanguage;
    case "theme":
      return value === domainDefault ? words.batches.general : value;
    case "folder":
      return value || words.batches.none;
    case "format":
      return words.formats[value as Format] ?? value;
    case "problem":
      return words.problems[value as Problem] ?? value;
  }
}
