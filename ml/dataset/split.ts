/**
 * What is learned from, what the recipe is chosen by, and what the verdict rests on: three sets that share no document, no near-copy of one
 * and no question. A split by pair would promise what does not hold on documents nobody has seen, so there is none: the sets' types can
 * only be made here.
 */
import { bandsOf, likeness, sketchOf } from "../retrieve/sketch.ts";
import { isReal, normalQuery, type DatasetPassage, type Pair } from "./pair.ts";

declare const part: unique symbol;
type Part<Name extends string> = { readonly [part]: Name; readonly pairs: readonly Pair[]; readonly groups: ReadonlySet<string> };
export type TrainingSet = Part<"training">;
/** Recipes and weights are chosen by it. */
export type TuningSet = Part<"tuning">;
/** Looked at once, for the verdict. */
export type TestSet = Part<"test">;

export type Split = {
  readonly training: TrainingSet;
  readonly tuning: TuningSet;
  readonly test: TestSet;
  /** Of each document: the near-copies it stands together with. */
  readonly groupOf: ReadonlyMap<string, string>;
};

/** The newest fifth is what a model will have to be good at. */
const shares = { test: 0.2, tuning: 0.15 };

/** `passages`: all of the vault. Groups of documents go to one side whole, the last used to the test. */
export function splitByDocument(
  pairs: readonly Pair[],
  passages: readonly DatasetPassage[],
  { testShare = shares.test, tuningShare = shares.tuning }: { testShare?: number; tuningShare?: number } = {},
): Split {
  const groupOf = groupsOf(passages);
  const lastUse = new Map<string, number>();
  const questions = new Map<string, number>();
  for (const { passage, at, origin } of pairs) {
    const group = groupOf.get(passage.documentId);
    if (group === undefined || !isReal(origin)) continue;
    lastUse.set(group, Math.max(lastUse.get(group) ?? 0, at));
    questions.set(group, (questions.get(group) ?? 0) + 1);
  }
  const newest = [...lastUse].toSorted(([one, a], [other, b]) => b - a || (one < other ? -1 : 1)).map(([group]) => group);
  // A vault that nobody has asked anything yet is judged by what was made of it.
  const all = newest.length > 0 ? newest : [...new Set(groupOf.values())].toSorted((one, other) => order(one) - order(other));
  const total = all.reduce((sum, group) => sum + (questions.get(group) ?? 1), 0);
  const [test, tuning] = [new Set<string>(), new Set<string>()];
  let taken = 0;
  for (const group of all) {
    if (taken < total * testShare) test.add(group);
    else if (taken < total * (testShare + tuningShare)) tuning.add(group);
    else break;
    taken += questions.get(group) ?? 1;
  }
  const known = pairs.filter(({ passage }) => groupOf.has(passage.documentId));
  const side = (groups: ReadonlySet<string>): Pair[] =>
    known.filter(({ passage }) => groups.has(groupOf.get(passage.documentId)!));
  const training = new Set([...groupOf.values()].filter((group) => !test.has(group) && !tuning.has(group)));
  const testPairs = side(test);
  const seenInTest = queriesOf(testPairs);
  const tuningPairs = side(tuning).filter(({ query }) => !seenInTest.has(normalQuery(query)));
  const seen = new Set([...seenInTest, ...queriesOf(tuningPairs)]);
  const trainingPairs = side(training).filter(({ query }) => !seen.has(normalQuery(query)));
  return {
    training: toPart<"training">(trainingPairs, training),
    tuning: toPart<"tuning">(tuningPairs, tuning),
    test: toPart<"test">(testPairs, test),
    groupOf,
  };
}

/** The one place where sets are made. */
const toPart = <Name extends string>(pairs: readonly Pair[], groups: ReadonlySet<string>): Part<Name> =>
  ({ pairs, groups }) as unknown as Part<Name>;

const queriesOf = (pairs: readonly Pair[]): Set<string> => new Set(pairs.map(({ query }) => normalQuery(query)));

/** An order that has nothing to do with what a document is called or when it came. */
function order(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** Above this it is the same paper again. Below, it may be the same form filled in for somebody else, which is another paper. */
const copyMin = 0.9;

/** Documents in almost the same words belong together, or one would tell what is asked of the other. Named by the first of each. */
function groupsOf(passages: readonly DatasetPassage[]): Map<string, string> {
  const texts = Map.groupBy(passages, ({ documentId }) => documentId);
  const groupOf = new Map<string, string>();
  const filed = new Map<string, string[]>();
  const sketches = new Map<string, readonly number[]>();
  const rootOf = (documentId: string): string => {
    let root = documentId;
    while (groupOf.get(root) !== root) root = groupOf.get(root)!;
    return root;
  };
  for (const [documentId, mine] of texts) {
    groupOf.set(documentId, documentId);
    const sketch = sketchOf(mine.map(({ body }) => body));
    if (!sketch) continue;
    sketches.set(documentId, sketch);
    for (const band of bandsOf(sketch)) {
      const others = filed.get(band) ?? [];
      for (const other of others)
        if (rootOf(other) !== rootOf(documentId) && likeness(sketch, sketches.get(other)!) >= copyMin)
          groupOf.set(rootOf(documentId), rootOf(other));
      filed.set(band, [...others, documentId]);
    }
  }
  return new Map([...texts.keys()].map((documentId) => [documentId, rootOf(documentId)]));
}
