/** Lists that come in numbered pages. */
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { failureOf } from "../http.ts";

const pagesMax = 1_000;

/**
 * All entries. The vendor counts them; what changes between two pages can push one out of sight, so fewer than it counted at the last
 * page is a failure.
 */
export async function paged<T>(
  read: (page: number) => Promise<{ readonly entries: readonly T[]; readonly totalCount: number }>,
): Promise<T[]> {
  const all: T[] = [];
  for (let page = 1; page <= pagesMax; page++) {
    const { entries, totalCount } = await read(page);
    all.push(...entries);
    if (all.length >= totalCount) return all;
    if (entries.length === 0) break;
  }
  throw new ProviderError(failureOf("transient", "provider", "Scaleway's list changed while it was read"));
}
