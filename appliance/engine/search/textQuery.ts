/** From the `source` of a search to what the index is asked. */
import { asText, DeveloperError, type Json } from "../codec/value.ts";
import type { ReadRange } from "../model/commit.ts";
import { isUndefined } from "../txn/expression.ts";
import { hashFilter } from "./filters.ts";
import { textReads } from "./textReads.ts";
import { toQueryTerms, type QueryTerms } from "./terms.ts";
import type { TextIndex } from "./texts.ts";

export type SearchFilter = { readonly type: "Search" | "Eq"; readonly fieldPath: string; readonly value: Json };
export type TextQuery = {
  readonly index: TextIndex;
  readonly terms: QueryTerms;
  readonly filters: readonly { readonly at: number; readonly hash: Buffer }[];
  readonly reads: readonly ReadRange[];
};

const filtersMax = 8;

export function toTextQuery(index: TextIndex, asked: readonly SearchFilter[]): TextQuery {
  const [search, ...others] = asked.filter((one) => one.type === "Search");
  if (!search || others.length > 0)
    throw new DeveloperError(`Search queries against ${index.name} must contain exactly one search filter.`);
  if (search.fieldPath !== index.searchField)
    throw new DeveloperError(
      `Search query against ${index.name} contains a search filter against "${search.fieldPath}", which doesn't match the indexed \`searchField\` "${index.searchField}".`,
    );
  const equalities = asked.filter((one) => one.type === "Eq");
  if (equalities.length > filtersMax)
    throw new DeveloperError(
      `Search query against ${index.name} has too many filter conditions. Max: ${filtersMax} Actual: ${equalities.length}`,
    );
  const filters = equalities.map((one) => {
    const at = index.filterFields.indexOf(one.fieldPath);
    if (at < 0)
      throw new DeveloperError(
        `Search query against ${index.name} contains an equality filter on "${one.fieldPath}" but that field isn't indexed for filtering in \`filterFields\`.`,
      );
    return { at, hash: hashFilter(isUndefined(one.value) ? undefined : one.value) };
  });
  const hashes = index.filterFields.map((_, at) => filters.find((one) => one.at === at)?.hash);
  const isComplete = hashes.length > 0 && hashes.every((one) => one !== undefined);
  const terms = toQueryTerms(asText(search.value));
  return { index, terms, filters, reads: textReads(index, terms, isComplete ? Buffer.concat(hashes) : undefined) };
}
