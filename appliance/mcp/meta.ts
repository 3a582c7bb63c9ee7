/** What travels beside a message, in `_meta`: handed on but for what only the protocol, and we, may say there. */

export const ours = "io.modelcontextprotocol/";

/** What a server may not say in another's name. */
export function withoutOurs(meta: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> | undefined {
  if (!meta) return undefined;
  const kept = Object.entries(meta).filter(([key]) => !key.startsWith(ours) && key !== "progressToken");
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** Of what a server said. */
export const cleaned = (holder: { readonly _meta?: unknown }): Record<string, unknown> | undefined =>
  isRecord(holder._meta) ? withoutOurs(holder._meta) : undefined;

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
