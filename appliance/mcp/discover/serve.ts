/** Nika as a registry: what its owner installed and approved, by the read API that the official registry speaks (v0.1). */
import { NikaError } from "../../../convex/model/error.ts";
import { fromEntry, type Entry } from "../../../convex/model/entry.ts";
import type { ServerLock } from "../pool/kept.ts";

export type Withdrawn = Record<string, { readonly entry: Entry; readonly at: number }>;
export type ServeOptions = {
  readonly locks: () => Readonly<Record<string, ServerLock>>;
  /** What was offered once: whoever copied it is to be told. */
  readonly withdrawn: () => Readonly<Withdrawn>;
};

export const registryPath = "/mcp/registry/";
const limitDefault = 30;
const limitMax = 100;

type Offered = { readonly entry: Entry; readonly at: number; readonly more: Readonly<Record<string, unknown>> };

/** The answer to a GET below `registryPath`. Fails with `missing` or `invalid`. */
export function serveRegistry(url: URL, { locks, withdrawn }: ServeOptions): object {
  const parts = url.pathname.slice(registryPath.length).split("/");
  const [version, noun, name, versions, which] = parts;
  if (version !== "v0.1" || noun !== "servers" || parts.length > 5)
    throw new NikaError("missing", "This registry speaks v0.1 and knows servers.");
  const offered = offers(locks());
  if (name === undefined || name === "") return listServers(url.searchParams, offered, withdrawn());
  if (versions !== "versions") throw new NikaError("missing", "Ask for the versions of a server.");
  const one = offered.find(({ entry }) => entry.name === decode(name));
  if (!one) throw new NikaError("missing", "There is no such server here.");
  if (which === undefined || which === "") return { servers: [toItem(one)], metadata: { count: 1 } };
  if (decode(which) !== "latest" && decode(which) !== one.entry.version)
    throw new NikaError("missing", "There is no such version here.");
  return toItem(one);
}

function listServers(query: URLSearchParams, offered: readonly Offered[], withdrawn: Readonly<Withdrawn>): object {
  const limit = Number(query.get("limit") ?? limitDefault);
  if (!Number.isInteger(limit) || limit < 1) throw new NikaError("invalid", `"limit" is a number from 1 to ${limitMax}.`);
  const since = query.get("updated_since");
  const sinceMs = since === null ? 0 : Date.parse(since);
  if (Number.isNaN(sinceMs)) throw new NikaError("invalid", '"updated_since" is a time such as 2026-11-21T12:00:00Z.');
  const gone = Object.values(withdrawn).map(({ entry, at }): Offered => ({
    entry: { ...entry, status: "deleted" },
    at,
    more: {},
  }));
  const isTold = query.get("include_deleted") === "true" || since !== null;
  const words = query.get("search")?.toLowerCase() ?? "";
  const after = query.get("cursor") ?? "";
  const found = [...offered, ...(isTold ? gone.filter(({ entry }) => !offered.some((one) => one.entry.name === entry.name)) : [])]
    .filter(({ entry, at }) => at >= sinceMs && entry.name.toLowerCase().includes(words) && entry.name > after)
    .toSorted((left, right) => (left.entry.name < right.entry.name ? -1 : 1));
  const page = found.slice(0, Math.min(limit, limitMax));
  const last = page.at(-1);
  return {
    servers: page.map(toItem),
    metadata: { count: page.length, ...(last && found.length > page.length && { nextCursor: last.entry.name }) },
  };
}

/** What was approved, in part at least. */
function offers(locks: Readonly<Record<string, ServerLock>>): Offered[] {
  return Object.entries(locks).flatMap(([alias, { installed, tools, prompts }]) => {
    if (!installed || Object.keys(tools).length + Object.keys(prompts).length === 0) return [];
    const { at, package: pin } = installed;
    const more = pin ? { "app.nika.registry/package": { integrity: pin.integrity, tree: pin.tree } } : {};
    return [{ entry: namedHere(installed.entry, alias), at, more }];
  });
}

/** A package that no registry named gets a name of ours: names have a namespace. */
export const namedHere = (entry: Entry, alias: string): Entry =>
  /^(?:npm|pypi):/.test(entry.name) ? { ...entry, name: `local.nika/${alias}` } : entry;

const toItem = ({ entry, at, more }: Offered): object =>
  fromEntry({ ...entry, isLatest: true, updatedAt: at, publishedAt: entry.publishedAt ?? at }, more);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new NikaError("invalid", "The address is not encoded as addresses are.", { cause: error });
  }
}
