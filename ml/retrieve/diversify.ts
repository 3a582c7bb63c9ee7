import { contentStems } from "./words.ts";

/** `stems` are those of its telling words, when somebody has looked already. */
type Candidate = { readonly text: string; readonly score: number; readonly stems?: ReadonlySet<string> };

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
  const kept: Looked<C>[] = [];
  for (const candidate of candidates) {
    const stems = candidate.stems ?? contentStems(candidate.text);
    const one = { candidate, stems, numbers: (candidate.text.match(/\d+/gu) ?? []).join(" "), echo: 0, alike: [] };
    const same = kept.find((other) => isSame(one, other));
    if (same) same.alike.push(candidate);
    else kept.push(one);
  }
  const chosen: Looked<C>[] = [];
  while (chosen.length < limit && kept.length > 0) {
    let best = 0;
    let bestValue = -Infinity;
    for (const [at, { candidate, echo }] of kept.entries()) {
      const value = candidate.score * (1 - diversity * echo);
      if (value > bestValue) [best, bestValue] = [at, value];
    }
    const [taken] = kept.splice(best, 1);
    if (!taken) break;
    chosen.push(taken);
    if (diversity > 0) for (const other of kept) other.echo = Math.max(other.echo, overlap(other.stems, taken.stems));
  }
  return chosen.map(({ candidate, alike }) => ({ ...candidate, alike }));
}

type Looked<C> = {
  readonly candidate: C;
  readonly stems: ReadonlySet<string>;
  readonly numbers: string;
  /** Likeness to the most alike of those taken. */
  echo: number;
  readonly alike: C[];
};

function isSame<C extends Candidate>(one: Looked<C>, other: Looked<C>): boolean {
  if (one.candidate.text === other.candidate.text) return true;
  const [less, more] = [one.stems.size, other.stems.size].sort((a, b) => a - b) as [number, number];
  if (one.numbers !== other.numbers || less < sameWordsMin || less < more * sameMin) return false;
  return overlap(one.stems, other.stems, sameMin) >= sameMin;
}

/** Jaccard: the share of both texts' words that are in both. Told as 0 as soon as it cannot reach `min`. */
function overlap(one: ReadonlySet<string>, other: ReadonlySet<string>, min = 0): number {
  let both = 0;
  let left = one.size;
  for (const stem of one) {
    if (other.has(stem)) both += 1;
    left -= 1;
    const most = both + left;
    if (min > 0 && most < min * (one.size + other.size - most)) return 0;
  }
  return both === 0 ? 0 : both / (one.size + other.size - both);
}
