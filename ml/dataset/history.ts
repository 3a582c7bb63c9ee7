/** Pairs from what really happened: what was asked, and what of the answers was used. */
import type { Asked, Reaction, ReactionType } from "../../convex/model/use.ts";
import { nameOf, normalQuery, type DatasetPassage, type Pair } from "./pair.ts";

/** What somebody's act says of the passage. Quoting it says it all; opening it may have been curiosity. */
const weights: Record<Exclude<ReactionType, "disliked">, number> = { cited: 1, liked: 1, copied: 0.7, opened: 0.7 };
/** Other words for the same thing, found out by trying: the most telling pairs there are. */
const reformulatedWeight = 0.8;
/** Who asks again this soon without having used anything had not found it. */
const reformulatedWithinMs = 2 * 60_000;

export type HistoryOptions = {
  readonly passages: ReadonlyMap<string, DatasetPassage>;
  /** Scopes whose use may be learned from. */
  readonly scopes: ReadonlySet<string>;
};

/** What was used, by question; a passage that was disliked for a question is none of its answers. */
export function pairsFromHistory(
  asked: readonly Asked[],
  reactions: readonly Reaction[],
  { passages, scopes }: HistoryOptions,
): Pair[] {
  const reactionsOf = Map.groupBy(reactions, ({ askId }) => askId);
  const pairs: Pair[] = [];
  // Who did not say who he is may be anybody each time.
  for (const session of Map.groupBy(asked, ({ session: id, id: askId }) => (id === "" ? `ask ${askId}` : id)).values()) {
    let unanswered: Asked[] = [];
    for (const ask of session.toSorted((one, other) => one.at - other.at)) {
      const mine = reactionsOf.get(ask.id) ?? [];
      const disliked = new Set(mine.filter(({ type }) => type === "disliked").map(nameOf));
      const used = mine.filter((one) => one.type !== "disliked" && !disliked.has(nameOf(one)));
      const may = used.filter((one) => scopes.has(passages.get(nameOf(one))?.scope ?? ""));
      for (const { type, documentId, ordinal, at } of may) {
        const passage = { documentId, ordinal };
        const weight = weights[type as keyof typeof weights];
        const about = { passage, at, session: ask.session };
        pairs.push({ ...about, query: ask.question, weight, origin: "used" });
        if (type === "opened") continue;
        for (const earlier of unanswered)
          if (ask.at - earlier.at <= reformulatedWithinMs)
            pairs.push({ ...about, query: earlier.question, weight: reformulatedWeight * weight, origin: "reformulated" });
      }
      unanswered = used.length > 0 ? [] : [...unanswered, ask];
    }
  }
  return pairs;
}

/** One document may not teach more than this, or the model learns that document. */
const perDocumentMax = 20;
/** Neither may one session, or it learns that person's afternoon. */
const perSessionMax = 200;

/** Each pair once, at its surest; the surest first where there are too many of one document or session. */
export function distinct(pairs: readonly Pair[]): Pair[] {
  const best = new Map<string, Pair>();
  for (const pair of pairs) {
    const query = normalQuery(pair.query);
    if (query === "") continue;
    const key = `${query}\n${nameOf(pair.passage)}`;
    const known = best.get(key);
    if (!known || pair.weight > known.weight) best.set(key, pair);
  }
  const counts = new Map<string, number>();
  const hasRoom = (key: string, most: number): boolean => {
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    return count < most;
  };
  const kept = [...best.values()]
    .toSorted((one, other) => other.weight - one.weight)
    .filter(
      ({ passage, session, origin }) =>
        hasRoom(`${origin === "span" ? "span" : "document"} ${passage.documentId}`, perDocumentMax) &&
        (session === "" || hasRoom(`session ${session}`, perSessionMax)),
    );
  // In an order that does not depend on how they came in.
  return kept.toSorted((one, other) => one.at - other.at || (keyOf(one) < keyOf(other) ? -1 : 1));
}

const keyOf = ({ query, passage }: Pair): string => `${nameOf(passage)}\n${query}`;
