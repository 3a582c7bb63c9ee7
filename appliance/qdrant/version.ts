import { NikaError } from "../../convex/model/error.ts";

/** The oldest that has all that the vault asks of it: how rare a word is among what a tenant may find. Older ones ignore that without a word. */
const oldest = [1, 19] as const;

/** Gives the version. Fails with `conflict` when it is none of Qdrant's, or too old. */
export function mustBeRecent(url: string, version: unknown): string {
  const [major, minor] = typeof version === "string" ? version.split(".").map(Number) : [];
  if (major === undefined || minor === undefined || Number.isNaN(major + minor))
    throw new NikaError("conflict", `What answers at ${url} is no Qdrant.`);
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
    throw new NikaError("conflict", `The Qdrant at ${url} is ${String(version)}; Nika needs ${oldest.join(".")} or newer.`);
  return String(version);
}
