/** A phrase that is taken apart piece by piece: what was understood is struck out, what is left is what to do. */

/** Lower case, no accents, plain apostrophes, spaces and dashes; every character keeps its position. */
export function fold(text: string): string {
  let folded = "";
  for (const char of text.normalize("NFC")) {
    if (char >= " " && char <= "~") {
      folded += char.toLowerCase();
      continue;
    }
    const plain = char.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase();
    const same = plain.length === char.length ? plain : char;
    folded += /[\u2018\u2019\u02bc]/u.test(same)
      ? "'"
      : /[\u00a0\u2009\u202f\t\n]/u.test(same)
        ? " "
        : /[\u2010-\u2015]/u.test(same)
          ? "-"
          : same;
  }
  return folded;
}

const made = new WeakMap<TemplateStringsArray, RegExp>();

/** A pattern made of parts that never change, put together the first time it is needed. */
export const regex = (strings: TemplateStringsArray, ...parts: readonly string[]): RegExp => toRegex("u", strings, parts);
/** The same, for every match. */
export const regexAll = (strings: TemplateStringsArray, ...parts: readonly string[]): RegExp => toRegex("gu", strings, parts);

function toRegex(flags: "u" | "gu", strings: TemplateStringsArray, parts: readonly string[]): RegExp {
  const known = made.get(strings);
  if (known) return known;
  const pattern = new RegExp(String.raw({ raw: strings }, ...parts), flags);
  made.set(strings, pattern);
  return pattern;
}

/** Stands where something was understood. Matches no word and no space. */
const struck = "\ue000";
/** Stands where nothing may be understood: somebody else's words in quotation marks. */
const quoted = "\ue001";

export class Phrase {
  readonly #original: string;
  #folded: string;

  constructor(text: string) {
    this.#original = text.normalize("NFC");
    this.#folded = fold(this.#original).replaceAll(/«[^»]*»|"[^"]*"|“[^”]*”/gu, (span) => quoted.repeat(span.length));
  }

  /** What is left, folded, with struck parts as single marks that no pattern matches. */
  get text(): string {
    return this.#folded;
  }

  test(pattern: RegExp): boolean {
    return pattern.test(this.#folded);
  }

  /** Strikes out the first match and gives its groups; undefined when there is none. */
  take(pattern: RegExp): readonly (string | undefined)[] | undefined {
    const match = pattern.exec(this.#folded);
    if (!match || match[0] === "") return undefined;
    this.#strike(match.index, match[0].length);
    return match;
  }

  takeAll(pattern: RegExp): (readonly (string | undefined)[])[] {
    const all: (readonly (string | undefined)[])[] = [];
    for (let match = this.take(pattern); match; match = this.take(pattern)) all.push(match);
    return all;
  }

  #strike(from: number, length: number): void {
    this.#folded = this.#folded.slice(0, from) + struck.repeat(length) + this.#folded.slice(from + length);
  }

  /** In the writer's own words, what nothing was understood of. */
  rest(): string {
    let rest = "";
    for (let i = 0; i < this.#folded.length; i++) rest += this.#folded[i] === struck ? struck : (this.#original[i] ?? "");
    return rest
      .replaceAll(/\s*\ue000[\s,;\ue000]*/gu, " \ue000 ")
      .split("\ue000")
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .join(" ")
      .trim();
  }
}
