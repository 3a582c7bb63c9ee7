/** When results may be shown together: the latest moment at which all of them are true. */
import type { QueryResult } from "../subscriptions/computations.ts";

/**
 * The latest time from `floorTs` to `publishedTs` at which every result is true, or undefined when there is none. A result that was
 * overtaken while it ran still has such a moment, in the past: that is what keeps a busy table from starving its readers.
 */
export function sharedMoment(
  results: readonly QueryResult[],
  bounds: { readonly floorTs: bigint; readonly publishedTs: bigint },
): bigint | undefined {
  let since = bounds.floorTs;
  let last = bounds.publishedTs > since ? bounds.publishedTs : since;
  for (const { sinceTs, untilTs } of results) {
    if (sinceTs > since) since = sinceTs;
    if (untilTs !== undefined && untilTs - 1n < last) last = untilTs - 1n;
  }
  return since <= last ? last : undefined;
}
