/**
 * Smithery's registry (smithery.ai/docs/use/registry): searched by meaning, for servers that it hosts. What it asks of the owner is a JSON
 * Schema, whose values travel in the address.
 */
import { NikaError } from "../../../convex/model/error.ts";
import { linkOf, type Entry, type Input } from "../../../convex/model/entry.ts";
import { below, part, type Ask } from "./ask.ts";
import { listOf, recordOf, textOf } from "./json.ts";
import type { RegistryClient } from "./mcpRegistry.ts";

/** Without versions of its own, a server there is always the one that runs now. */
const onlyVersion = "hosted";

export function smithery(base: string, key: string | undefined, ask: Ask): RegistryClient {
  const headers = (): Record<string, string> => {
    if (key === undefined) throw new NikaError("denied", "Smithery wants a key: keep it with `nika secrets set smithery`.");
    return { authorization: `Bearer ${key}` };
  };
  return {
    async page({ cursor = "1", search, limit = 30 }, signal) {
      const answer = recordOf(
        await ask(below(base, "servers", { q: search, page: cursor, pageSize: String(limit) }), { headers: headers(), signal }),
      );
      if (!Array.isArray(answer["servers"])) throw new NikaError("unavailable", "Smithery sent a page without servers.");
      const { currentPage, totalPages } = recordOf(answer["pagination"]);
      const isMore = typeof currentPage === "number" && typeof totalPages === "number" && currentPage < totalPages;
      return {
        entries: listOf(answer["servers"]).flatMap((one) => toEntry(one) ?? []),
        nextCursor: isMore ? String(currentPage + 1) : undefined,
      };
    },
    async get(name, _version, signal) {
      try {
        // Its names are paths: `@owner/server`.
        const path = name.split("/").map(part).join("/");
        return toEntry(recordOf(await ask(below(base, `servers/${path}`), { headers: headers(), signal })));
      } catch (error) {
        if (error instanceof NikaError && error.code === "missing") return undefined;
        throw error;
      }
    },
  };
}

function toEntry(raw: Readonly<Record<string, unknown>>): Entry | undefined {
  const name = textOf(raw, "qualifiedName");
  if (name === undefined) return undefined;
  const [title, website] = [textOf(raw, "displayName"), linkOf(textOf(raw, "homepage"))];
  const connections = listOf(raw["connections"]).filter(({ type }) => type === "http" || type === "sse");
  return {
    name,
    description: textOf(raw, "description") ?? "",
    version: onlyVersion,
    status: "active",
    isLatest: true,
    packages: [],
    remotes: connections.flatMap((one) => {
      const url = textOf(one, "deploymentUrl") ?? textOf(one, "url") ?? textOf(raw, "deploymentUrl");
      if (url === undefined || !/^https?:\/\//i.test(url)) return [];
      const fills = toInputs(recordOf(one["configSchema"]));
      const query = fills.map(({ name: input }) => `${encodeURIComponent(input)}={${input}}`).join("&");
      const text = query === "" ? url : `${url}${url.includes("?") ? "&" : "?"}${query}`;
      return [{ type: one["type"] === "sse" ? ("sse" as const) : ("http" as const), url: { text, fills }, headers: [] }];
    }),
    ...(title !== undefined && { title }),
    ...(website !== undefined && { website }),
  };
}

function toInputs(schema: Readonly<Record<string, unknown>>): Input[] {
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  return Object.entries(recordOf(schema["properties"])).flatMap(([name, raw]) => {
    if (!/^[\w.-]+$/.test(name)) return [];
    const of = recordOf(raw);
    const isRequired = required.includes(name);
    const [description, fallback] = [textOf(of, "description"), of["default"]];
    // What it can do without is left to it.
    if (!isRequired && fallback === undefined) return [];
    const isSecret = of["format"] === "password" || /(?:key|token|secret|password)$/i.test(name);
    return [
      {
        name,
        isRequired,
        isSecret,
        ...(description !== undefined && { description }),
        ...(["string", "number", "boolean"].includes(typeof fallback) && { fallback: String(fallback) }),
      },
    ];
  });
}
