import { createHash } from "node:crypto";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** What stands for an input: the same for the same JSON, whatever the order of its fields. */
export const hashOf = (value: unknown): string => sha256(JSON.stringify(sorted(value)) ?? "").slice(0, 16);

/** Under which a step of a run is done to the world: the same for each try at it, another one after a start from the beginning. */
export const effectKey = (run: { readonly id: string; readonly life: number }, path: string): string =>
  sha256(`${run.id}\n${run.life}\n${path}`);

function sorted(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(sorted);
  const fields = Object.entries(value as Record<string, unknown>).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, sorted(field)]));
}
