/** Facts of use in business, found in text by their shape and proved by their check digits where they have some. */
import type { Element } from "../../../convex/model/document.ts";
import { findAmounts } from "./amounts.ts";
import { findDates } from "./dates.ts";
import { findDimensions } from "./dimensions.ts";
import type { Found } from "./found.ts";
import { findEmails, findIbans, findPhones, findSirets, findVats } from "./numbers.ts";

/** More text than this is not searched: the first pages name the parties and sums. */
const charsMax = 400_000;
const perTypeMax = 200;

export type TextPart = { readonly text: string; readonly page?: number | undefined };

/**
 * The facts in a document's text, each once, those whose check digits hold first, then in the order of the text. `countries` are where
 * national phone numbers are taken to be from, the likeliest first.
 */
export async function elementsIn(
  parts: readonly TextPart[],
  { countries = ["FR"] }: { countries?: readonly string[] } = {},
): Promise<Element[]> {
  const known = new Map<string, Element>();
  const counts = new Map<string, number>();
  let chars = 0;
  for (const { text, page } of parts) {
    if (chars > charsMax) break;
    chars += text.length;
    for (const { at: _, ...element } of await elementsOfText(text, countries)) {
      const key = `${element.type}\n${element.value}`;
      const count = counts.get(element.type) ?? 0;
      if (known.has(key) || count >= perTypeMax) continue;
      counts.set(element.type, count + 1);
      known.set(key, { ...element, ...(page !== undefined && { page }) });
    }
  }
  return [...known.values()].toSorted((one, other) => Number(other.isValid === true) - Number(one.isValid === true));
}

async function elementsOfText(text: string, countries: readonly string[]): Promise<Found[]> {
  if (!/\d|@/u.test(text)) return [];
  // Numbers that prove themselves come first and keep the others off their digits.
  const taken: { from: number; to: number }[] = [];
  const found: Found[] = [];
  const take = (some: readonly Found[]): void => {
    for (const element of some) {
      const [from, to] = [element.at, element.at + element.text.length];
      if (taken.some((other) => from < other.to && to > other.from)) continue;
      taken.push({ from, to });
      found.push(element);
    }
  };
  take(findEmails(text));
  take(findIbans(text));
  take(findVats(text));
  take(findSirets(text));
  take(findDates(text));
  take(findAmounts(text));
  take(findDimensions(text));
  take(await findPhones(text, countries));
  return found.toSorted((one, other) => one.at - other.at);
}
