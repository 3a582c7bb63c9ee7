/** The flags that limit what a search finds, and what is asked by them. */
import { InvalidArgumentError, type Command } from "commander";
import { entityTypes } from "../../convex/model/document.ts";
import { jsonFlag, type JsonFlag } from "./context.ts";

export type SearchFlags = JsonFlag & {
  readonly limit: number;
  readonly explain?: true;
  readonly type?: string[];
  readonly language?: string[];
  readonly from?: number;
  readonly to?: number;
  readonly author?: string;
  readonly in?: string;
  readonly newest?: true;
};

export function addSearchFlags(command: Command): void {
  command
    .option("--type <type>", `only documents of this type; may be repeated (${entityTypes.join(", ")})`, typesOf)
    .option("--language <code>", "only documents in this language, such as en or fr; may be repeated", together)
    .option("--from <date>", "only what was written on that day or later, as in 2025-03-01", dayOf)
    .option("--to <date>", "only what was written on that day or before", dayOf)
    .option("--author <name>", "only what has this name or address among its author and people")
    .option("--in <folder>", "only documents in this folder")
    .option("--newest", "newer documents first, where they answer as well")
    .option("--explain", "say of each passage how it was found")
    .addOption(jsonFlag());
}

/** What these flags ask of a search. */
export function toAskOptions({ limit, json, explain, type, language, from, to, author, in: folder, newest }: SearchFlags) {
  const filter = {
    ...(type && { types: type }),
    ...(language && { languages: language.map((code) => code.toLowerCase()) }),
    ...(from !== undefined && { from }),
    // The day itself is meant, too.
    ...(to !== undefined && { to: to + 86_400_000 }),
    ...(author !== undefined && { author }),
    ...(folder !== undefined && { folder }),
  };
  return {
    limit,
    json: json === true,
    explain: explain === true,
    ...(Object.keys(filter).length > 0 && { filter }),
    ...(newest && { weights: { recency: 0.5 } }),
  };
}

/** Repeated rather than listed, because a list would take the words that follow it. */
function together(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

function typesOf(text: string, before?: readonly string[]): string[] {
  if (!(entityTypes as readonly string[]).includes(text))
    throw new InvalidArgumentError(`It must be one of: ${entityTypes.join(", ")}.`);
  return together(text, before);
}

function dayOf(text: string): number {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(day)) throw new InvalidArgumentError("It must be a day such as 2025-03-01.");
  return day;
}
