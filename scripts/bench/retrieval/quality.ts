/**
 * How well the right document is found: words alone, vectors alone, both fused, and the whole call with all it does besides. On our own
 * collection, or on `--collection DIR` in the common folder format. Documents are parsed and cut as an ingest does it.
 *
 * Questions are in two halves, by the document that answers them: `tuning`, which weights and the table of synonyms may be chosen by, and
 * `held out`, which nobody looks at but to report. `--misses` therefore tells of the tuning half alone.
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Branch } from "../../../functions/ports/vectors.ts";
import { findPassages } from "../../../functions/vault/find.ts";
import { chunk } from "../../../ml/chunk/chunk.ts";
import { textToEmbed } from "../../../ml/embed/textToEmbed.ts";
import { bootstrap, ndcg, recall, reciprocalRank } from "../../../ml/evaluate/metrics.ts";
import { entityTypeOf } from "../../../ml/parse/entityType.ts";
import { parse } from "../../../ml/parse/parse.ts";
import { detectLanguage } from "../../../ml/retrieve/language.ts";
import { indexed, queryTerms } from "../../../ml/retrieve/terms.ts";
import { report } from "../vectors/parts/figure.ts";
import { readCollection, type BeirDocument, type BeirQuery } from "./parts/beir.ts";
import { openVault, tenantId, type BenchVault } from "./parts/vault.ts";

const { values: flags } = parseArgs({
  options: { collection: { type: "string" }, speed: { type: "boolean" }, misses: { type: "boolean" } },
  strict: false,
});
const never = new AbortController().signal;
/** Enough passages for a hundred documents. */
const passagesRanked = 400;
const extensions: Record<string, string> = { invoice: "md", minutes: "md", prices: "csv" };

async function main(): Promise<void> {
  const own = fileURLToPath(new URL("../../../tests/fixtures/collection", import.meta.url));
  const { documents, queries } = readCollection(typeof flags.collection === "string" ? flags.collection : own);
  await using vault = await openVault();
  const passages = await fill(vault, documents);
  console.error(`${documents.length} documents, ${passages} passages, ${queries.length} questions; ${vault.embedder.label}`);
  report({ name: "retrieval.index", value: vault.diskMiB(), unit: "MiB on disk" });

  const systems: Record<string, (question: string) => Promise<string[]>> = {
    lexical: (question) => ranked(vault, [lexical(question)]),
    dense: async (question) => ranked(vault, [await dense(vault, question)]),
    hybrid: async (question) => ranked(vault, [await dense(vault, question), lexical(question)]),
    // At most 50 passages: what it ranks below them nobody gets to see.
    call: async (question) =>
      (await findPassages({ tenantId, question, limit: 50, weights: { diversity: 0 } }, vault, never)).passages.flatMap(
        ({ documentId, alike = [] }) => [documentId, ...alike.map((other) => other.documentId)],
      ),
  };
  const scores = new Map<string, number[]>();
  for (const [name, rank] of Object.entries(systems)) scores.set(name, await measure(name, rank, queries));
  for (const part of ["all", "tuning", "held out"] as const) compare(part, queries, scores);
}

type Part = "all" | "tuning" | "held out";

/** Which half a question is of: that of the first document that answers it, so no document serves both. */
function halfOf({ judged }: BeirQuery): Part {
  const [first] = [...judged]
    .filter(([, score]) => score > 0)
    .map(([id]) => id)
    .sort();
  return createHash("sha256").update(first!).digest()[0]! % 2 === 0 ? "tuning" : "held out";
}

/** What each system reaches on a part of the questions, and by how much one is better than another, with 95 % intervals. */
function compare(part: Part, queries: readonly BeirQuery[], scores: ReadonlyMap<string, readonly number[]>): void {
  const of = (name: string): number[] => scores.get(name)!.filter((_, at) => part === "all" || halfOf(queries[at]!) === part);
  const interval = ({ from, to }: { from: number; to: number }): string => `95 % from ${from.toFixed(3)} to ${to.toFixed(3)}`;
  if (part !== "all")
    for (const name of scores.keys()) {
      const values = of(name);
      const spread = bootstrap(values);
      const unit = `NDCG@10 of ${values.length} questions, ${interval(spread)}`;
      report({ name: `retrieval.${name}, ${part}`, value: spread.mean, unit });
    }
  for (const [one, other] of [
    ["hybrid", "lexical"],
    ["hybrid", "dense"],
    ["call", "hybrid"],
  ] as const) {
    const others = of(other);
    const gain = bootstrap(of(one).map((value, at) => value - others[at]!));
    report({ name: `retrieval.${one} - ${other}, ${part}`, value: gain.mean, unit: `NDCG@10, ${interval(gain)}` }, () => ({
      goal: "> 0",
      met: gain.from > 0,
    }));
  }
}

async function fill({ vectors, embedder }: BenchVault, documents: readonly BeirDocument[]): Promise<number> {
  let count = 0;
  for (const { id: documentId, title: given, text, form } of documents) {
    const documentName = `${documentId}.${extensions[form] ?? "txt"}`;
    const parsed = await parse(new TextEncoder().encode(text === "" ? given : text), documentName);
    const title = given === "" ? parsed.title : given;
    const entityType = entityTypeOf({ ...parsed, title, name: documentName });
    const made = chunk(parsed).map(({ text, place, kind, section }, ordinal) => {
      const embedded = textToEmbed({ title, place, text });
      const facts = {
        documentId,
        ordinal,
        documentName,
        title,
        text,
        place,
        format: parsed.format,
        language: detectLanguage(text),
        entityType,
      };
      return {
        ...facts,
        ...indexed(embedded),
        vector: [embedded],
        ...(kind && { kind }),
        ...(section !== undefined && { section }),
      };
    });
    const embedded = await embedder.passages(
      made.flatMap(({ vector }) => vector),
      never,
    );
    await vectors.replace(
      { tenantId, documentId },
      made.map((one, at) => ({ ...one, vector: embedded[at]! })),
      never,
    );
    count += made.length;
  }
  return count;
}

const lexical = (question: string): Branch => ({ name: "lexical", weight: 2, terms: queryTerms(question) });
const dense = async ({ embedder }: BenchVault, question: string): Promise<Branch> => ({
  name: "dense",
  weight: 1,
  vector: await embedder.query(question, never),
});

async function ranked({ vectors }: BenchVault, branches: Branch[]): Promise<string[]> {
  const hits = await vectors.search({ tenantId, branches, limit: passagesRanked }, never);
  return hits.map(({ documentId }) => documentId);
}

/** NDCG@10 of each question, in order. */
async function measure(
  name: string,
  rank: (question: string) => Promise<string[]>,
  queries: readonly BeirQuery[],
): Promise<number[]> {
  const times: number[] = [];
  const all = { ndcg: [] as number[], mrr: [] as number[], recall10: [] as number[], recall100: [] as number[] };
  for (const query of queries) {
    const { text, judged } = query;
    const startedAt = performance.now();
    // Several passages of one document count once, at the best of them.
    const documents = [...new Set(await rank(text))];
    times.push(performance.now() - startedAt);
    all.ndcg.push(ndcg(documents, judged, 10));
    all.mrr.push(reciprocalRank(documents, judged, 10));
    all.recall10.push(recall(documents, judged, 10));
    all.recall100.push(recall(documents, judged, 100));
    if (flags.misses === true && halfOf(query) === "tuning" && recall(documents, judged, 3) === 0)
      console.error(`${name} misses: ${text}`);
  }
  const { mean, from, to } = bootstrap(all.ndcg);
  const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  report({ name: `retrieval.${name}.ndcg@10`, value: mean, unit: `95 % from ${from.toFixed(3)} to ${to.toFixed(3)}` });
  report({ name: `retrieval.${name}.mrr@10`, value: average(all.mrr), unit: "" });
  report({ name: `retrieval.${name}.recall@10`, value: average(all.recall10), unit: "" });
  if (name !== "call") report({ name: `retrieval.${name}.recall@100`, value: average(all.recall100), unit: "" });
  const sorted = times.toSorted((one, other) => one - other);
  report({ name: `retrieval.${name}.p50`, value: sorted[sorted.length >> 1]!, unit: "ms a question" });
  return all.ndcg;
}

if (flags.speed !== true) await main();
