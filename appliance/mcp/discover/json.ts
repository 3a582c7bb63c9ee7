/** Reads of JSON that anybody may have written. */
export type Json = Readonly<Record<string, unknown>>;

export const recordOf = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
export const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.map(recordOf) : []);

/** Cut at 2,000 characters; undefined when it is empty or none. */
export function textOf(of: Json, key: string): string | undefined {
  const value = of[key];
  return typeof value === "string" && value !== "" ? value.slice(0, 2_000) : undefined;
}
