/**
 * The servers themselves: which there are, which run, and who may use them now. What they offer is known without any of them running. Here the parts
 * are joined: the registry (what is known), connections (what runs), room (what may run), the lister, reload, and pins (the owner's word).
 */
import { totalmem } from "node:os";
import { join } from "node:path";
import { NikaError } from "../../../convex/model/error.ts";
import type { OffServer, ParsedServers, ServerConfig } from "../../../convex/model/server.ts";
import type { Seen } from "../../../convex/model/serverView.ts";
import type { Accounts } from "../auth/accounts.ts";
import { openConnections, type Connections } from "./connections.ts";
import type { Installed, Listing, Lock } from "./kept.ts";
import type { Launcher } from "./launch.ts";
import { openLister, type Lister } from "./listing.ts";
import { openPins } from "./pins.ts";
import { toCompare } from "./compare.ts";
import { openRecent, type Recent } from "./recent.ts";
import { openRegistry } from "./registry.ts";
import { openReload } from "./reload.ts";
import { openRoom, type Room } from "./room.ts";
import type { Routes } from "../routes.ts";
import { hashOf } from "./slot.ts";
import { toStandings, type ServerStanding } from "./standings.ts";

export type PoolOptions = {
  readonly dataDir: string;
  readonly version: string;
  readonly launcher: Launcher;
  /** Whether remote servers want the owner to sign in. */
  readonly accounts?: Pick<Accounts, "signIn" | "onChange">;
  /** From when on what a server was started with is no longer good; milliseconds since 1970. */
  readonly staleAt?: (server: string) => number | undefined;
  readonly log: (line: string) => void;
  readonly now: () => number;
  /** Names that servers without a prefix may not take. */
  readonly reserved?: ReadonlySet<string>;
  /** What the servers that run may take together, by what their sandboxes allow. */
  readonly memoryBytesMax?: number;
  /** Idle so long: paused, where that can be; idle so long: stopped. */
  readonly pauseMs?: number;
  readonly stopMs?: number;
};

/** What a server offered; when that was, and in which form, is added where it is kept. */
type Tried = Omit<Listing, "hash" | "listedAt" | "eraAt">;

export type Pool = {
  /** Takes a configuration as the new truth. Resolves when every server was looked at; fails for none of them. */
  apply(parsed: ParsedServers): Promise<void>;
  routes(): Routes;
  /** Told after routes changed, a moment later and once for many. */
  onRoutes(listener: () => void): () => void;
  onStanding(listener: () => void): () => void;
  standings(): readonly ServerStanding[];
  configOf(server: string): ServerConfig;
  /** Whether it may run without a sandbox. */
  isBare(server: string): boolean;
  /** Servers that offer other things to a conversation than to others, or that the owner gave to each alone. */
  varying(): readonly string[];
  /** What a conversation is offered by a server of its own. */
  noteView(server: string, view: Parameters<Lister["noteView"]>[1]): Promise<void>;
  /** As it was last seen; undefined when it never was. */
  eraOf(server: string): Listing["era"] | undefined;
  /** Runs `work` with a connection, started when there is none. */
  readonly use: Connections["use"];
  /** Ends what a scope holds. */
  leave(key: string): Promise<void>;
  /** Starts it and lists it anew. */
  refresh(server: string, signal: AbortSignal): Promise<Listing>;
  /** Pins what `seen` names, if it is still that; says how many tools and prompts. */
  approve(server: string, seen: Seen): number;
  /** Forgets what was wrong with it: something outside changed. Resolves when it was looked at. */
  revive(server: string): Promise<void>;
  /** Lets the command of this digest run without a sandbox; undefined: none. */
  allowBare(server: string, seen: string | undefined): Promise<void>;
  /** What the owner approved and installed, by server. */
  locks(): Readonly<Lock>;
  /** Declared and turned off. */
  off(): readonly OffServer[];
  /** Remembers where a server comes from, and what it offered in the form `config` when it was tried. */
  adopt(server: string, installed: Installed, tried?: { readonly config: ServerConfig; readonly listing: Tried }): void;
  /** The latest calls that only read are kept for when its form changes. */
  readonly recent: Recent;
  /** The new form that waits takes the old one's place when it is the one of that digest; undefined: it is let go. */
  upgrade(server: string, accepted: string | undefined): Promise<void>;
  /** What is pinned and known of a server that is no more. */
  forget(server: string): void;
  close(): Promise<void>;
};

const pauseMsDefault = 60_000;
const stopMsDefault = 10 * 60_000;
const tickMs = 5_000;

/** Starts no server before it is asked for one, or told of one that nobody knows yet. */
export function openPool(options: PoolOptions): Pool {
  const { dataDir, version, launcher, log, now, reserved = new Set<string>() } = options;
  const { pauseMs = pauseMsDefault, stopMs = stopMsDefault } = options;
  const memoryBytesMax = options.memoryBytesMax ?? Math.min(4 * 1024 ** 3, totalmem() / 2);
  const registry = openRegistry({ dataDir, reserved, log });
  const { slots, catalog, lock, stopped } = registry;
  const pins = openPins({ registry, now });
  const connections: Connections = openConnections({
    registry,
    room: () => room,
    launcher,
    isBareAllowed: pins.isBareAllowed,
    staleAt: options.staleAt,
    heard: (slot, notification) => lister.heard(slot, notification),
    version,
    log,
    now,
  });
  const room: Room = openRoom({ registry, drop: connections.drop, now, memoryBytesMax, pauseMs, stopMs });
  const recent = openRecent(join(dataDir, "mcp", "recent"), log);
  const lister: Lister = openLister({ registry, connections, kept: pins.share, log, now });
  const reload = openReload({
    registry,
    connections,
    lister,
    compare: toCompare({ connections, recent: recent.of, signal: stopped.signal }),
    log,
    now,
  });
  const unlisten = options.accounts?.onChange(registry.changed);
  async function revive(server: string): Promise<void> {
    const slot = registry.get(server);
    slot.failures = 0;
    slot.retryAt = 0;
    slot.isHopeless = false;
    slot.problem = undefined;
    await Promise.all([...slot.held.keys()].map((key) => connections.drop(slot, key)));
    registry.changed();
    if (catalog.value[server]?.hash !== slot.hash) await reload.take(slot);
  }
  const timer = setInterval(() => {
    for (const slot of slots.values()) {
      // Nobody can call what nobody knows, so it is tried again by itself.
      if (!slot.isHopeless && slot.failures > 0 && now() >= slot.retryAt && catalog.value[slot.config.name]?.hash !== slot.hash)
        void reload.take(slot);
      room.rest(slot);
    }
  }, tickMs).unref();

  return {
    apply: reload.apply,
    routes: registry.routes,
    onRoutes: registry.onRoutes,
    onStanding: registry.onStanding,
    standings: () => toStandings(registry, { ...pins, waiting: reload.waiting }, (server) => options.accounts?.signIn(server)),
    configOf: (server) => registry.get(server).config,
    isBare: (server) => pins.isBareAllowed(registry.get(server).config),
    varying: () =>
      [...slots.values()]
        .map(({ config }) => config)
        .filter(({ name, hasOwnSessions }) => hasOwnSessions || catalog.value[name]?.varies)
        .map(({ name }) => name),
    async noteView(server, view) {
      const slot = slots.get(server);
      if (slot) await lister.noteView(slot, view);
    },
    eraOf: (server) => catalog.value[server]?.era,
    use: connections.use,
    async leave(key) {
      await Promise.all([...slots.values()].map((slot) => connections.drop(slot, key)));
    },
    async refresh(server, signal) {
      const slot = registry.get(server);
      slot.retryAt = 0;
      const listing = await lister.list(slot, signal);
      registry.reroute();
      return listing;
    },
    approve: pins.approve,
    revive,
    async allowBare(server, seen) {
      pins.allowBare(registry.get(server).config, seen);
      await revive(server);
    },
    locks: () => lock.value,
    off: () => registry.off,
    adopt(server, installed, tried) {
      lock.value[server] = { ...(lock.value[server] ?? { tools: {}, prompts: {} }), installed };
      lock.save();
      if (tried) {
        const { transport, sandbox } = tried.config;
        const form = { transport, sandbox };
        catalog.value[server] = { ...tried.listing, hash: hashOf(form), form, listedAt: now(), eraAt: now() };
        catalog.save();
        pins.share(server);
      }
      registry.reroute();
    },
    recent,
    upgrade: reload.decide,
    forget(server) {
      recent.forget(server);
      delete lock.value[server];
      delete catalog.value[server];
      lock.save();
      catalog.save();
      registry.reroute();
    },
    async close() {
      stopped.abort(new NikaError("cancelled", "Nika is stopping."));
      clearInterval(timer);
      unlisten?.();
      registry.close();
      for (const slot of slots.values()) clearTimeout(slot.relisting);
      await Promise.all([...slots.values()].flatMap((slot) => [...slot.held.keys()].map((key) => connections.drop(slot, key))));
      await reload.settled();
      recent.close();
    },
  };
}
