import { ideaOf } from "./concepts.ts";
import { sentences, type Span } from "./sentences.ts";
import { contentStems } from "./words.ts";

/** Sentences shown for one passage; more is no longer pointing. */
const highlightsMax = 3;
/** A sentence below this share of the best one's score only echoes it. */
const shareMin = 0.7;
/** A sentence must carry at least this share of what the passage offers of the question. */
const coverageMin = 0.25;

const asksNumber =
  /\b(?:how (?:much|many|long|old|often|far)|when|what (?:year|date|time|price|amount)|combien|quand|à quelle date|quel (?:montant|prix|délai))\b/iu;

type Scored = { readonly span: Span; readonly score: number };

/** What the title and headings say already, a sentence need not: "When does the lease end?", under "Lease", asks about the end. */
const aboutShare = 0.4;

/**
 * The sentences of `text` that bear on `question`, in order, as UTF-16 offsets. A word counts more the fewer sentences of the
 * passage have it, and less when `about` (its title and headings) has it. Empty when they share no word: then nothing in the wording
 * shows why the passage was found.
 */
export function highlights(text: string, question: string, about = ""): Span[] {
  const asked = contentStems(question);
  if (asked.size === 0) return [];
  const spans = sentences(text);
  const found = spans.map((span) => heldIn(contentStems(text.slice(span.from, span.to)), asked));
  const weights = weightsOf(found, contentStems(about));
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return [];
  const wantsNumber = asksNumber.test(question);
  const scored = spans.map((span, at) => ({ span, score: scoreOf(text, span, found[at] ?? new Set(), weights, wantsNumber) }));
  return pick(scored, total);
}

/** The asked terms that a sentence has, itself or by another word for the same idea. */
function heldIn(here: ReadonlySet<string>, asked: ReadonlySet<string>): Set<string> {
  const ideas = new Set(Array.from(here, ideaOf));
  ideas.delete(undefined);
  return new Set([...asked].filter((term) => here.has(term) || ideas.has(ideaOf(term))));
}

function weightsOf(found: readonly Set<string>[], about: ReadonlySet<string>): Map<string, number> {
  const frequency = new Map<string, number>();
  for (const terms of found) for (const term of terms) frequency.set(term, (frequency.get(term) ?? 0) + 1);
  const weigh = (term: string, df: number): number =>
    Math.log(1 + (found.length + 0.5) / df) * (about.has(term) ? aboutShare : 1);
  return new Map([...frequency].map(([term, df]) => [term, weigh(term, df)]));
}

// oxlint-disable-next-line max-params -- private, and each is a different thing
function scoreOf(text: string, span: Span, terms: Set<string>, weights: Map<string, number>, wantsNumber: boolean): number {
  let score = 0;
  for (const term of terms) score += weights.get(term) ?? 0;
  if (score === 0) return 0;
  const length = span.to - span.from;
  const hasNumber = wantsNumber && /\d/u.test(text.slice(span.from, span.to));
  // A line without an end is a title or a label: it names the thing and says nothing about it.
  const isLabel = length < 80 && !/[.!?…:;]|\d/u.test(text.slice(span.from, span.to));
  // Very long sentences contain everything by chance.
  return (score * (hasNumber ? 1.5 : 1) * (isLabel ? 0.6 : 1)) / (1 + Math.max(0, length - 300) / 600);
}

function pick(scored: readonly Scored[], total: number): Span[] {
  const best = Math.max(...scored.map(({ score }) => score));
  if (best < total * coverageMin) return [];
  return scored
    .filter(({ score }) => score >= best * shareMin)
    .sort((left, right) => right.score - left.score)
    .slice(0, highlightsMax)
    .map(({ span }) => span)
    .sort((left, right) => left.from - right.from);
}
