/** Texts as tokens, the way a full-text index and the questions put to it see them. */
import { isAbsent, isObject, refuseOthers, toArray, toCount, toText, type Json } from "../body.ts";
import { badFormat, unsupported } from "../refusal.ts";

export type Tokenizer = {
  /** Of a stored text, in order. */
  ofText(text: string): string[];
  /** Of what is asked for: for `prefix` a word is one token, not all its beginnings. */
  ofQuery(text: string): string[];
  /** Whether the order of words is kept, so that phrases can be found. */
  readonly hasPhrases: boolean;
};

const names = ["word", "whitespace", "prefix", "multilingual"] as const;
const words = /[^\p{Alphabetic}\p{N}]+/u;
const spaces = /\s+/u;

/** The tokenizer that the parameters of a text index describe; refuses by name what it cannot do. */
export function parseTokenizer(params: Json): Tokenizer {
  const name = isAbsent(params["tokenizer"]) ? "word" : toText(params["tokenizer"], "field_schema.tokenizer");
  const kind = names.find((known) => known === name);
  if (!kind)
    throw name === "code" ? unsupported("`code` tokenizer") : badFormat(`field_schema.tokenizer: unknown variant ${name}`);
  if (!isAbsent(params["stemmer"])) throw unsupported("`stemmer` in a text index");
  const stopwords = parseStopwords(params["stopwords"]);
  const isLower = params["lowercase"] !== false;
  const isFolded = params["ascii_folding"] === true;
  const min = toCount(params["min_token_len"], "field_schema.min_token_len", { min: 0, otherwise: 0 });
  const max = toCount(params["max_token_len"], "field_schema.max_token_len", { min: 0, otherwise: Number.MAX_SAFE_INTEGER });

  const shape = (token: string): string => {
    const folded = isFolded ? toAscii(token) : token;
    return isLower ? folded.toLowerCase() : folded;
  };
  const isLong = (token: string): boolean => Array.from(token).length >= min;
  const isKept = (token: string): boolean =>
    token !== "" && !stopwords.has(isLower ? token.toLowerCase() : token) && isLong(token);
  const isShort = (token: string): boolean => Array.from(token).length <= max;
  const whole = (text: string): string[] => split(kind, text).map(shape).filter(isKept).filter(isShort);
  return {
    hasPhrases: params["phrase_matching"] === true,
    ofText: (text) => (kind === "prefix" ? beginnings(text) : whole(text)),
    ofQuery: (text) => (kind === "prefix" ? asked(text) : whole(text)),
  };

  function beginnings(text: string): string[] {
    return split("word", text)
      .map(shape)
      .filter(isKept)
      .flatMap((word) => {
        const letters = Array.from(word);
        const to = Math.min(letters.length, max);
        const from = Math.max(1, min);
        return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => letters.slice(0, from + i).join(""));
      });
  }

  function asked(text: string): string[] {
    return split("word", text)
      .filter((word) => word !== "")
      .map(shape)
      .filter(isLong)
      .map((word) => Array.from(word).slice(0, max).join(""));
  }
}

function split(kind: (typeof names)[number], text: string): string[] {
  switch (kind) {
    case "whitespace":
      return text.split(spaces);
    case "word":
    case "prefix":
      return text.split(words);
    case "multilingual":
      return Array.from(segmenter.segment(text))
        .filter(({ isWordLike, segment }) => isWordLike === true && /\p{Alphabetic}/u.test(segment))
        .map(({ segment }) => segment.normalize("NFKD").replace(marks, "").toLowerCase());
  }
}

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
const marks = /\p{M}+/gu;
// Letters that do not come apart into a letter and a mark.
const ligatures: Readonly<Record<string, string>> = Object.fromEntries(
  "æ ae Æ AE œ oe Œ OE ø o Ø O ß ss đ d Đ D ł l Ł L ı i þ th Þ TH ð d Ð D"
    .split(" ")
    .flatMap((letter, i, all) => (i % 2 === 0 ? [[letter, all[i + 1]!]] : [])),
) as Record<string, string>;

// oxlint-disable-next-line no-control-regex -- all that needs no folding
const ascii = /^[\0-\x7f]*$/;

function toAscii(token: string): string {
  if (ascii.test(token)) return token;
  return token
    .normalize("NFD")
    .replace(marks, "")
    .replace(/[^\0-\x7f]/gu, (letter) => ligatures[letter] ?? letter);
}

function parseStopwords(value: unknown): ReadonlySet<string> {
  if (isAbsent(value)) return new Set();
  if (!isObject(value)) throw unsupported("lists of stopwords by language in a text index (give `custom` words)");
  refuseOthers(value, ["custom", "languages"], "stopwords");
  if (toArray(value["languages"] ?? [], "stopwords.languages").length > 0)
    throw unsupported("lists of stopwords by language in a text index (give `custom` words)");
  return new Set(
    toArray(value["custom"] ?? [], "stopwords.custom").map((word) => toText(word, "stopwords.custom").toLowerCase()),
  );
}
