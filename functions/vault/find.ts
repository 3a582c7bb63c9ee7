/** The one way passages are looked for: `ask` and `search` differ in what they are for, not in what they do. */
import {
  passagesPerAnswerMax,
  questionCharsMax,
  type Answer,
  type CitedPassage,
  type SearchFilter,
  type SearchWeights,
  type Understood,
} from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Fusion } from "../../convex/model/model.ts";
import { placeLabel } from "../../convex/model/place.ts";
import { authorityOf, recencyOf } from "../../ml/retrieve/authority.ts";
import { diversify } from "../../ml/retrieve/diversify.ts";
import { highlights } from "../../ml/retrieve/highlight.ts";
import { detectLanguage } from "../../ml/retrieve/language.ts";
import { rerank, termsHeld, type Ranked, type RerankOptions } from "../../ml/retrieve/rerank.ts";
import { isSpellable } from "../../ml/retrieve/spelling.ts";
import { exactTerms, queryTerms } from "../../ml/retrieve/terms.ts";
import { understand, type Reading } from "../../ml/retrieve/understand.ts";
import { stemOf, words } from "../../ml/retrieve/words.ts";
import type { Ports } from "../define.ts";
import type { Embedder } from "../ports/embedder.ts";
import type { Branch, Generation, PassageHit } from "../ports/vectors.ts";

export type Search = {
  readonly tenantId: string;
  readonly question: string;
  readonly limit: number;
  /** Kept to, whatever is found. */
  readonly filter?: SearchFilter | undefined;
  readonly weights?: SearchWeights | undefined;
  /** Says of each passage how it came to be found. */
  readonly explain?: boolean | undefined;
};

export type SearchPorts = Pick<Ports, "embedder" | "embedders" | "vectors" | "reranker">;

/** Looked at more closely than the search does, to choose from. */
const candidatesMin = 30;
/** A cross-encoder takes some 10 ms a passage. */
const rerankedMax = 20;
/** Beside its own, how much the cross-encoder's word counts. */
const rerankerShare = 0.7;
const diversityDefault = 0.3;
/** Less than what all the words of a question in one sentence are worth: it outweighs a word less, not an answer. */
const understoodWorth = 0.7;
const timelessFit = 0.3;

/**
 * How much rankings count beside those of the generation in force, which says how much vectors and words do. What was understood of the
 * question only pushes, because it may be wrong; what was put in quotation marks, and codes, lead.
 */
const weights = { understood: 0.5, code: 2, phrase: 3 };

/** The passages that bear on a question, best first, with the sentences that answer it. Fails with `invalid`. */
export async function findPassages(search: Search, ports: SearchPorts, signal: AbortSignal): Promise<Answer> {
  const startedAt = performance.now();
  const question = checked(search);
  const { vectors, reranker } = ports;
  const { tenantId, limit, filter } = search;
  // Read once: what comes in force meanwhile is for the next question.
  const generation = await vectors.generation();
  const { embedder, isThere } = await embedderOf(generation, ports);
  const reading = understand(question, Date.now());
  const corrections = await correctionsOf(reading.rest, { tenantId, vectors, signal });
  const corrected = withCorrections(reading.rest, corrections);
  const vector = isThere ? await embedder.query(corrected, signal) : new Float32Array(0);
  const found = await vectors.search(
    {
      tenantId,
      generation,
      branches: branchesOf(reading, { question, vector, corrections, fusion: generation.fusion }),
      limit: Math.max(limit + 10, candidatesMin),
      ...(filter && { filter }),
    },
    signal,
  );
  const isWanted = (hit: Ranked<PassageHit>): boolean =>
    hit.passageShare > 0 || !embedder.isBaseline || isPinned(hit) || (reading.isListing && hasBranch(hit, "understood,"));
  const ranked = rerank(found, corrected, worthOf(search.weights, reading)).filter(isWanted);
  const judged = await judge(pinned(ranked), { question, reranker, signal });
  const diversity = search.weights?.diversity ?? diversityDefault;
  const passages = diversify(judged, { limit, diversity });
  const language = detectLanguage(question);
  const { filter: understood, phrases, codes } = reading;
  return {
    question,
    language,
    passages: passages.map((hit) => cite(hit, { question: corrected, language, explain: search.explain === true })),
    understood: { filter: understood, phrases, codes, corrections },
    embedder: { id: embedder.id, label: embedder.label, isBaseline: embedder.isBaseline },
    ...(reranker?.id !== undefined && { reranker: reranker.id }),
    tookMs: Math.round((performance.now() - startedAt) * 10) / 10,
  };
}

/** The one whose vectors are searched. When its files are gone the vault is searched by words, and what is shown is what there is. */
async function embedderOf(
  { embedderId }: Generation,
  { embedder, embedders }: SearchPorts,
): Promise<{ readonly embedder: Embedder; readonly isThere: boolean }> {
  if (embedderId === undefined || embedderId === embedder.id) return { embedder, isThere: true };
  const found = await embedders?.of(embedderId);
  return { embedder: found ?? embedder, isThere: found !== undefined };
}

function checked({ question: raw, limit }: Search): string {
  const question = raw.trim();
  if (question === "") throw new NikaError("invalid", "Ask something.");
  if (question.length > questionCharsMax)
    throw new NikaError("invalid", `A question has at most ${questionCharsMax} characters.`);
  if (!Number.isInteger(limit) || limit < 1 || limit > passagesPerAnswerMax) {
    throw new NikaError("invalid", `The limit must be from 1 to ${passagesPerAnswerMax}.`);
  }
  return question;
}

type Corrections = Understood["corrections"];

/** Words that no document has, with those that look like them. A word that is there in another form is no mistake. */
async function correctionsOf(
  text: string,
  { tenantId, vectors, signal }: { tenantId: string; vectors: Ports["vectors"]; signal: AbortSignal },
): Promise<Corrections> {
  const asked = words(text).filter(({ form, isStop }) => !isStop && isSpellable(form));
  if (asked.length === 0) return [];
  const alike = await vectors.spellings({ tenantId, words: [...new Set(asked.map(({ form }) => form))] }, signal);
  return [...alike]
    .filter(([word, read]) => read.length > 0 && read.every((one) => stemOf(one) !== stemOf(word)))
    .map(([word, read]) => ({ word, read }));
}

/** The text with each mistaken word followed by the likeliest it was meant to be. */
function withCorrections(text: string, corrections: Corrections): string {
  return [text, ...corrections.flatMap(({ read }) => read.slice(0, 1))].join(" ");
}

function branchesOf(
  reading: Reading,
  {
    question,
    vector,
    corrections,
    fusion: { dense, lexical },
  }: { question: string; vector: Float32Array; corrections: Corrections; fusion: Fusion },
): Branch[] {
  // The whole question, dates and all: a text may say them in the same words.
  const terms = queryTerms(
    question,
    corrections.flatMap(({ read }) => read),
  );
  const { filter, codes, phrases } = reading;
  const { from: _from, to: _to, ...timeless } = filter;
  const isTimed = filter.from !== undefined || filter.to !== undefined;
  const isLimited = Object.keys(filter).length > 0;
  // Many documents do not say when they were written: what is of the type asked for counts whatever its time.
  const understood = [...(isLimited ? [filter] : []), ...(isTimed && Object.keys(timeless).length > 0 ? [timeless] : [])];
  const most = Math.max(dense, lexical);
  return [
    { name: "dense", weight: dense, vector },
    { name: "lexical", weight: lexical, terms },
    ...understood.flatMap((only, at) => [
      {
        name: at === 0 ? "understood, dense" : "understood but for time, dense",
        weight: (weights.understood * dense) / (at + 1),
        filter: only,
        vector,
      },
      {
        name: at === 0 ? "understood, lexical" : "understood but for time, lexical",
        weight: (weights.understood * lexical) / (at + 1),
        filter: only,
        terms,
      },
    ]),
    ...codes.map((code) => ({ name: `code ${code}`, weight: weights.code * most, terms: exactTerms(code) })),
    ...phrases.flatMap((phrase) => [
      { name: `phrase “${phrase}”`, weight: weights.phrase * most, phrase, terms: queryTerms(phrase) },
      // A phrase of function words has no terms; whatever has it is found by this one.
      { name: `phrase “${phrase}”, dense`, weight: (weights.phrase * most) / 2, phrase, vector },
    ]),
  ];
}

const hasBranch = ({ branches }: PassageHit, start: string): boolean => branches.some(({ name }) => name.startsWith(start));
const isPinned = (hit: PassageHit): boolean => hasBranch(hit, "code ") || hasBranch(hit, "phrase ");

/** Who puts something in quotation marks, or gives a code, wants that before all else. */
function pinned<H extends Ranked<PassageHit>>(hits: readonly H[]): H[] {
  if (!hits.some(isPinned)) return [...hits];
  const scored = hits.map((hit) => ({ ...hit, score: isPinned(hit) ? 0.5 + hit.score / 2 : hit.score / 2 }));
  return scored.sort((one, other) => other.score - one.score);
}

type Judged = Ranked<PassageHit> & { readonly judgement?: number };

/** The cross-encoder's word on the best few, if there is one. Without it, or when it does not answer, the order stays. */
async function judge(
  hits: readonly Ranked<PassageHit>[],
  { question, reranker, signal }: { question: string; reranker: Ports["reranker"]; signal: AbortSignal },
): Promise<Judged[]> {
  if (reranker?.id === undefined || hits.length < 2) return [...hits];
  const best = hits.slice(0, rerankedMax);
  const texts = best.map(({ title, text }) => `${title}\n${text}`);
  const scores = await reranker.score(question, texts, signal).catch((error: unknown) => {
    if (signal.aborted) throw error;
    return undefined;
  });
  if (!scores) return [...hits];
  const judged = best.map((hit, at): Judged => {
    const judgement = 1 / (1 + Math.exp(-(scores[at] ?? 0)));
    return { ...hit, judgement, score: isPinned(hit) ? hit.score : (1 - rerankerShare) * hit.score + rerankerShare * judgement };
  });
  return [
    ...judged.sort((one, other) => other.score - one.score),
    ...hits.slice(rerankedMax).map((hit) => ({ ...hit, score: 0 })),
  ];
}

/** What a passage is worth beside its words: being what was understood to be wanted, and what the asker said counts. */
function worthOf({ recency = 0, authority = 0 }: SearchWeights = {}, { filter }: Reading): RerankOptions<PassageHit> {
  const understood = Object.keys(filter).length > 0 ? understoodWorth : 0;
  const weight = recency + authority + understood;
  if (!(weight > 0)) return {};
  const now = Date.now();
  const of = (hit: PassageHit): number =>
    (recency * recencyOf(hit.writtenAt, now) + authority * authorityOf(hit.entityType) + understood * fitOf(hit)) / weight;
  return { worth: { weight, of } };
}

/** How well a passage's document fits what was understood: in type and time, in type alone, or not. */
function fitOf(hit: PassageHit): number {
  if (hasBranch(hit, "understood,")) return 1;
  return hasBranch(hit, "understood but for time") ? timelessFit : 0;
}

function cite(
  hit: Judged & { alike: readonly Judged[] },
  asked: { question: string; language: string; explain: boolean },
): CitedPassage {
  const { documentId, documentName, title, ordinal, text, place, kind, entityType, language, author, writtenAt, alike } = hit;
  return {
    documentId,
    documentName,
    title,
    ordinal,
    text,
    place,
    placeLabel: placeLabel(place, asked.language === "fr" ? "fr" : "en"),
    score: hit.score,
    highlights: highlights(text, asked.question, [title, ...(place.headings ?? [])].join(" ")),
    language,
    ...(kind !== undefined && { kind }),
    ...(entityType !== undefined && { entityType }),
    ...(author !== undefined && { author }),
    ...(writtenAt !== undefined && { writtenAt }),
    ...(alike.length > 0 && {
      alike: alike.map((other) => ({ documentId: other.documentId, documentName: other.documentName, ordinal: other.ordinal })),
    }),
    ...(asked.explain && {
      explanation: {
        branches: hit.branches,
        terms: termsHeld(`${title}\n${text}`, asked.question),
        fused: hit.fused,
        passageShare: hit.passageShare,
        sentenceShare: hit.sentenceShare,
        ...(hit.judgement !== undefined && { reranker: hit.judgement }),
      },
    }),
  };
}
