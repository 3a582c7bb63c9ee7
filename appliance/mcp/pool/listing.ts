/** Asks servers what they offer, again when they say that it changed, and keeps the answer in the catalog. */
import type { Notification } from "@modelcontextprotocol/client";
import type { Connections } from "./connections.ts";
import type { Listing } from "./kept.ts";
import { settleMs, type Registry } from "./registry.ts";
import { sharedKey } from "../scope.ts";
import type { Slot } from "./slot.ts";

export type Lister = {
  /** Starts the server when it does not run, and keeps what it says. */
  list(slot: Slot, signal: AbortSignal): Promise<Listing>;
  /** The same, and nothing is kept: the catalog says what the one in its place offers. */
  ask(slot: Slot, signal: AbortSignal): Promise<Listing>;
  /** What was asked becomes what is known. */
  keep(slot: Slot, listing: Listing): void;
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

/** Lists of one that is being replaced are answered, but not kept. */
export function openLister({ registry, connections, kept, log, now }: ListerOptions): Lister {
  const { slots, catalog, stopped } = registry;

  async function ask(slot: Slot, signal: AbortSignal): Promise<Listing> {
    const found = await connections.useSlot(slot, undefined, signal, (peer) => peer.list(signal));
    const { transport, sandbox } = slot.config;
    return { ...found, hash: slot.hash, form: { transport, sandbox }, listedAt: now(), eraAt: now() };
  }
  function keep(slot: Slot, listing: Listing): void {
    if (slot.isDraining) return;
    const { name } = slot.config;
    catalog.value[name] = listing;
    catalog.save();
    kept(name);
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
