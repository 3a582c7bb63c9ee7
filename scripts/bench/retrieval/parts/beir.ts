/** A collection in the folder format that retrieval benchmarks share: corpus.jsonl, queries.jsonl, qrels/test.tsv. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type BeirDocument = { readonly id: string; readonly title: string; readonly text: string; readonly form: string };
export type BeirQuery = { readonly id: string; readonly text: string; readonly judged: ReadonlyMap<string, number> };

export function readCollection(dir: string): { documents: BeirDocument[]; queries: BeirQuery[] } {
  const rows = (name: string): Record<string, unknown>[] =>
    readFileSync(join(dir, name), "utf8")
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const judged = new Map<string, Map<string, number>>();
  for (const line of readFileSync(join(dir, "qrels/test.tsv"), "utf8").split("\n").slice(1)) {
    const [query, document, score] = line.trim().split("\t");
    if (!query || !document) continue;
    const mine = judged.get(query) ?? new Map<string, number>();
    judged.set(query, mine.set(document, Number(score)));
  }
  const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
  const documents = rows("corpus.jsonl").map((row) => ({
    id: String(row["_id"]),
    title: textOf(row["title"]),
    text: textOf(row["text"]),
    form: (row["metadata"] as { form?: string } | undefined)?.form ?? "note",
  }));
  const queries = rows("queries.jsonl").map((row) => ({ id: String(row["_id"]), text: String(row["text"]) }));
  // A question without a relevant document says nothing about any system.
  return {
    documents,
    queries: queries.flatMap(({ id, text }) => {
      const mine = judged.get(id);
      return mine && [...mine.values()].some((score) => score > 0) ? [{ id, text, judged: mine }] : [];
    }),
  };
}
