/** Names and texts of a document made harmless: it was written by others, and a model reads what is made of it. */
import { lint } from "../../../convex/model/tool.ts";

const argumentCharsMax = 64;
const nameCharsMax = 40;

/** Letters, digits and `_`, in lower case: "listPets", "pets/list" and "Lister les animaux" become "list_pets" and the like. "" when nothing is left. */
export function toSnake(text: string): string {
  const cut = text
    .slice(0, 300)
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/([a-z0-9])([A-Z])/gu, "$1_$2")
    .replace(/([A-Z]+)([A-Z][a-z])/gu, "$1_$2")
    .toLowerCase()
    .replace(/[^a-z0-9]+/gu, "_")
    .slice(0, nameCharsMax);
  return cut.replace(/^_+|_+$/gu, "");
}

/** "pet_store" as "petStore"; never empty, never with a digit first. */
export function toCamel(text: string, otherwise: string): string {
  const snake = toSnake(text) || otherwise;
  const camel = snake.replace(/_([a-z0-9])/gu, (_whole, letter: string) => letter.toUpperCase());
  return /^\d/u.test(camel) ? `${otherwise}${camel}` : camel;
}

/** The name models of others take for an argument: at most 64 of letters, digits, `_`, `.` and `-`. Undefined when nothing is left. */
export function toArgument(name: string): string | undefined {
  const plain = name
    .slice(0, 300)
    .replace(/\[\]$/u, "")
    .replace(/[^A-Za-z0-9_.-]+/gu, "_")
    .replace(/^_+(?=.)|_+$/gu, "")
    .slice(0, argumentCharsMax);
  return plain === "" || plain === "__proto__" ? undefined : plain;
}

/** Gives each name once: the second "get_pet" is "get_pet_2". What every object has is taken: the SDK looks tools up in plain ones. */
export function namesOnce(): (name: string) => string {
  const taken = new Set(Object.getOwnPropertyNames(Object.prototype));
  return (name) => {
    let free = name;
    for (let number = 2; taken.has(free); number++) free = `${name}_${number}`;
    taken.add(free);
    return free;
  };
}

/** What of a text would speak to a model past its owner; empty when nothing does. */
export const poisonIn = (text: string): string[] => [...new Set(lint(text).map(({ what }) => what))];

/**
 * A text for one line, cut at the end of a sentence where one ends in time. `told` hears why a text is left out; then the answer is undefined.
 */
export function toLine(value: unknown, charsMax: number, told: (why: string) => void): string | undefined {
  if (typeof value !== "string") return undefined;
  const poison = poisonIn(value);
  if (poison.length > 0) {
    told(poison.join("; "));
    return undefined;
  }
  const line = value
    .slice(0, 20_000)
    .replace(/<[^>]{0,300}>/gu, " ")
    .replace(/\[([^\][]{0,200})\]\([^()\s]{0,500}\)/gu, "$1")
    .replace(/[`*]+/gu, "")
    .replace(/\s+/gu, " ")
    .trim();
  // Taking marks out can bring words together.
  const again = poisonIn(line);
  if (again.length > 0) {
    told(again.join("; "));
    return undefined;
  }
  if (line === "") return undefined;
  if (line.length <= charsMax) return line;
  const cut = line.slice(0, charsMax - 1);
  const sentence = cut.search(/[.!?](?=\s[^.!?]*$)/u);
  return sentence > charsMax / 3 ? cut.slice(0, sentence + 1) : `${cut.replace(/\s+\S*$/u, "")}…`;
}

/** Below the service's address, whatever stands in it: no host, no `..`, no query. */
export function isServicePath(path: string, base: URL): boolean {
  if (!path.startsWith("/") || path.startsWith("//") || path.length > 500) return false;
  if (/[\\\s?#]|\/\.{1,2}(?:\/|$)|%2e/iu.test(path) || poisonIn(path).length > 0) return false;
  const filled = path.replace(/\{[^{}]{1,100}\}/gu, "x");
  return !/[{}]/u.test(filled) && URL.parse(base.origin + filled)?.origin === base.origin;
}
