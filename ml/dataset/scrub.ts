/** Takes out what names a person or an account, for who does not want it learned from. */
import { isLuhn } from "../parse/elements/checkDigits.ts";
import { findEmails, findIbans, findPhones } from "../parse/elements/numbers.ts";

const card = /(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)/gu;
const digitsOf = (text: string): string => text.replaceAll(/\D/gu, "");

/** The text with addresses, accounts, cards and phone numbers replaced by what they are; how many were. */
export async function scrub(
  text: string,
  { countries = ["FR"] }: { countries?: readonly string[] } = {},
): Promise<{ text: string; found: number }> {
  if (!/\d|@/u.test(text)) return { text, found: 0 };
  const cards = Array.from(text.matchAll(card), ({ 0: raw, index }) => ({ at: index, text: raw, as: "[card]" }));
  const parts = [
    ...findEmails(text).map((one) => ({ ...one, as: "[email]" })),
    ...findIbans(text).map((one) => ({ ...one, as: "[account]" })),
    ...cards.filter((one) => isLuhn(digitsOf(one.text))),
    ...(await findPhones(text, countries)).map((one) => ({ ...one, as: "[phone]" })),
  ].toSorted((one, other) => one.at - other.at);
  let out = "";
  let at = 0;
  let found = 0;
  for (const part of parts) {
    if (part.at < at) continue;
    out += text.slice(at, part.at) + part.as;
    at = part.at + part.text.length;
    found += 1;
  }
  return { text: out + text.slice(at), found };
}
