/** Sums of money, as "1234.50 EUR". */
import type { Found } from "./found.ts";
import { scales, toNumber } from "./written.ts";

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
