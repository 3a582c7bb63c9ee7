/** A small made vault with a log of use: each document has a topic word, and people ask for it by another word that no document has. */
import { nameOf, type DatasetPassage, type Pair } from "../../../ml/dataset/pair.ts";
import { randomOf } from "../../../ml/dataset/random.ts";

const filler = "paper about work done on site with tools and people in the usual way for a client who paid late".split(" ");
const syllables = "ba ce di fo gu ka le mi no pu ra se ti vo zu".split(" ");

/** A word of three syllables that means nothing, another for each number. */
export const wordOf = (at: number): string =>
  [at, Math.floor(at / 15) + 3, Math.floor(at / 7) + at].map((part) => syllables[part % 15]).join("");

export const topicsCount = 12;

export function madeFirm({ documents = 120, seed = 1 } = {}): { passages: DatasetPassage[]; pairs: Pair[] } {
  const below = randomOf(seed);
  const passages = Array.from({ length: documents }, (_, at): DatasetPassage => {
    const own = Array.from({ length: 14 }, () => filler[below(filler.length)]);
    const words = [topicOf(at), `n${at}`, ...own].join(" ");
    return {
      documentId: `d${at}`,
      ordinal: 0,
      title: `Paper ${at}`,
      body: words,
      text: `Paper ${at}\n${words}`,
      headings: [],
      language: at % 2 === 0 ? "en" : "fr",
      entityType: "document",
      scope: "private",
    };
  });
  const pairs = passages.flatMap((passage, at) =>
    [0, 1, 2].map((time): Pair => ({
      query: `${askedAs(at)} n${at} ${filler[(at + time) % filler.length]} ${filler[(at * 3 + time) % filler.length]}`,
      passage: { documentId: passage.documentId, ordinal: 0 },
      weight: 1,
      at: 1_000 + at * 10 + time,
      origin: "used",
      session: `s${at % 7}`,
    })),
  );
  return { passages, pairs };
}

const topicOf = (at: number): string => wordOf(at % topicsCount);
/** What people call it. */
const askedAs = (at: number): string => wordOf((at % topicsCount) + 40);

export const byName = (passages: readonly DatasetPassage[]): Map<string, DatasetPassage> =>
  new Map(passages.map((passage) => [nameOf(passage), passage]));
