/** Where the embedded store answers otherwise than its peer, and why. Each was looked into; anything else is a bug. */
import type { Body, Step } from "./cases.ts";

export type Peer = {
  /** Which peer was compared with. */
  readonly truth: string;
  /** Points or vectors were deleted before. */
  readonly wasDeleted: boolean;
  /** A prefetch has two points of one score. */
  readonly hasTies: boolean;
};

type Deviation = { readonly reason: string; holds(step: Step, found: string, peer: Peer): boolean };

const deviations: readonly Deviation[] = [
  {
    reason: "the engine counts deleted points in its IDF until it cleans up; the store counts what is there",
    holds: ({ body }, found, { truth, wasDeleted }) =>
      truth === "edge" && wasDeleted && JSON.stringify(body).includes('"using":"i"') && !found.startsWith("ours"),
  },
  {
    reason:
      "a `should` of the query and one of its prefetch: the server makes one list of them, so that either is enough; the store asks for both, " +
      "because a filter round a search must never let more through",
    holds: ({ body }, _found, { truth }) =>
      truth === "edge" && hasShould(body["filter"]) && prefetchesOf(body).some(({ filter }) => hasShould(filter)),
  },
  {
    reason:
      "two points of a prefetch have one score, and which of them ranks first, which fusion then counts, is each engine's own choice",
    holds: (_step, found, { hasTies }) => hasTies && !found.startsWith("ours"),
  },
  {
    reason:
      "a point that has one value twice takes two places of the engine's page, which then shows it once and is shorter; the store's page is full",
    holds: ({ body }, found, { truth }) =>
      truth === "edge" && JSON.stringify(body).includes('"order_by"') && /^order values|^\d+ hits/.test(found),
  },
];

const hasShould = (filter: unknown): boolean =>
  typeof filter === "object" && filter !== null && ("should" in filter || "min_should" in filter);
const prefetchesOf = (body: Body): Body[] => (body["prefetch"] as Body[] | undefined) ?? [];

/** Why this difference is there; undefined when nobody knows. */
export const reasonFor = (step: Step, found: string, peer: Peer): string | undefined =>
  deviations.find((deviation) => deviation.holds(step, found, peer))?.reason;
