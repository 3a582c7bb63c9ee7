/** Asks servers what they offer, again when they say that it changed, and keeps the answer in the catalog. */
import type { Notification } from "@modelcontextprotocol/client";
import { canonicalJson } from "../../../convex/model/tool.ts";
import { digestOf, toDefinition } from "../routes.ts";
import type { Connections } from "./connections.ts";
import type { Listing } from "./kept.ts";
import { settleMs, type Registry } from "./registry.ts";
import { sharedKey } from "../scope.ts";
import type { Slot } from "./slot.ts";

type View = Pick<Listing, "tools" | "prompts" | "resources" | "templates">;
export type Lister = {
  /** Starts the server when it does not run, and keeps what it says. */
  list(slot: Slot, signal: AbortSignal): Promise<Listing>;
  /** The same, and nothing is kept: the catalog says what the one in its place offers. */
  ask(slot: Slot, signal: AbortSignal): Promise<Listing>;
  /** What was asked becomes what is known. */
  keep(slot: Slot, listing: Listing): void;
  /**
   * What a conversation is offered by a server of its own. Where that is not what all are offered, those are listed anew, and what is still offered to it
   * alone is kept for the owner to approve.
   */
  noteView(slot: Slot, view: View): Promise<void>;
  /** Lists anew, a moment later and once for many, what a server says has changed. */
  heard(slot: Slot, notification: Notification): void;
};
export type ListerOptions = {
  readonly registry: Registry;
  readonly connections: Pick<Connections, "useSlot">;
  /** Told of the server whose listing was kept. */
  readonly kept: (server: string) => void;
  readonly log: (line: string) => void;
  readonly now: () => number;
};

const lookedMs = 60_000;
/** Of what some alone are offered; the latest stay. */
const sometimesMax = 100;

type Named = { readonly name: string };
/** What the listing for all does not name. */
const without = ({ tools, prompts }: Pick<View, "tools" | "prompts">, all: View): Pick<View, "tools" | "prompts"> => {
  const [known, said] = [new Set(all.tools.map(({ name }) => name)), new Set(all.prompts.map(({ name }) => name))];
  return { tools: tools.filter(({ name }) => !known.has(name)), prompts: prompts.filter(({ name }) => !said.has(name)) };
};
const joined = <T extends Named>(before: readonly T[], found: readonly T[]): T[] => {
  const names = new Set(found.map(({ name }) => name));
  return [...before.filter(({ name }) => !names.has(name)), ...found].slice(-sometimesMax);
};
const isSame = (left: View, right: View): boolean => {
  const lines = ({ tools, prompts, resources, templates }: View): string =>
    JSON.stringify([
      tools.map((tool) => `${tool.name} ${digestOf(tool).sha256}`).toSorted(),
      prompts.map((prompt) => `${prompt.name} ${digestOf(toDefinition(prompt)).sha256}`).toSorted(),
      resources.map(({ uri }) => uri).toSorted(),
      templates.map(({ uriTemplate }) => uriTemplate).toSorted(),
    ]);
  return lines(left) === lines(right);
};

/** Lists of one that is being replaced are answered, but not kept. */
export function openLister({ registry, connections, kept, log, now }: ListerOptions): Lister {
  const { slots, catalog, stopped } = registry;
  /** When one that offered something else to somebody was last asked what it offers to all. */
  const lookedAt = new WeakMap<Slot, number>();

  async function ask(slot: Slot, signal: AbortSignal): Promise<Listing> {
    const found = await connections.useSlot(slot, undefined, signal, (peer) => peer.list(signal));
    const { transport, sandbox } = slot.config;
    return { ...found, hash: slot.hash, form: { transport, sandbox }, listedAt: now(), eraAt: now() };
  }
  function keep(slot: Slot, listing: Listing): void {
    if (slot.isDraining) return;
    const { name } = slot.config;
    const { varies, sometimes } =
      catalog.value[name]?.hash === listing.hash ? (catalog.value[name] ?? {}) : ({} as Partial<Listing>);
    catalog.value[name] = { ...listing, ...(varies && { varies }), ...(sometimes && { sometimes: without(sometimes, listing) }) };
    catalog.save();
    kept(name);
  }
  async function noteView(slot: Slot, view: View): Promise<void> {
    const { name } = slot.config;
    const known = (): Listing | undefined =>
      catalog.value[name]?.hash === slot.hash && !slot.isDraining ? catalog.value[name] : undefined;
    let listing = known();
    if (!listing || isSame(listing, view)) return;
    if (now() - (lookedAt.get(slot) ?? 0) > lookedMs) {
      lookedAt.set(slot, now());
      await list(slot, stopped.signal).then(registry.reroute, () => undefined);
      listing = known();
      if (!listing || isSame(listing, view)) return;
    }
    const found = without(view, listing);
    const before = listing.sometimes ?? { tools: [], prompts: [] };
    const sometimes = { tools: joined(before.tools, found.tools), prompts: joined(before.prompts, found.prompts) };
    if (listing.varies && canonicalJson(sometimes) === canonicalJson(before)) return;
    catalog.value[name] = { ...listing, varies: true, sometimes };
    catalog.save();
    kept(name);
    registry.reroute();
  }
  async function list(slot: Slot, signal: AbortSignal): Promise<Listing> {
    const listing = await ask(slot, signal);
    keep(slot, listing);
    return listing;
  }

  return {
    list,
    ask,
    keep,
    noteView,
    heard(slot, notification) {
      if (notification.method.endsWith("/list_changed") && !slot.isDraining) {
        clearTimeout(slot.relisting);
        slot.relisting = setTimeout(() => {
          slot.relisting = undefined;
          // One that was stopped meanwhile is listed when it is started again.
          if (slots.get(slot.config.name) !== slot || !slot.held.has(sharedKey)) return;
          list(slot, stopped.signal).then(registry.reroute, (error: unknown) => log(`mcp ${slot.config.name}: ${String(error)}`));
        }, settleMs).unref();
      }
    },
  };
}
