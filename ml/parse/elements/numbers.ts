/** Addresses and numbers that people and firms are known by. */
import { checkVat, isIban, isSiren, isSiret } from "./checkDigits.ts";
import type { Found } from "./found.ts";

const blank = "[ \\u00a0\\u202f]";

export function findEmails(text: string): Found[] {
  return [
    ...text.matchAll(
      /(?<![\w.+-])[\p{L}\d][\p{L}\d._%+-]{0,63}@(?:[\p{L}\d](?:[\p{L}\d-]{0,61}[\p{L}\d])?\.)+\p{L}{2,24}(?![\w-])/giu,
    ),
  ].map(({ 0: found, index }) => ({ type: "email", text: found, value: found.toLowerCase(), at: index }));
}

const ibanShape = new RegExp(`(?<![A-Za-z0-9])[A-Z]{2}\\d{2}(?:${blank}?[A-Z0-9]){11,30}(?![a-z])`, "gu");

/** An IBAN may be followed by other capitals; the longest beginning whose check digits hold is it. */
export function findIbans(text: string): Found[] {
  return [...text.matchAll(ibanShape)].flatMap(({ 0: found, index }): Found[] => {
    for (let end = found.length; end >= 15; end -= 1) {
      const part = found.slice(0, end);
      const value = compact(part);
      if (/\S$/u.test(part) && isIban(value)) return [{ type: "iban", text: part, value, isValid: true, at: index }];
    }
    // Named as one, with a digit wrong: worth showing, as what it is.
    if (!/iban[\s:.°n]*$/iu.test(text.slice(Math.max(0, index - 12), index))) return [];
    const value = compact(found).slice(0, 34);
    return [{ type: "iban", text: found.trimEnd(), value, isValid: false, at: index }];
  });
}

const vatShape = new RegExp(
  `(?<![A-Za-z0-9])(AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|GR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK)((?:${blank}|[.-])?(?:[A-Z0-9](?:${blank}|[.-])?){7,12})(?![A-Za-z0-9])`,
  "gu",
);

export function findVats(text: string): Found[] {
  return [...text.matchAll(vatShape)].flatMap(({ 0: found, 1: country = "", 2: rest = "", index }): Found[] => {
    const parts = found.trimEnd();
    const body = compact(rest).replaceAll(/[.-]/gu, "");
    const { hasShape, isValid } = checkVat(country, body);
    if (!hasShape) return [];
    const isNamed = /(?:TVA|VAT|USt|UID|MWST|BTW|IVA|intracom)[^\n]{0,25}$/iu.test(text.slice(Math.max(0, index - 40), index));
    // A number that only has the shape may be anything, unless it is called one.
    if (isValid !== true && !isNamed) return [];
    return [{ type: "vat", text: parts, value: country + body, ...(isValid !== undefined && { isValid }), at: index }];
  });
}

const siretShape = new RegExp(`(?<![\\dA-Za-z.,])\\d{3}${blank}?\\d{3}${blank}?\\d{3}(?:${blank}?\\d{5})?(?![\\d])`, "gu");

/** Nine or fourteen digits are a firm's only when they are called so: one number in ten passes the sum by chance. */
export function findSirets(text: string): Found[] {
  return [...text.matchAll(siretShape)].flatMap(({ 0: found, index }): Found[] => {
    const value = compact(found);
    const before = text.slice(Math.max(0, index - 30), index);
    const isNamed = /(?:SIREN|SIRET|R\.?C\.?S\.?)\b[^\d\n]{0,24}$/iu.test(before);
    if (!isNamed) return [];
    const isFirm = value.length === 9;
    return [
      { type: isFirm ? "siren" : "siret", text: found, value, isValid: isFirm ? isSiren(value) : isSiret(value), at: index },
    ];
  });
}

/** Phone numbers by the numbering plans of their countries. International ones are found everywhere, national ones in `countries`. */
export async function findPhones(text: string, countries: readonly string[]): Promise<Found[]> {
  if (!/(?:\d[\s.\-()/]?){8}/u.test(text)) return [];
  const { findPhoneNumbersInText } = await import("libphonenumber-js");
  type Country = NonNullable<Parameters<typeof findPhoneNumbersInText>[1]>;
  const found = new Map<number, Found>();
  for (const country of countries.length > 0 ? countries : ["FR"]) {
    for (const { number, startsAt, endsAt } of findPhoneNumbersInText(text, country as Country)) {
      const own = text.slice(startsAt, endsAt);
      const isSpelled =
        /^\+|^00|[ .\-/\u00a0\u202f()]/u.test(own) ||
        /(?:t[ée]l|phone|fax|mobile|portable|gsm)[\p{L}.:°\s]{0,14}$/iu.test(text.slice(Math.max(0, startsAt - 20), startsAt));
      if (!number.isValid() || found.has(startsAt) || !isSpelled) continue;
      found.set(startsAt, { type: "phone", text: own, value: number.number, isValid: true, at: startsAt });
    }
  }
  return [...found.values()];
}

function compact(text: string): string {
  return text.replaceAll(/[\s\u00a0\u202f]/gu, "");
}
