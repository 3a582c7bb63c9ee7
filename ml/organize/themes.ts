/**
 * What a vault is about: documents grouped by their vectors, each group named by the words that set it apart. Pure and deterministic: the
 * same documents in the same order give the same themes, on any machine. Built anew now and then; in between a new document joins the
 * nearest theme, or none. How good the groups are is the embedder's doing; with the baseline they follow wording and common synonyms.
 */
import { words } from "../retrieve/words.ts";

/** What themes need to know of a document; small enough to keep beside its row (about 2 KB). */
export type Profile = {
  readonly id: string;
  /** ISO 639-1. */
  readonly language: string;
  /** Mean of its passages' vectors, length 1. */
  readonly vector: readonly number[];
  /** Its most frequent telling words, as they are written, with how often (square root). */
  readonly terms: readonly { readonly stem: string; readonly word: string; readonly weight: number }[];
};

export type Theme = {
  /** Stable while its documents stay about the same: named after its strongest words' stems. */
  readonly id: string;
  /** Up to three words in the language most of its documents are in. */
  readonly label: string;
  readonly language: string;
  readonly centroid: readonly number[];
  /** Documents it was made of. */
  readonly count: number;
};

export type Themes = { readonly themes: readonly Theme[]; readonly of: ReadonlyMap<string, string> };

const termsMax = 24;
/** Fewer documents have no themes worth a name. */
const documentsMin = 6;
const themesMax = 24;
const roundsMax = 12;
/** Groups nearer than this say the same and become one. */
const mergeMin = 0.75;
/** A document farther than this from every theme is in none. */
const joinMin = 0.25;
const labelWords = 3;

/** A document's profile from its passages: `vectors` of `texts`, in the same order. */
export function profileOf(document: {
  readonly id: string;
  readonly language: string;
  readonly texts: readonly string[];
  readonly vectors: readonly Float32Array[];
}): Profile {
  const counts = new Map<string, { word: string; count: number }>();
  for (const text of document.texts) {
    for (const { form, stem, isStop } of words(text)) {
      if (isStop || form.length < 4 || !/^\p{L}+$/u.test(form)) continue;
      const known = counts.get(stem);
      if (known) known.count += 1;
      else counts.set(stem, { word: form, count: 1 });
    }
  }
  const terms = [...counts]
    .sort(([one, a], [other, b]) => b.count - a.count || (one < other ? -1 : 1))
    .slice(0, termsMax)
    .map(([stem, { word, count }]) => ({ stem, word, weight: Math.round(Math.sqrt(count) * 100) / 100 }));
  const sum = new Float64Array(document.vectors[0]?.length ?? 0);
  for (const vector of document.vectors) for (let at = 0; at < sum.length; at += 1) sum[at]! += vector[at] ?? 0;
  return { id: document.id, language: document.language, vector: unit(sum).map((value) => Math.round(value * 1e5) / 1e5), terms };
}

/** A vector of length 1 as one signed byte a dimension: a hundredth of an angle is nothing between themes. */
export const toBytes = (vector: readonly number[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Int8Array.from(vector, (value) => Math.round(value * 127)).buffer);
export const fromBytes = (bytes: Uint8Array): number[] =>
  Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length), (value) => value / 127);

/** Groups documents into themes. Those of too few documents, and what fits nowhere, are in none. */
export function findThemes(profiles: readonly Profile[]): Themes {
  if (profiles.length < documentsMin) return { themes: [], of: new Map() };
  const wanted = Math.min(themesMax, 2 + Math.round(Math.sqrt(profiles.length)));
  let centroids = spread(profiles, wanted);
  let groups = grouped(profiles, centroids);
  for (let round = 0; round < roundsMax; round += 1) {
    // A seed that nothing came to was an odd document; its place goes to nobody.
    centroids = merged(groups.filter((group) => group.length >= 2).map(centroidOf));
    const next = grouped(profiles, centroids);
    const isSame = next.length === groups.length && next.every((group, at) => group.length === groups[at]?.length);
    groups = next;
    if (isSame) break;
  }
  const kept = groups.filter((group) => group.length >= 2).sort((one, other) => other.length - one.length);
  const themes: Theme[] = [];
  const of = new Map<string, string>();
  for (const group of kept) {
    const theme = named(group, kept, themes);
    themes.push(theme);
    for (const { id } of group) of.set(id, theme.id);
  }
  return { themes, of };
}

/** The theme a new document belongs to: the nearest one, if any is near. */
export function joinTheme(themes: readonly Theme[], profile: Pick<Profile, "vector">): Theme | undefined {
  const best = nearest(
    themes.map(({ centroid }) => centroid),
    profile.vector,
  );
  return best !== undefined && best.likeness >= joinMin ? themes[best.at] : undefined;
}

type Vector = readonly number[];

/** The first seed is what is nearest to the middle of everything, each further one what is farthest from those before. */
function spread(profiles: readonly Profile[], count: number): Vector[] {
  const middle = centroidOf(profiles);
  const first = profiles.reduce((best, one) => (dot(one.vector, middle) > dot(best.vector, middle) ? one : best));
  const seeds: Vector[] = [first.vector];
  const likeness = profiles.map(({ vector }) => dot(vector, first.vector));
  while (seeds.length < count) {
    const least = likeness.reduce((best, value, at) => (value < likeness[best]! ? at : best), 0);
    const seed = profiles[least]!.vector;
    seeds.push(seed);
    for (const [at, { vector }] of profiles.entries()) likeness[at] = Math.max(likeness[at]!, dot(vector, seed));
  }
  return seeds;
}

function grouped(profiles: readonly Profile[], centroids: readonly Vector[]): Profile[][] {
  const groups: Profile[][] = centroids.map(() => []);
  for (const profile of profiles) {
    const best = nearest(centroids, profile.vector);
    if (best && best.likeness >= joinMin) groups[best.at]?.push(profile);
  }
  return groups;
}

function merged(centroids: readonly Vector[]): Vector[] {
  const kept: Vector[] = [];
  for (const centroid of centroids) if (kept.every((other) => dot(centroid, other) < mergeMin)) kept.push(centroid);
  return kept;
}

function nearest(centroids: readonly Vector[], vector: Vector): { at: number; likeness: number } | undefined {
  let best: { at: number; likeness: number } | undefined;
  for (const [at, centroid] of centroids.entries()) {
    const likeness = dot(centroid, vector);
    if (!best || likeness > best.likeness) best = { at, likeness };
  }
  return best;
}

function centroidOf(group: readonly Profile[]): Vector {
  const sum = new Float64Array(group[0]?.vector.length ?? 0);
  for (const { vector } of group) for (let at = 0; at < sum.length; at += 1) sum[at]! += vector[at] ?? 0;
  return unit(sum);
}

/** Words that many of a group's documents have and few of the others', in the language of most of them. */
function named(group: readonly Profile[], all: readonly (readonly Profile[])[], before: readonly Theme[]): Theme {
  const languages = Map.groupBy(group, ({ language }) => language);
  const language = [...languages].reduce((best, one) => (one[1].length > best[1].length ? one : best))[0];
  const mine = languages.get(language) ?? group;
  const documents = all.flat();
  const scores = new Map<string, { word: string; score: number; inGroup: number }>();
  for (const { terms } of mine) {
    for (const { stem, word, weight } of terms) {
      const known = scores.get(stem) ?? { word, score: 0, inGroup: 0 };
      scores.set(stem, {
        word: known.word.length <= word.length ? known.word : word,
        score: known.score + weight,
        inGroup: known.inGroup + 1,
      });
    }
  }
  const holding = (stem: string): number => documents.filter(({ terms }) => terms.some((term) => term.stem === stem)).length;
  const best = [...scores]
    // A word of one document names that document.
    .filter(([, { inGroup }]) => inGroup >= Math.min(2, mine.length))
    .map(([stem, { word, score, inGroup }]) => ({
      stem,
      word,
      value: score * inGroup * Math.log(1 + documents.length / holding(stem)),
    }))
    .sort((one, other) => other.value - one.value || (one.stem < other.stem ? -1 : 1))
    .slice(0, labelWords);
  const label = best.map(({ word }) => word).join(", ") || group[0]!.terms[0]?.word || "–";
  const id = best.map(({ stem }) => stem).join("-") || `theme-${before.length + 1}`;
  const isTaken = before.some((theme) => theme.id === id);
  return { id: isTaken ? `${id}-${before.length + 1}` : id, label, language, centroid: centroidOf(group), count: group.length };
}

function dot(one: Vector, other: Vector): number {
  let sum = 0;
  for (let at = 0; at < one.length; at += 1) sum += (one[at] ?? 0) * (other[at] ?? 0);
  return sum;
}

function unit(vector: Float64Array): number[] {
  let square = 0;
  for (const value of vector) square += value * value;
  return Array.from(vector, (value) => (square > 0 ? value / Math.sqrt(square) : 0));
}
