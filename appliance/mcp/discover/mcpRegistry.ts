/** The read API of MCP registries, v0.1: the official one, private ones, and Nika's own, which speaks the same. */
import { NikaError } from "../../../convex/model/error.ts";
import { toEntry, type Entry } from "../../../convex/model/entry.ts";
import { below, part, type Ask } from "./ask.ts";

export type Page = { readonly entries: readonly Entry[]; readonly nextCursor: string | undefined };
export type PageWish = {
  readonly cursor?: string | undefined;
  /** Only what changed since, what was deleted included. Milliseconds since 1970. */
  readonly since?: number | undefined;
  readonly search?: string;
  readonly limit?: number;
};
export type RegistryClient = {
  /** The newest version of each. An item that makes no sense is left out; a page that makes none fails with `unavailable`. */
  page(wish: PageWish, signal: AbortSignal): Promise<Page>;
  /** Undefined when there is no such server or version. */
  get(name: string, version: string | undefined, signal: AbortSignal): Promise<Entry | undefined>;
};

const pageSize = 100;

export function mcpRegistry(base: string, key: string | undefined, ask: Ask): RegistryClient {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  return {
    async page({ cursor, since, search, limit = pageSize }, signal) {
      const query = {
        limit: String(limit),
        version: "latest",
        cursor,
        search,
        ...(since !== undefined && { updated_since: new Date(since).toISOString(), include_deleted: "true" }),
      };
      const answer = await ask(below(base, "v0.1/servers", query), { headers, signal });
      const { servers, metadata } = (answer ?? {}) as { servers?: unknown; metadata?: unknown };
      // Having none is said as null by some.
      if (servers !== null && !Array.isArray(servers))
        throw new NikaError("unavailable", `The registry at ${new URL(base).host} sent a page without servers.`);
      const { nextCursor, next_cursor: older } = (metadata ?? {}) as { nextCursor?: unknown; next_cursor?: unknown };
      const next = nextCursor ?? older;
      return {
        entries: (servers ?? []).flatMap((one) => toEntry(one) ?? []),
        nextCursor: typeof next === "string" && next !== "" ? next : undefined,
      };
    },
    async get(name, version, signal) {
      const path = `v0.1/servers/${part(name)}/versions/${part(version ?? "latest")}`;
      try {
        return toEntry(await ask(below(base, path), { headers, signal }));
      } catch (error) {
        if (error instanceof NikaError && error.code === "missing") return undefined;
        throw error;
      }
    },
  };
}
