import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { textToEmbed } from "../../../ml/embed/textToEmbed.ts";
import { documentTerms, queryTerms, type Terms } from "../../../ml/retrieve/terms.ts";
import { makeCorpus } from "../../fixtures/corpus.ts";
import { read } from "../parse/reading.ts";

type Indexed = { readonly document: string; readonly text: string; readonly terms: Map<number, number> };

test("each question about the made corpus finds its one document, in every format and both languages", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "nika-corpus-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { files, questions } = makeCorpus(dir, 54, 5);
  const index = (await Promise.all(files.map((file) => indexed(dir, file)))).flat();

  for (const { question, document, answer } of questions) {
    const ranked = ranking(index, queryTerms(question));
    assert.equal(ranked[0]?.document, document, question);
    assert.ok(
      ranked.slice(0, 5).some(({ document: found, text }) => found === document && text.includes(answer)),
      `${question} → ${answer}`,
    );
  }
});

test("the same seed makes the same corpus", (t) => {
  const [one, other] = [mkdtempSync(join(tmpdir(), "nika-corpus-")), mkdtempSync(join(tmpdir(), "nika-corpus-"))];
  t.after(() => [one, other].forEach((dir) => rmSync(dir, { recursive: true, force: true })));

  const { files } = makeCorpus(one, 18, 3);

  assert.deepEqual(makeCorpus(other, 18, 3).files, files);
  for (const file of files) assert.deepEqual(readFileSync(join(one, file)), readFileSync(join(other, file)), file);
});

async function indexed(dir: string, file: string): Promise<Indexed[]> {
  const { title, passages } = await read(readFileSync(join(dir, file)), file);
  return passages.map(({ text, place }) => {
    const { indices, values } = documentTerms(textToEmbed({ title, place, text }));
    return { document: file, text, terms: new Map(indices.map((index, at) => [index, values[at] ?? 0])) };
  });
}

/** BM25 as the stores compute it: the document's value times the IDF of the term. */
function ranking(index: readonly Indexed[], { indices }: Terms): Indexed[] {
  const idf = new Map(
    indices.map((term) => {
      const df = index.filter(({ terms }) => terms.has(term)).length;
      return [term, Math.log(1 + (index.length - df + 0.5) / (df + 0.5))];
    }),
  );
  const score = ({ terms }: Indexed): number =>
    indices.reduce((sum, term) => sum + (terms.get(term) ?? 0) * (idf.get(term) ?? 0), 0);
  return index.toSorted((one, other) => score(other) - score(one));
}
