/** Numbers that a text states of a figure against the numbers that stand in the figure. Meant to be right rather than complete. */
import type { Contradiction } from "../../../convex/model/document.ts";
import type { Block } from "../block.ts";
import { sentences } from "../../retrieve/sentences.ts";
import { scales, toNumber } from "./written.ts";

type Measure = {
  readonly words: ReadonlySet<string>;
  readonly years: string;
  readonly label: string;
  readonly text: string;
  readonly unit: string;
  readonly value: number;
  /** Half of the last digit's worth: a rounded number agrees with what it was rounded from. */
  readonly slack: number;
};

const contradictionsMax = 20;
const labelWordsMax = 7;

const units: Readonly<Record<string, string>> = {
  "€": "EUR",
  eur: "EUR",
  euros: "EUR",
  euro: "EUR",
  $: "USD",
  usd: "USD",
  "£": "GBP",
  gbp: "GBP",
  "%": "%",
  percent: "%",
  "°c": "°C",
  kg: "kg",
  t: "t",
  tonnes: "t",
  g: "g",
  mm: "mm",
  cm: "cm",
  m: "m",
  km: "km",
  "m²": "m²",
  m2: "m²",
  "m³": "m³",
  m3: "m³",
  l: "l",
  kwh: "kWh",
  mwh: "MWh",
  gwh: "GWh",
  kw: "kW",
  mw: "MW",
  bar: "bar",
  ms: "ms",
  s: "s",
  h: "h",
  min: "min",
};
const digits = "[-−]?(?:\\d{1,3}(?:[ \\u00a0\\u202f.,'’]\\d{3})+(?:[.,]\\d+)?|\\d+(?:[.,]\\d+)?)";
const unitWords = "€|\\$|£|%|°C|EUR|euros?|USD|GBP|percent|kWh|MWh|GWh|kW|MW|m[²³23]|mm|cm|km|kg|tonnes|bar|min|ms|[tgmlsh]";
const measure = new RegExp(
  `(?<![\\p{L}\\d.,])(${digits})[ \\u00a0\\u202f]?(?:(k|Mds?|Mrd|bn|M|millions?|milliards?|billion)[ \\u00a0\\u202f]?(?:d['’]|de[ \\u00a0])?(?=€|\\$|£|EUR|euro|USD|GBP|t\\b|kWh))?(${unitWords})(?![\\p{L}\\d²³])`,
  "giu",
);
const stop = new Set(
  "le la les un une des de du d l et ou en au aux a est sont of the in to and for was were is are at on by with que qui dans pour par sur voir see montre shows figure fig graphique chart tableau table schéma".split(
    " ",
  ),
);

/**
 * What `text` (a caption, a sentence that names the figure) gives another number for than `figureText`: the same words and years before
 * it, the same unit, another value. Words the recogniser doubted are not used.
 */
export function contradictions(text: string, figureText: string): Contradiction[] {
  const stated = measuresOf(text);
  const read = figureText.split("\n").flatMap((line) => (line.includes("(?)") ? [] : measuresOf(line)));
  const found: Contradiction[] = [];
  for (const one of stated) {
    if (one.words.size === 0) continue;
    const about = read.filter((other) => isSameThing(one, other));
    // Two numbers for the same words: the figure tells more than its words say, so nothing can be said.
    if (about.length !== 1 || !about[0]) continue;
    const [other] = about;
    if (Math.abs(one.value - other.value) > Math.max(one.slack, other.slack) * 1.0001)
      found.push({ label: one.label, stated: one.text, read: other.text });
  }
  return found;
}

/** All contradictions between a document's figures and the captions and sentences that speak of them. */
export function contradictionsIn(blocks: readonly Block[]): Contradiction[] {
  const found: Contradiction[] = [];
  for (const figure of blocks) {
    if (figure.type !== "figure" || !figure.text) continue;
    const number = /^\p{L}+\.?\s*(?:n[°o]\s*)?(\d{1,3}(?:[.-]\d{1,3})?)/u.exec(figure.caption ?? "")?.[1];
    const said = [...(figure.caption ? [figure.caption] : []), ...(number === undefined ? [] : mentions(blocks, number))];
    const seen = new Set<string>();
    for (const text of said)
      for (const one of contradictions(text, figure.text)) {
        const key = `${one.stated}\n${one.read}`;
        if (seen.has(key) || found.length >= contradictionsMax) continue;
        seen.add(key);
        found.push({ ...one, ...(figure.place.page !== undefined && { page: figure.place.page }) });
      }
  }
  return found;
}

function mentions(blocks: readonly Block[], number: string): string[] {
  const name = new RegExp(
    `\\b(?:figure|fig\\.|graphique|schéma|chart|illustration)\\s*(?:n[°o]\\s*)?${number.replaceAll(".", "\\.")}(?![\\d.-]\\d|\\d)`,
    "iu",
  );
  return blocks.flatMap((block) =>
    block.type === "paragraph" && name.test(block.text)
      ? sentences(block.text)
          .map(({ from, to }) => block.text.slice(from, to))
          .filter((sentence) => name.test(sentence))
      : [],
  );
}

function measuresOf(text: string): Measure[] {
  const found: Measure[] = [];
  let from = 0;
  for (const match of text.matchAll(measure)) {
    const value = toNumber(match[1] ?? "");
    const unit = units[(match[3] ?? "").toLowerCase()];
    const before = text.slice(from, match.index);
    from = match.index + match[0].length;
    if (value === undefined || unit === undefined) continue;
    const scale = match[2] === undefined ? 1 : (scales[match[2].toLowerCase()] ?? 1);
    const decimals = /[.,](\d{1,2})$/u.exec(match[1] ?? "")?.[1]?.length ?? 0;
    const words = wordsOf(before);
    const label = before.replaceAll(/\s+/gu, " ").replaceAll(/^[\s:;,.–-]+|[\s:;,–=-]+$/gu, "");
    found.push({
      words: new Set(words.filter((word) => !/^\d+$/u.test(word))),
      years: words.filter((word) => /^(?:19|20)\d{2}$/u.test(word)).join(" "),
      label: label
        .split(" ")
        .slice(-labelWordsMax - 2)
        .join(" "),
      text: match[0],
      unit,
      value: value * scale,
      slack: (scale * 10 ** -decimals) / 2,
    });
  }
  return found;
}

/** The last words before a number that say what it counts, folded; the figure's own name is none of them. */
function wordsOf(before: string): string[] {
  return before
    .replaceAll(/(?:figure|fig\.|graphique|schéma|chart)\s*(?:n[°o]\s*)?\d+(?:[.-]\d+)?/giu, " ")
    .normalize("NFD")
    .replaceAll(/\p{M}/gu, "")
    .toLowerCase()
    .split(/[^\p{L}\d]+/u)
    .filter((word) => word !== "" && !stop.has(word) && (word.length > 2 || /^\d{4}$/u.test(word)))
    .slice(-labelWordsMax);
}

/** Same unit, same years, and the words of the shorter label all in the longer, at least one of them a real word. */
function isSameThing(one: Measure, other: Measure): boolean {
  if (one.unit !== other.unit || one.years !== other.years || other.words.size === 0) return false;
  const [few, many] = one.words.size <= other.words.size ? [one.words, other.words] : [other.words, one.words];
  if (![...few].some((word) => word.length >= 4)) return false;
  return few.isSubsetOf(many) && (few.size >= 2 || one.years !== "" || many.size <= 2);
}
