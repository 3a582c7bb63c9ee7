/**
 * Glama's directory (glama.ai/mcp/api). It tells of repositories, not of packages: what is found there is installed by its like in another
 * registry, from the same repository, or not at all.
 */
import { NikaError } from "../../../convex/model/error.ts";
import { linkOf, type Entry } from "../../../convex/model/entry.ts";
import { below, part, type Ask } from "./ask.ts";
import { listOf, recordOf, textOf } from "./json.ts";
import type { RegistryClient } from "./mcpRegistry.ts";

const onlyVersion = "listed";

export function glama(base: string, key: string | undefined, ask: Ask): RegistryClient {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  return {
    async page({ cursor, search, limit = 30 }, signal) {
      const answer = recordOf(
        await ask(below(base, "servers", { first: String(limit), after: cursor, query: search }), { headers, signal }),
      );
      if (!Array.isArray(answer["servers"])) throw new NikaError("unavailable", "Glama sent a page without servers.");
      const { hasNextPage, endCursor } = recordOf(answer["pageInfo"]);
      return {
        entries: listOf(answer["servers"]).flatMap((one) => toEntry(one) ?? []),
        nextCursor: hasNextPage === true && typeof endCursor === "string" ? endCursor : undefined,
      };
    },
    async get(name, _version, signal) {
      try {
        const path = name.split("/").map(part).join("/");
        return toEntry(recordOf(await ask(below(base, `servers/${path}`), { headers, signal })));
      } catch (error) {
        if (error instanceof NikaError && error.code === "missing") return undefined;
        throw error;
      }
    },
  };
}

function toEntry(raw: Readonly<Record<string, unknown>>): Entry | undefined {
  const [namespace, slug, id] = [textOf(raw, "namespace"), textOf(raw, "slug"), textOf(raw, "id")];
  const name = namespace !== undefined && slug !== undefined ? `${namespace}/${slug}` : id;
  if (name === undefined) return undefined;
  const [title, website] = [textOf(raw, "name"), linkOf(textOf(raw, "url"))];
  const repository = linkOf(textOf(recordOf(raw["repository"]), "url"));
  return {
    name,
    description: textOf(raw, "description") ?? "",
    version: onlyVersion,
    status: "active",
    isLatest: true,
    packages: [],
    remotes: [],
    ...(title !== undefined && { title }),
    ...(website !== undefined && { website }),
    ...(repository !== undefined && { repository }),
  };
}
