/** Passages that look as if they answered and do not. Without care many of them do answer, and teach the wrong thing. */
import { nameOf, type DatasetPassage, type Pair } from "./pair.ts";
import { randomOf } from "./random.ts";

export type Negative = {
  readonly text: string;
  /** Found by words, near by the current model, an answer with a wrong fact, made by a template, or written by a language model. */
  readonly origin: "words" | "near" | "template" | "written";
};

export type Mining = {
  readonly passages: readonly DatasetPassage[];
  readonly groupOf: ReadonlyMap<string, string>;
  /** Positions in `passages`, best first. */
  readonly byWords: (query: string) => readonly number[];
  readonly byVectors: (query: string) => readonly { readonly at: number; readonly score: number }[];
  /** The current model's score of a question and a passage. */
  readonly scoreOf: (query: string, at: number) => number;
  /** What a language model wrote beside a written question of this passage; undefined when there is none. */
  readonly rivalOf?: (pair: Pair) => { readonly text: string; readonly score: number } | undefined;
  readonly perPair: number;
  readonly seed: number;
};

/** The first few often answer as well, and what comes far behind is no temptation. */
const ranks = { from: 4, to: 50 };
/** What scores almost as high as the answer probably is one. */
const scoreShareMax = 0.95;

/** As many negatives for each pair as there are, at most `perPair`, and of them one made by a template where the passage has a fact. */
export function mineNegatives(pairs: readonly Pair[], mining: Mining): Negative[][] {
  const { passages, groupOf, byWords, byVectors, scoreOf, rivalOf, perPair, seed } = mining;
  const at = new Map(passages.map((passage, position) => [nameOf(passage), position]));
  return pairs.map((pair, index) => {
    const below = randomOf(seed * 7_919 + index);
    const positive = at.get(nameOf(pair.passage));
    if (positive === undefined || perPair === 0) return [];
    const most = scoreShareMax * scoreOf(pair.query, positive);
    const mine = groupOf.get(pair.passage.documentId);
    const isOther = (position: number): boolean => groupOf.get(passages[position]!.documentId) !== mine;
    const near = byVectors(pair.query).slice(ranks.from, ranks.to);
    const found = [
      ...near
        .filter(({ at: position, score }) => isOther(position) && score <= most)
        .map((one) => ({ at: one.at, origin: "near" as const })),
      ...byWords(pair.query)
        .slice(ranks.from, ranks.to)
        .filter((position) => isOther(position) && scoreOf(pair.query, position) <= most)
        .map((position) => ({ at: position, origin: "words" as const })),
    ];
    const wrong = wrongFact(passages[positive]!.text, below);
    const rival = rivalOf?.(pair);
    const chosen: Negative[] =
      rival && rival.score <= most
        ? [{ text: rival.text, origin: "written" }]
        : wrong !== undefined && index % 4 === 0
          ? [{ text: wrong, origin: "template" }]
          : [];
    while (chosen.length < perPair && found.length > 0) {
      const [one] = found.splice(below(found.length), 1);
      chosen.push({ text: passages[one!.at]!.text, origin: one!.origin });
    }
    return chosen;
  });
}

const months =
  /\b(January|February|March|April|May|June|July|August|September|October|November|December|janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre)\b/gu;
const monthsEn = "January February March April May June July August September October November December".split(" ");
const monthsFr = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(" ");

/** The text with other figures and months, which is about another thing; undefined when it has neither. */
function wrongFact(text: string, below: (count: number) => number): string | undefined {
  const shift = 1 + below(8);
  const other = text
    .replaceAll(months, (month) => {
      const all = monthsEn.includes(month) ? monthsEn : monthsFr;
      return all[(all.indexOf(month) + shift) % all.length]!;
    })
    .replaceAll(/\d/gu, (digit) => String((Number(digit) + shift) % 10));
  return other === text ? undefined : other;
}
