/**
 * An embedder that needs no weights: each word gets a fixed random direction made from its letters, a text is the sum of its words.
 * Words that share a stem or letters point alike, so it forgives endings and typing slips, and words that a small hand-written table
 * holds for the same idea share a direction, too. Beyond that table it matches words, not meanings, and its label says so. Method: an
 * untrained static token table (token + stem + its 3- and 4-grams + idea, saturated counts).
 */
import { ideaOf } from "../retrieve/concepts.ts";
import { hashOf, words, type Word } from "../retrieve/words.ts";

export type BaselineEmbedder = {
  readonly id: string;
  readonly label: string;
  readonly dimensions: 384;
  /** One unit vector per text, in order. Same text, same vector, on any machine. */
  embed(texts: readonly string[]): Float32Array[];
};

const dimensions = 384;
/** 1.5 KB a row, so at most 12 MB; a passage has about 100 different words and most of them are the same ones. */
const rowsCachedMax = 8_000;
/** How fast more of the same word stops counting: 1, 1.5, 1.8, 2, … of at most 3. */
const saturation = 2;
/** A function word says next to nothing, but two texts of nothing else should still differ. */
const stopWeight = 0.02;
/** Letters by threes and fours together are worth as much as the word: "assurance" and "insurance", "adresse" and "address" are near. */
const gramWeight = 1;
/** A word of the table is more its idea than its letters, and says more of a text than a word that is not. */
const ideaWeight = 1.5;
/** Parts of identifiers and words of one letter match by accident. */
const shortWeight = 0.4;
const longWeightMax = 1.3;

/** Makes an embedder with its own bounded cache of rows. */
export function baselineEmbedder(): BaselineEmbedder {
  const rows = new Map<string, Float32Array>();
  const rowOf = (word: Word): Float32Array => {
    const known = rows.get(word.form);
    if (known) return known;
    if (rows.size >= rowsCachedMax) rows.clear();
    const row = makeRow(word);
    rows.set(word.form, row);
    return row;
  };
  return {
    id: "nika-baseline-2",
    label: "offline baseline: matches words and a few hundred common synonyms in English and French, not meanings",
    dimensions,
    embed: (texts) => texts.map((text) => embedOne(text, rowOf)),
  };
}

function embedOne(text: string, rowOf: (word: Word) => Float32Array): Float32Array {
  const counts = new Map<string, { word: Word; count: number }>();
  for (const word of words(text)) {
    const entry = counts.get(word.form);
    if (entry) entry.count += 1;
    else counts.set(word.form, { word, count: 1 });
  }
  const sum = new Float32Array(dimensions);
  for (const { word, count } of counts.values()) {
    const row = rowOf(word);
    const weight = (weightOf(word) * count * (saturation + 1)) / (count + saturation);
    for (let at = 0; at < dimensions; at += 1) sum[at] = (sum[at] ?? 0) + weight * (row[at] ?? 0);
  }
  return unit(sum) ?? nothing();
}

function weightOf(word: Word): number {
  if (word.isStop) return stopWeight;
  // Long words are rarer, and rare words tell texts apart. The true rarity is the vault's to know, not the embedder's.
  return word.form.length < 2 ? shortWeight : Math.min(longWeightMax, 0.6 + word.form.length * 0.08);
}

function makeRow(word: Word): Float32Array {
  const row = new Float32Array(dimensions);
  addSigns(row, `t:${word.form}`, 1);
  addSigns(row, `s:${word.stem}`, 1);
  const grams = allGramsOf(word);
  for (const gram of grams) addSigns(row, `g:${gram}`, gramWeight / Math.sqrt(grams.length));
  const own = unit(row) ?? nothing();
  const idea = ideaOf(word.stem);
  // Signs of one idea together have the length of `ideaWeight`.
  if (idea !== undefined) addSigns(own, `i:${idea}`, ideaWeight / Math.sqrt(dimensions));
  return own;
}

export type WordFeature = {
  readonly name: string;
  readonly kind: "word" | "stem" | "gram" | "idea";
  /** What its signs count in the word's row, the word's own weight included. */
  readonly coefficient: number;
  /** Its direction: +1 or -1 a dimension. */
  readonly signs: () => Float32Array;
};

/** A word's row taken apart, for who trains the parts: the sum of its features is the row times the word's weight. */
export function wordFeatures(word: Word, size: number): WordFeature[] {
  const grams = allGramsOf(word);
  const parts: Pick<WordFeature, "name" | "kind" | "coefficient">[] = [
    { name: `t:${word.form}`, kind: "word", coefficient: 1 },
    { name: `s:${word.stem}`, kind: "stem", coefficient: 1 },
    ...grams.map((gram) => ({ name: `g:${gram}`, kind: "gram" as const, coefficient: gramWeight / Math.sqrt(grams.length) })),
  ];
  const sum = new Float32Array(size);
  for (const { name, coefficient } of parts) addSigns(sum, name, coefficient);
  const scale = weightOf(word) / Math.hypot(...sum);
  const idea = ideaOf(word.stem);
  const meant = { name: `i:${idea}`, kind: "idea" as const, coefficient: (weightOf(word) * ideaWeight) / Math.sqrt(size) };
  return [
    ...parts.map((part) => ({ ...part, coefficient: part.coefficient * scale })),
    ...(idea === undefined ? [] : [meant]),
  ].map((part) => ({ ...part, signs: () => signsOf(part.name, size) }));
}

function signsOf(name: string, size: number): Float32Array {
  const signs = new Float32Array(size);
  addSigns(signs, name, 1);
  return signs;
}

/** A word's letters by threes and fours. */
function allGramsOf(word: Word): string[] {
  const padded = `^${word.form}$`;
  return [3, 4].flatMap((length) => gramsOf(padded, length));
}

function gramsOf(padded: string, length: number): string[] {
  if (padded.length <= length) return [padded];
  return Array.from({ length: padded.length - length + 1 }, (_, at) => padded.slice(at, at + length));
}

/** Adds a row of ±`weight` drawn from the text's hash: 12 random 32-bit words, one bit a dimension. */
function addSigns(row: Float32Array, text: string, weight: number): void {
  let state = hashOf(text);
  for (let block = 0; block < row.length; block += 32) {
    state = (state + 0x9e3779b9) >>> 0;
    let bits = state;
    bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    bits ^= bits >>> 15;
    for (let bit = 0; bit < 32; bit += 1) row[block + bit] = (row[block + bit] ?? 0) + ((bits >>> bit) & 1 ? weight : -weight);
  }
}

/** Scaled to length 1; undefined when there is nothing to scale. */
function unit(vector: Float32Array): Float32Array | undefined {
  let square = 0;
  for (const value of vector) square += value * value;
  if (!(square > 1e-12) || !Number.isFinite(square)) return undefined;
  const scale = 1 / Math.sqrt(square);
  for (let at = 0; at < vector.length; at += 1) vector[at] = (vector[at] ?? 0) * scale;
  return vector;
}

/** What stands for a text without words: a zero vector has no direction, and stores refuse or misrank it. */
export function nothing(): Float32Array {
  const vector = new Float32Array(dimensions);
  addSigns(vector, "nothing", 1 / Math.sqrt(dimensions));
  return vector;
}
