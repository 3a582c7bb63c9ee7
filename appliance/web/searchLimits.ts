/** What a question is limited to, as people choose it; nothing chosen is no limit. */
import type { SearchFilter } from "../../convex/model/answer.ts";

export const periods = ["any", "month", "quarter", "year", "older"] as const;
export type Period = (typeof periods)[number];
export type Limits = { readonly type: string; readonly language: string; readonly period: Period };

export const noLimits: Limits = { type: "", language: "", period: "any" };

const dayMs = 86_400_000;
const days = { month: 31, quarter: 92, year: 366 } as const;

/** `now` in ms since 1970. Undefined when nothing is limited. */
export function toFilter({ type, language, period }: Limits, now: number): SearchFilter | undefined {
  const filter: SearchFilter = {
    ...(type !== "" && { types: [type] }),
    ...(language !== "" && { languages: [language] }),
    ...(period === "older" && { to: now - days.year * dayMs }),
    ...(period !== "any" && period !== "older" && { from: now - days[period] * dayMs }),
  };
  return Object.keys(filter).length > 0 ? filter : undefined;
}
