/** What the owner approved: each tool and prompt word for word, and which commands may run without a sandbox. */
import { NikaError } from "../../../convex/model/error.ts";
import type { ServerConfig } from "../../../convex/model/server.ts";
import { canonicalJson, diffOf, pinnedPart, type ToolDefinition } from "../../../convex/model/tool.ts";
import { sha256, type Listing, type Pin } from "./kept.ts";
import type { Registry } from "./registry.ts";
import { digestOf, toDefinition } from "../routes.ts";

/** SHA-256 of what the owner looked at, by `tool NAME` and `prompt NAME`; of what the server says of itself under `instructions`. */
export type SeenDigests = Readonly<Record<string, string>>;

const shownMax = 4_000;

export type Pins = {
  /**
   * Pins what is listed now, or only the named of it; says how many. With `seen` only what is still as it was then: fails with `conflict` and the
   * difference otherwise.
   */
  approve(server: string, only?: readonly string[], seen?: SeenDigests): number;
  isBareAllowed(config: ServerConfig): boolean;
  /** Consent is for the command as it is now. Fails with `invalid` for what runs elsewhere. */
  allowBare(config: ServerConfig, isAllowed: boolean): void;
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

  function mustBeAsSeen(listing: Listing, seen: SeenDigests, only: readonly string[] | undefined): void {
    const lines: string[] = [];
    for (const [kind, definitions] of [
      ["tool", listing.tools],
      ["prompt", listing.prompts.map(toDefinition)],
    ] as const)
      for (const now of definitions) {
        if (only && !only.includes(now.name)) continue;
        const was = Object.hasOwn(seen, `${kind} ${now.name}`) ? seen[`${kind} ${now.name}`] : undefined;
        if (was === digestOf(now).sha256) continue;
        const before = was === undefined ? undefined : shown.get(was);
        if (was === undefined) lines.push(`${now.name} is new`);
        else
          lines.push(
            ...(before ? diffOf(before, pinnedPart(now)).map((line) => `${now.name}: ${line}`) : [`${now.name} is another now`]),
          );
      }
    if (!only && (seen["instructions"] ?? sha256("")) !== sha256(listing.instructions ?? ""))
      lines.push("what it says of itself is another now");
    if (lines.length > 0)
      throw new NikaError(
        "conflict",
        `Something changed since you looked, so nothing was approved. ${lines.slice(0, 10).join("; ")}.`,
      );
  }

  function approve(server: string, only?: readonly string[], seen?: SeenDigests): number {
    registry.get(server);
    const listing = catalog.value[server];
    if (!listing) throw new NikaError("conflict", `Nobody knows yet what "${server}" offers; see \`nika mcp test ${server}\`.`);
    const before = lock.value[server] ?? { tools: {}, prompts: {} };
    const unknown = only?.find(
      (name) => !listing.tools.some((one) => one.name === name) && !listing.prompts.some((one) => one.name === name),
    );
    if (unknown !== undefined) throw new NikaError("missing", `"${server}" has no tool or prompt named "${unknown}".`);
    if (seen) mustBeAsSeen(listing, seen, only);
    const pin = (definitions: readonly ToolDefinition[], old: Readonly<Record<string, Pin>>): Record<string, Pin> => {
      const pins: Record<string, Pin> = {};
      for (const listed of definitions) {
        const definition = pinnedPart(listed);
        const digest = sha256(canonicalJson(definition));
        const known = Object.hasOwn(old, listed.name) ? old[listed.name] : undefined;
        if (only && !only.includes(listed.name)) {
          if (known) pins[listed.name] = known;
        } else pins[listed.name] = known?.sha256 === digest ? known : { sha256: digest, definition, at: now() };
      }
      return pins;
    };
    lock.value[server] = {
      ...before,
      tools: pin(listing.tools, before.tools),
      prompts: pin(listing.prompts.map(toDefinition), before.prompts),
      ...(!only && { instructions: { sha256: sha256(listing.instructions ?? "") } }),
    };
    lock.save();
    registry.reroute();
    return only?.length ?? listing.tools.length + listing.prompts.length;
  }

  return {
    approve,
    isBareAllowed: (config) => {
      const bare = lock.value[config.name]?.bare;
      return bare !== undefined && config.transport.type === "stdio" && bare.sha256 === commandHash(config);
    },
    allowBare(config, isAllowed) {
      const { name: server, transport } = config;
      if (transport.type !== "stdio") throw new NikaError("invalid", `"${server}" runs elsewhere; there is nothing to allow.`);
      const { bare: _bare, ...rest } = lock.value[server] ?? { tools: {}, prompts: {} };
      lock.value[server] = isAllowed ? { ...rest, bare: { sha256: commandHash(config), at: now() } } : rest;
      lock.save();
    },
    share,
  };
}

/** Consent is for this command with these arguments. */
function commandHash({ transport }: ServerConfig): string {
  let hash = hashes.get(transport);
  if (hash === undefined) hashes.set(transport, (hash = sha256(canonicalJson(transport))));
  return hash;
}
/** Asked with every call; a configuration is never changed, only replaced. */
const hashes = new WeakMap<object, string>();
