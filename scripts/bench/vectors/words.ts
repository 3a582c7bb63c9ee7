/** BM25 over 100,000 short texts: the store's sparse index beside SQLite's FTS5, the same questions in turn, judged by the textbook. */
import { DatabaseSync } from "node:sqlite";
import { SparseIndex } from "../../../appliance/vectors/index/sparse.ts";
import { bestHits } from "../../../appliance/vectors/index/ranking.ts";
import { SlotIds, toIdBytes } from "../../../appliance/vectors/pointId.ts";
import { random } from "../../../tests/appliance/vectors/random.ts";
import { atLeast, atMost, median, report, timed } from "./parts/figure.ts";

const [count, vocabulary, questions, k] = [100_000, 50_000, 100, 10];
// Qdrant's own: saturation, length and its mean.
const [saturation, byLength] = [1.2, 0.75];

const from = random(41);
// Words by rank, the first ones common: Zipf with exponent 1.07.
const shares = new Float64Array(vocabulary);
let total = 0;
for (let i = 0; i < vocabulary; i++) shares[i] = total += 1 / (i + 1) ** 1.07;
const word = (): number => {
  const x = from.next() * total;
  let [low, high] = [0, vocabulary - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shares[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
};
const texts = Array.from({ length: count }, () => Array.from({ length: 8 + from.below(33) }, word));
const mean = texts.reduce((sum, { length }) => sum + length, 0) / count;

const index = new SparseIndex();
const ids = new SlotIds();
const frequencies = new Uint32Array(vocabulary);
const weightsOf = (text: readonly number[]): Map<number, number> => {
  const counts = new Map<number, number>();
  for (const one of text) counts.set(one, (counts.get(one) ?? 0) + 1);
  const weigh = (tf: number): number =>
    (tf * (saturation + 1)) / (tf + saturation * (1 - byLength + (byLength * text.length) / mean));
  return new Map([...counts].sort(([a], [b]) => a - b).map(([one, tf]) => [one, weigh(tf)]));
};
const [filling] = await timed(1, () => {
  for (const [slot, text] of texts.entries()) {
    const weights = weightsOf(text);
    index.add(slot, { indices: Uint32Array.from(weights.keys()), values: Float32Array.from(weights.values()) });
    ids.set(slot, toIdBytes(slot));
  }
});
for (const text of texts) for (const one of new Set(text)) frequencies[one]!++;

const db = new DatabaseSync(":memory:");
db.exec("CREATE VIRTUAL TABLE f USING fts5(body, tokenize='unicode61', content='', contentless_delete=1)");
const insert = db.prepare("INSERT INTO f (rowid, body) VALUES (?, ?)");
const [fts] = await timed(1, () => {
  db.exec("BEGIN");
  for (const [i, text] of texts.entries()) insert.run(i + 1, text.map((one) => `w${one}`).join(" "));
  db.exec("COMMIT");
});
db.exec("INSERT INTO f(f) VALUES ('optimize')");
const match = db.prepare(`SELECT rowid FROM f WHERE f MATCH ? ORDER BY rank LIMIT ${k}`);

const asked = Array.from({ length: questions }, () => {
  const text = texts[from.below(count)]!;
  return [...new Set(Array.from({ length: 3 }, () => text[from.below(text.length)]!))];
});
const idf = (one: number): number => Math.log(1 + (count - frequencies[one]! + 0.5) / (frequencies[one]! + 0.5));
const ask = (words: readonly number[]): number[] => {
  const sorted = words.toSorted((a, b) => a - b);
  const query = { indices: Uint32Array.from(sorted), values: Float32Array.from(sorted, idf) };
  const { slots, scores } = index.best(query, { limit: k, slotsMax: count });
  return bestHits(slots, scores, k, ids).map(({ slot }) => slot);
};
/** BM25 by its formula, over all texts. */
const textbook = (words: readonly number[]): number[] => {
  const scores = texts.map((text, i) => {
    const weights = weightsOf(text);
    return [words.reduce((sum, one) => sum + (weights.get(one) ?? 0) * idf(one), 0), i] as const;
  });
  return scores
    .sort((a, b) => b[0] - a[0] || a[1] - b[1])
    .slice(0, k)
    .map(([, i]) => i);
};

const [ours, theirs]: [number[], number[]] = [[], []];
for (const words of asked) {
  ours.push(...(await timed(1, () => ask(words))));
  theirs.push(...(await timed(1, () => match.all(words.map((one) => `w${one}`).join(" OR ")))));
}
const judged = asked.slice(0, 10);
const same = judged.reduce((sum, words) => sum + textbook(words).filter((id, i) => ask(words)[i] === id).length, 0);
report(
  { name: `BM25 of ${count} texts, p50 (peer: FTS5)`, value: median(ours), unit: "ms", peer: median(theirs) },
  atMost(1 / 40),
);
report({ name: "top 10 in the textbook's order", value: same / (judged.length * k), unit: "" }, atLeast(0.99));
report({ name: `indexing ${count} texts (peer: FTS5)`, value: filling!, unit: "ms", peer: fts! });
