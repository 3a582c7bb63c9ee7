/** Questions that nobody asked, for a vault whose owner has not asked much yet. Each says what it is. */
import { normalQuery, type DatasetPassage, type Pair } from "./pair.ts";
import { randomOf } from "./random.ts";

const weights = { heading: 0.3, span: 0.15 };
const spanWords = { least: 3, most: 8 };
/** A passage of fewer words has no part that could stand for a question. */
const passageWordsMin = 12;

/** The headings of passages, asked of what stands under them. */
export function headingPairs(passages: readonly DatasetPassage[]): Pair[] {
  return passages.flatMap((passage): Pair[] => {
    const query = [...passage.headings].reverse().find((one) => /\p{L}{3}/u.test(one)) ?? passage.title;
    // Without words of its own there is nothing that the heading could be about.
    if (normalQuery(query) === "" || normalQuery(passage.body) === "" || normalQuery(query) === normalQuery(passage.body))
      return [];
    return [{ ...made(passage), query, origin: "heading", weight: weights.heading, without: query }];
  });
}

/** `perPassage` runs of words out of each passage, asked of the rest of it. */
export function spanPairs(
  passages: readonly DatasetPassage[],
  { perPassage, seed }: { perPassage: number; seed: number },
): Pair[] {
  const below = randomOf(seed);
  return passages.flatMap((passage): Pair[] => {
    const all = passage.body.split(/\s+/u).filter((word) => word !== "");
    if (all.length < passageWordsMin) return [];
    return Array.from({ length: perPassage }, () => {
      const length = spanWords.least + below(spanWords.most - spanWords.least + 1);
      const from = below(all.length - length);
      const query = all.slice(from, from + length).join(" ");
      return { ...made(passage), query, origin: "span", weight: weights.span, without: query };
    });
  });
}

const made = ({ documentId, ordinal }: DatasetPassage) => ({ passage: { documentId, ordinal }, at: 0, session: "" });

/** What a passage is when it is learned from: without what the question was taken out of. */
export function withoutSource(passage: DatasetPassage, { without }: Pair): string {
  if (without === undefined) return passage.text;
  const bare = (text: string): string => text.replaceAll(/\s+/gu, " ").replaceAll(without, " ");
  const parts = [passage.title, ...passage.headings].filter((part) => part !== without);
  return `${parts.join(" › ")}\n${bare(passage.body)}`.trim();
}

/** For tests of leaks: whether a made question stands word for word in what is learned for it. */
export const standsIn = (pair: Pair, text: string): boolean => ` ${normalQuery(text)} `.includes(` ${normalQuery(pair.query)} `);
