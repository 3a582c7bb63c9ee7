import type { Schemas } from "@qdrant/js-client-rest";
import type { SearchFilter } from "../../convex/model/answer.ts";
import type { HeldGroup } from "../../functions/ports/vectors.ts";
import { nameWords, toFolder } from "../../ml/retrieve/names.ts";

import { found } from "./points.ts";

type Condition = Schemas["FieldCondition"];

const lists = {
  types: "entity_type",
  languages: "language",
  formats: "format",
  kinds: "kind",
  domains: "domain",
  scopes: "scope",
  documentIds: "document_id",
} as const satisfies Partial<Record<keyof SearchFilter, string>>;

/** Only what searches may find. */
export const isFound: Condition = { key: "held", match: { value: found } };

const groupKeys = { type: "entity_type", language: "language", theme: "domain", folder: "held_folder" } as const;

/** Of a tenant, what waits of a batch. */
export function toHeld({ tenantId, batchId, only }: HeldGroup): { must: Condition[] } {
  const group = only ? [{ key: groupKeys[only.by], match: { value: only.value } }] : [];
  return { must: [...toConditions(tenantId).must, { key: "held", match: { value: batchId } }, ...group] };
}

/** Qdrant's conditions for a tenant and what a search is limited to. An empty list is "none of them", as in Qdrant. */
export function toConditions(tenantId: string, ...filters: readonly (SearchFilter | undefined)[]): { must: Condition[] } {
  return {
    must: [
      { key: "tenant_id", match: { value: tenantId } },
      ...filters.flatMap((filter) => (filter ? conditionsOf(filter) : [])),
    ],
  };
}

function conditionsOf(filter: SearchFilter): Condition[] {
  const conditions: Condition[] = [];
  for (const [name, key] of Object.entries(lists)) {
    const values = filter[name as keyof typeof lists];
    if (values !== undefined) conditions.push({ key, match: values.length === 1 ? { value: values[0]! } : { any: values } });
  }
  for (const value of filter.author === undefined ? [] : nameWords(filter.author))
    conditions.push({ key: "names", match: { value } });
  const folder = toFolder(filter.folder ?? "");
  if (folder !== "") conditions.push({ key: "folders", match: { value: folder } });
  const { from, to } = filter;
  if (from !== undefined || to !== undefined)
    conditions.push({
      key: "written_at",
      range: { ...(from !== undefined && { gte: from }), ...(to !== undefined && { lt: to }) },
    });
  return conditions;
}
