import { passagesPerAnswerMax, questionCharsMax, type Answer, type CitedPassage } from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import { placeLabel } from "../../convex/model/place.ts";
import { highlights } from "../../ml/retrieve/highlight.ts";
import { detectLanguage } from "../../ml/retrieve/language.ts";
import { rerank } from "../../ml/retrieve/rerank.ts";
import { queryTerms } from "../../ml/retrieve/terms.ts";
import { defineCall } from "../define.ts";
import type { PassageHit } from "../ports/vectors.ts";

export type { Answer } from "../../convex/model/answer.ts";
export type Question = { readonly question: string; readonly limit: number };

const deadlineMs = 15_000; // Far above what a search takes; a store that is down is noticed before the asker gives up.

/** Looked at more closely than the search does, to choose from. */
const candidatesMin = 20;

/** The passages that bear on a question, best first, with the sentences that answer it. */
export const askVault = defineCall({
  name: "vault.ask",
  needs: ["embedder", "vectors"],
  deadlineMs,
  run: async ({ question: raw, limit }: Question, { embedder, vectors }, signal): Promise<Answer> => {
    const startedAt = performance.now();
    const question = checked(raw, limit);
    const vector = await embedder.query(question, signal);
    const found = await vectors.search({ vector, terms: queryTerms(question), limit: Math.max(limit, candidatesMin) }, signal);
    const hits = rerank(found, question, { needsWords: embedder.isBaseline }).slice(0, limit);
    const language = detectLanguage(question);
    return {
      question,
      language,
      passages: hits.map((hit) => cite(hit, { question, language })),
      embedder: { id: embedder.id, label: embedder.label, isBaseline: embedder.isBaseline },
      tookMs: Math.round((performance.now() - startedAt) * 10) / 10,
    };
  },
});

function checked(raw: string, limit: number): string {
  const question = raw.trim();
  if (question === "") throw new NikaError("invalid", "Ask something.");
  if (question.length > questionCharsMax)
    throw new NikaError("invalid", `A question has at most ${questionCharsMax} characters.`);
  if (!Number.isInteger(limit) || limit < 1 || limit > passagesPerAnswerMax) {
    throw new NikaError("invalid", `The limit must be from 1 to ${passagesPerAnswerMax}.`);
  }
  return question;
}

function cite(hit: PassageHit, asked: { question: string; language: string }): CitedPassage {
  const { documentId, documentName, title, ordinal, text, place } = hit;
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
  };
}
