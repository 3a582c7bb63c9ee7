/**
 * Whether a question in words finds the right one of the made pictures (tests/fixtures/gallery.ts), with the offline parts alone: by the
 * words that belong to a picture, by their vector, by what the descriptor makes of it, and by the whole call. Whether a picture made
 * smaller and poorer finds itself, besides. `--misses` prints the questions that found nothing.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDescriptor } from "../../../appliance/embedder/visual.ts";
import { qdrantPictures } from "../../../appliance/qdrant/pictures.ts";
import { startVectors } from "../../../appliance/vectors/vectors.ts";
import { wordsOf } from "../../../functions/documents/embedPictures.ts";
import type { PictureBranch } from "../../../functions/ports/pictures.ts";
import { findPictures } from "../../../functions/vault/pictures.ts";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { open } from "../../../ml/parse/picture/pixels.ts";
import { detectLanguage } from "../../../ml/retrieve/language.ts";
import { documentTerms, queryTerms } from "../../../ml/retrieve/terms.ts";
import { gallery } from "../../../tests/fixtures/gallery.ts";
import { drawn } from "../../../tests/fixtures/makePictures.ts";
import { report } from "../vectors/parts/figure.ts";

const never = new AbortController().signal;
const tenantId = "owner";
const limit = 5;
const poorerSide = 120;
const poorerQuality = 35;

const dir = mkdtempSync(join(tmpdir(), "nika-bench-"));
const store = await startVectors({ dir, apiKey: "bench", host: "127.0.0.1", log: console.error });
const baseline = baselineEmbedder();
const embedder = {
  ...baseline,
  isBaseline: true,
  passages: async (texts: readonly string[]) => baseline.embed(texts),
  query: async (text: string) => baseline.embed([text])[0]!,
};
const visual = openDescriptor();
const captionId = baseline.id;
const pictures = qdrantPictures({ url: store.url, apiKey: "bench", visualId: visual.id, captionId, captionDimensions: 384 });

try {
  const bytes = await fill();
  const asked = gallery.flatMap(({ id, language, questions }) =>
    questions.map((question) => ({ id, question, isCrossing: isOther(detectLanguage(question), language) })),
  );
  console.error(
    `${gallery.length} pictures, ${asked.length} questions, ${asked.filter(({ isCrossing }) => isCrossing).length} in the other language`,
  );
  const branch = (made: (question: string) => PictureBranch | Promise<PictureBranch>) => async (question: string) =>
    (await pictures.search({ tenantId, branches: [await made(question)], limit }, never)).map(({ documentId }) => documentId);
  const systems: Record<string, (question: string) => Promise<string[]>> = {
    words: branch((question) => ({ name: "words", weight: 1, terms: queryTerms(question) })),
    caption: branch(async (question) => ({ name: "caption", weight: 1, caption: await embedder.query(question) })),
    descriptor: branch(async (question) => ({ name: "picture", weight: 1, visual: await visual.text(question, never) })),
    call: async (question) =>
      (await findPictures({ tenantId, question, limit }, { embedder, visual, pictures }, never)).pictures.map(
        ({ documentId }) => documentId,
      ),
  };
  for (const [name, rank] of Object.entries(systems)) {
    const ranks: { at: number; isCrossing: boolean }[] = [];
    const times: number[] = [];
    for (const { id, question, isCrossing } of asked) {
      const from = performance.now();
      const at = (await rank(question)).indexOf(id);
      times.push(performance.now() - from);
      ranks.push({ at, isCrossing });
      if (name === "call" && at === -1 && process.argv.includes("--misses")) console.error(`missed ${id}: ${question}`);
    }
    for (const k of [1, 5]) report({ name: `pictures.${name}.recall@${k}`, value: shareOf(ranks, k), unit: "of questions" });
    if (name !== "call") continue;
    const [same, crossing] = [ranks.filter(({ isCrossing }) => !isCrossing), ranks.filter(({ isCrossing }) => isCrossing)];
    for (const k of [1, 5])
      report({ name: `pictures.call.recall@${k} same language`, value: shareOf(same, k), unit: "of questions" });
    for (const k of [1, 5])
      report({ name: `pictures.call.recall@${k} other language`, value: shareOf(crossing, k), unit: "of questions" });
    report({ name: "pictures.call.p50", value: times.toSorted((a, b) => a - b)[times.length >> 1]!, unit: "ms" });
  }
  const found = await Promise.all(
    bytes.map(async (one, at) => {
      const poorer = (await open(one)).resize({ width: poorerSide }).jpeg({ quality: poorerQuality });
      const like = { bytes: new Uint8Array(await poorer.toBuffer()), words: "" };
      const hits = await findPictures({ tenantId, like, limit }, { embedder, visual, pictures }, never);
      return { at: hits.pictures.findIndex(({ documentId }) => documentId === gallery[at]!.id) };
    }),
  );
  for (const k of [1, 5]) report({ name: `pictures.like.recall@${k}`, value: shareOf(found, k), unit: "of poorer copies" });
} finally {
  await visual.close();
  await store.close();
  rmSync(dir, { recursive: true, force: true });
}

async function fill(): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for (const one of gallery) {
    const { id, title, heading, language, caption, text, type } = one;
    const words = wordsOf(one, { title, headings: [heading] });
    const bytes = await drawn(one);
    const [seen] = await visual.images([{ bytes, words }], never);
    const made = { terms: documentTerms(words), caption: baseline.embed([words])[0]!, ...(seen && { visual: seen }) };
    const shown = {
      width: 320,
      height: 240,
      type: type === "photo" ? ("image" as const) : ("figure" as const),
      headings: [heading],
    };
    const document = { documentId: id, documentName: `${title}.pdf`, title, language, format: "pdf" };
    await pictures.replace(
      { tenantId, documentId: id },
      [{ ...document, ...shown, ordinal: 0, pictureId: id, mark: "", caption, text, made }],
      never,
    );
    all.push(bytes);
  }
  return all;
}

function shareOf(ranks: readonly { at: number }[], k: number): number {
  return ranks.filter(({ at }) => at !== -1 && at < k).length / ranks.length;
}

/** Told by detection, which is at times wrong about a few words. */
function isOther(asked: string, language: string): boolean {
  return asked !== "und" && asked !== language;
}
