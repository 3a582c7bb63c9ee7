/** Sums of money, as "1234.50 EUR". */
import type { Found } from "./elements.ts";

const currencies: Readonly<Record<string, string>> = {
  "€": "EUR",
  eur: "EUR",
  euro: "EUR",
  euros: "EUR",
  $: "USD",
  usd: "USD",
  us$: "USD",
  dollar: "USD",
  dollars: "USD",
  "£": "GBP",
  gbp: "GBP",
  chf: "CHF",
  "¥": "JPY",
  jpy: "JPY",
  cad: "CAD",
  sek: "SEK",
  nok: "NOK",
  dkk: "DKK",
  pln: "PLN",
};
const scales: Readonly<Record<string, number>> = {
  k: 1e3,
  m: 1e6,
  md: 1e9,
  mds: 1e9,
  mrd: 1e9,
  million: 1e6,
  millions: 1e6,
  milliard: 1e9,
  milliards: 1e9,
  billion: 1e9,
  billions: 1e9,
  bn: 1e9,
  thousand: 1e3,
};

const number = "\\d{1,3}(?:[ \\u00a0\\u202f.,'’]\\d{3})+(?:[.,]\\d{1,2})?|\\d+(?:[.,]\\d{1,4})?";
const sign = "€|US\\$|\\$|£|¥|EUR(?:O|OS)?|USD|GBP|CHF|JPY|CAD|SEK|NOK|DKK|PLN|dollars?";
const scale = "k|M|Mds?|Mrd|bn|millions?|milliards?|billions?|thousand";
const after = new RegExp(
  `(?<![\\p{L}\\d.,])([-−]?(?:${number}))[ \\u00a0\\u202f]?(?:(${scale})[ \\u00a0\\u202f]?(?:d['’]|de[ \\u00a0])?)?(${sign})(?![\\p{L}\\d])`,
  "giu",
);
const before = new RegExp(
  `(?<![\\p{L}\\d])(${sign})[ \\u00a0\\u202f]?([-−]?(?:${number}))(?:[ \\u00a0\\u202f]?(${scale})(?!\\p{L}))?(?![\\d])`,
  "giu",
);

export function findAmounts(text: string): Found[] {
  const found: Found[] = [];
  const add = (match: RegExpMatchArray, parts: { digits: string; scale: string | undefined; sign: string }): void => {
    const value = toNumber(parts.digits);
    const currency = currencies[parts.sign.toLowerCase()];
    if (value === undefined || currency === undefined) return;
    const scaled = value * (parts.scale === undefined ? 1 : (scales[parts.scale.toLowerCase()] ?? 1));
    found.push({ type: "amount", text: match[0], value: `${Number(scaled.toFixed(2))} ${currency}`, at: match.index ?? 0 });
  };
  for (const match of text.matchAll(after)) add(match, { digits: match[1] ?? "", scale: match[2], sign: match[3] ?? "" });
  const taken = found.map(({ at, text }) => ({ from: at, to: at + text.length }));
  for (const match of text.matchAll(before)) {
    const at = match.index;
    if (taken.some(({ from, to }) => at < to && at + match[0].length > from)) continue;
    add(match, { digits: match[2] ?? "", scale: match[3], sign: match[1] ?? "" });
  }
  return found.toSorted((one, other) => one.at - other.at);
}

/** "1 234,50", "1.234,50", "1,234.50" and "1234.5" are numbers; a lone group of three after a comma or point is thousands. */
export function toNumber(digits: string): number | undefined {
  const plain = digits.replace("−", "-").replaceAll(/[\s\u00a0\u202f'’]/gu, "");
  const last = Math.max(plain.lastIndexOf(","), plain.lastIndexOf("."));
  if (last === -1) return finite(plain);
  const mark = plain[last] ?? ".";
  const other = mark === "," ? "." : ",";
  const isRepeated = plain.indexOf(mark) !== last;
  const decimals = plain.length - last - 1;
  const isThousands = isRepeated || (decimals === 3 && !plain.includes(other) && /^-?[1-9]\d{0,2}[.,]/u.test(plain));
  return finite(isThousands ? plain.replaceAll(/[.,]/gu, "") : plain.replaceAll(other, "").replace(mark, "."));
}

function finite(text: string): number | undefined {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) ? value : undefined;
}
