/** What the owner approved: each tool and prompt word for word, and which commands may run without a sandbox. */
import { NikaError } from "../../../convex/model/error.ts";
import type { ServerConfig } from "../../../convex/model/server.ts";
import type { Seen } from "../../../convex/model/serverView.ts";
import { canonicalJson, diffOf, pinnedPart, type ToolDefinition } from "../../../convex/model/tool.ts";
import { sha256, type Pin } from "./kept.ts";
import type { Registry } from "./registry.ts";
import { digestOf, toDefinition } from "../routes.ts";

const shownMax = 4_000;

export type Pins = {
  /**
   * Pins exactly what `seen` names, and says how many tools and prompts that is. Fails with `conflict` and the difference when any of it is not as it
   * was when it was looked at; nothing is pinned then.
   */
  approve(server: string, seen: Seen): number;
  isBareAllowed(config: ServerConfig): boolean;
  /**
   * Consent is for the command that has the digest `seen`; undefined takes it back. Fails with `invalid` for what runs elsewhere, with `conflict` when it
   * is another command now.
   */
  allowBare(config: ServerConfig, seen: string | undefined): void;
  /** What was approved and is listed unchanged is kept once in memory, not twice. */
  share(server: string): void;
};

/** Everything is in the registry's lock, which is on disk before these return. */
export function openPins({ registry, now }: { readonly registry: Registry; readonly now: () => number }): Pins {
  const { catalog, lock } = registry;

  function share(server: string): void {
    const [listing, pins] = [catalog.value[server], lock.value[server]];
    if (listing) remember([...listing.tools, ...listing.prompts.map(toDefinition)]);
    if (!listing || !pins) return;
    const once = (tools: readonly ToolDefinition[], old: Readonly<Record<string, Pin>>): Record<string, Pin> => {
      const shared = { ...old };
      for (const tool of tools) {
        const pin = Object.hasOwn(old, tool.name) ? old[tool.name] : undefined;
        if (pin && pin.sha256 === digestOf(tool).sha256) shared[tool.name] = { ...pin, definition: pinnedPart(tool) };
      }
      return shared;
    };
    lock.value[server] = { ...pins, tools: once(listing.tools, pins.tools) };
  }
  /** What was listed lately, by its digest, so that a difference to what somebody looked at can be told. */
  const shown = new Map<string, ToolDefinition>();
  function remember(tools: readonly ToolDefinition[]): void {
    for (const tool of tools) {
      const { sha256: digest } = digestOf(tool);
      shown.delete(digest);
      shown.set(digest, pinnedPart(tool));
    }
    for (const digest of shown.keys()) {
      if (shown.size <= shownMax) break;
      shown.delete(digest);
    }
  }

  for (const server of Object.keys(lock.value)) share(server);

  /** What of it is not as it was when somebody looked, a line each. */
  function changedSince(seen: Seen, offered: ReadonlyMap<string, ToolDefinition>, instructions: string): string[] {
    return Object.entries(seen).flatMap(([what, was]) => {
      if (what === "instructions") return was === instructions ? [] : ["what it says of itself is another now"];
      const now = offered.get(what);
      const name = what.slice(what.indexOf(" ") + 1);
      if (!now) return [`${name} is not offered any more`];
      if (was === digestOf(now).sha256) return [];
      const before = shown.get(was);
      return before ? diffOf(before, pinnedPart(now)).map((line) => `${name}: ${line}`) : [`${name} is another now`];
    });
  }

  function approve(server: string, seen: Seen): number {
    registry.get(server);
    const listing = catalog.value[server];
    if (!listing) throw new NikaError("conflict", `Nobody knows yet what "${server}" offers; see \`nika mcp test ${server}\`.`);
    const offered = {
      tool: new Map([...(listing.sometimes?.tools ?? []), ...listing.tools].map((one) => [one.name, one])),
      prompt: new Map([...(listing.sometimes?.prompts ?? []), ...listing.prompts].map((one) => [one.name, toDefinition(one)])),
    };
    const instructions = sha256(listing.instructions ?? "");
    const all = new Map(
      (["tool", "prompt"] as const).flatMap((kind) => [...offered[kind]].map(([name, one]) => [`${kind} ${name}`, one] as const)),
    );
    const lines = changedSince(seen, all, instructions);
    if (lines.length > 0)
      throw new NikaError(
        "conflict",
        `Something changed since you looked, so nothing was approved. ${lines.slice(0, 10).join("; ")}.`,
      );
    const before = lock.value[server] ?? { tools: {}, prompts: {} };
    const isWhole = Object.hasOwn(seen, "instructions");
    const pin = (kind: "tool" | "prompt", old: Readonly<Record<string, Pin>>): Record<string, Pin> => {
      // With the whole of a server, what it no longer offers is forgotten.
      const pins = Object.fromEntries(Object.entries(old).filter(([name]) => !isWhole || offered[kind].has(name)));
      for (const [name, listed] of offered[kind]) {
        if (!Object.hasOwn(seen, `${kind} ${name}`)) continue;
        const { sha256: digest } = digestOf(listed);
        const known = Object.hasOwn(old, name) ? old[name] : undefined;
        pins[name] = known?.sha256 === digest ? known : { sha256: digest, definition: pinnedPart(listed), at: now() };
      }
      return pins;
    };
    lock.value[server] = {
      ...before,
      tools: pin("tool", before.tools),
      prompts: pin("prompt", before.prompts),
      ...(isWhole && { instructions: { sha256: instructions } }),
    };
    lock.save();
    registry.reroute();
    return Object.keys(seen).length - (isWhole ? 1 : 0);
  }

  return {
    approve,
    isBareAllowed: (config) => {
      const bare = lock.value[config.name]?.bare;
      return bare !== undefined && config.transport.type === "stdio" && bare.sha256 === commandHash(config);
    },
    allowBare(config, seen) {
      const { name: server, transport } = config;
      if (transport.type !== "stdio") throw new NikaError("invalid", `"${server}" runs elsewhere; there is nothing to allow.`);
      if (seen !== undefined && seen !== commandHash(config))
        throw new NikaError(
          "conflict",
          `The command of "${server}" is not what you looked at, so nothing was allowed; look again.`,
        );
      const { bare: _bare, ...rest } = lock.value[server] ?? { tools: {}, prompts: {} };
      lock.value[server] = seen === undefined ? rest : { ...rest, bare: { sha256: seen, at: now() } };
      lock.save();
    },
    share,
  };
}

/** Consent is for this command with these arguments. */
export function commandHash({ transport }: ServerConfig): string {
  let hash = hashes.get(transport);
  if (hash === undefined) hashes.set(transport, (hash = sha256(canonicalJson(transport))));
  return hash;
}
/** Asked with every call; a configuration is never changed, only replaced. */
const hashes = new WeakMap<object, string>();
