import { contentStems } from "./words.ts";

type Candidate = { readonly text: string; readonly score: number };

/** Passages that share this much of their words say the same: a template filled in again shares less. */
const sameMin = 0.9;
/** Of shorter texts a word more or less is a large share, and a different thing: rows of one table. */
const sameWordsMin = 12;

/**
 * The best `limit` of `candidates` (best first, scores 0 to 1), each with the ones it stands for. A passage in almost the same words,
 * the same figures among them, is folded into the better one. What remains is taken in the order of its score less `diversity`
 * times its likeness to what was taken before it (maximal marginal relevance); 0 keeps the order as it is.
 */
export function diversify<C extends Candidate>(
  candidates: readonly C[],
  { limit, diversity }: { limit: number; diversity: number },
): (C & { alike: C[] })[] {
  const kept: { candidate: C; stems: ReadonlySet<string>; numbers: string; alike: C[] }[] = [];
  for (const candidate of candidates) {
    const stems = contentStems(candidate.text);
    const numbers = (candidate.text.match(/\d+/gu) ?? []).join(" ");
    const same = kept.find((other) => isSame({ stems, numbers, text: candidate.text }, { ...other, text: other.candidate.text }));
    if (same) same.alike.push(candidate);
    else kept.push({ candidate, stems, numbers, alike: [] });
  }
  const chosen: typeof kept = [];
  while (chosen.length < limit && kept.length > 0) {
    let best = 0;
    let bestValue = -Infinity;
    for (const [at, one] of kept.entries()) {
      const echo = diversity > 0 ? Math.max(0, ...chosen.map((other) => overlap(one.stems, other.stems))) : 0;
      const value = one.candidate.score - diversity * one.candidate.score * echo;
      if (value > bestValue) [best, bestValue] = [at, value];
    }
    chosen.push(...kept.splice(best, 1));
  }
  return chosen.map(({ candidate, alike }) => ({ ...candidate, alike }));
}

type Looked = { readonly stems: ReadonlySet<string>; readonly numbers: string; readonly text: string };

function isSame(one: Looked, other: Looked): boolean {
  if (one.text === other.text) return true;
  if (one.numbers !== other.numbers || Math.min(one.stems.size, other.stems.size) < sameWordsMin) return false;
  return overlap(one.stems, other.stems) >= sameMin;
}

/** Jaccard: the share of both texts' words that are in both. */
function overlap(one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  let both = 0;
  for (const stem of one) if (other.has(stem)) both += 1;
  return both === 0 ? 0 : both / (one.size + other.size - both);
}
