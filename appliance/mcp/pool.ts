/**
 * The servers themselves: which there are, which run, and who may use them now. What they offer is known without any of them running. A change
 * of configuration is carried out server by server, and a server that cannot be started in its new form goes on in its old one.
 */
import { totalmem } from "node:os";
import { join } from "node:path";
import { SdkError, SdkErrorCode, SdkHttpError, type Notification } from "@modelcontextprotocol/client";
import { isNikaError, NikaError, toNikaError } from "../../convex/model/error.ts";
import { planReload, type ConfigProblem, type ParsedServers, type ServerConfig } from "../../convex/model/server.ts";
import { canonicalJson, pinnedPart, type ToolDefinition } from "../../convex/model/tool.ts";
import { keep, sha256, type Catalog, type Listing, type Lock, type Pin } from "./kept.ts";
import type { Launcher } from "./launch.ts";
import { openPeer, type Peer } from "./peer.ts";
import { digestOf, toDefinition, toRoutes, type Offer, type Routes } from "./routes.ts";
import { everything, nobody, sharedKey, type Scope } from "./scope.ts";

export type PoolOptions = {
  readonly dataDir: string;
  readonly version: string;
  readonly launcher: Launcher;
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

export type ServerState = "cold" | "starting" | "running" | "paused" | "failed";
export type ServerStanding = {
  readonly name: string;
  readonly config: ServerConfig | undefined;
  readonly state: ServerState;
  /** What keeps it, or its new configuration, from working; absent when nothing does. */
  readonly problem: string | undefined;
  readonly isBareAllowed: boolean;
  readonly way: Peer["way"] | undefined;
  readonly listing: Listing | undefined;
  readonly offers: readonly Offer[];
  /** Connections to it now. */
  readonly peers: number;
};

export type Pool = {
  /** Takes a configuration as the new truth. Resolves when every server was looked at; fails for none of them. */
  apply(parsed: ParsedServers): Promise<void>;
  routes(): Routes;
  /** Told after routes changed, a moment later and once for many. */
  onRoutes(listener: () => void): () => void;
  onStanding(listener: () => void): () => void;
  standings(): readonly ServerStanding[];
  configOf(server: string): ServerConfig;
  /** As it was last seen; undefined when it never was. */
  eraOf(server: string): Listing["era"] | undefined;
  /** Runs `work` with a connection, started when there is none. */
  use<T>(server: string, scope: Scope | undefined, signal: AbortSignal, work: (peer: Peer) => Promise<T>): Promise<T>;
  /** Ends what a scope holds. */
  leave(key: string): Promise<void>;
  /** Starts it and lists it anew. */
  refresh(server: string, signal: AbortSignal): Promise<Listing>;
  /** Pins what is listed now, or only the named of it; says how many. */
  approve(server: string, only?: readonly string[]): number;
  /** Lets this very command run without a sandbox, or no more. */
  allowBare(server: string, isAllowed: boolean): Promise<void>;
  /** What is pinned and known of a server that is no more. */
  forget(server: string): void;
  close(): Promise<void>;
};

type Held = {
  readonly opening: Promise<Peer>;
  peer: Peer | undefined;
  inFlight: number;
  lastAt: number;
  isPaused: boolean;
  readonly startedAt: number;
};
type Slot = {
  /** What does not need another process is changed in place. */
  config: ServerConfig;
  readonly hash: string;
  readonly generation: number;
  readonly held: Map<string, Held>;
  problem: string | undefined;
  /** In a row, and when it may be tried again. */
  failures: number;
  retryAt: number;
  hangs: number;
  isDraining: boolean;
  /** Trying again by itself would not help. */
  isHopeless: boolean;
  isBeingTaken: boolean;
  relisting: NodeJS.Timeout | undefined;
};

const pauseMsDefault = 60_000;
const stopMsDefault = 10 * 60_000;
const tickMs = 5_000;
const backoffMsMin = 1_000;
const backoffMsMax = 5 * 60_000;
/** In a row; then it is taken to hang. */
const hangsMax = 3;
const settleMs = 250;
/** New servers listed side by side. */
const startsMax = 3;
/** A verdict for the old era is looked at again: a server that was upgraded would never tell. */
const legacyVerdictMs = 7 * 24 * 3_600_000;

export function openPool(options: PoolOptions): Pool {
  const { dataDir, version, launcher, log, now, reserved = new Set<string>() } = options;
  const { pauseMs = pauseMsDefault, stopMs = stopMsDefault } = options;
  const memoryBytesMax = options.memoryBytesMax ?? Math.min(4 * 1024 ** 3, totalmem() / 2);
  const catalog = keep<Catalog>(join(dataDir, "mcp", "catalog.json"), log);
  const lock = keep<Lock>(join(dataDir, "mcp", "lock.json"), log);
  const slots = new Map<string, Slot>();
  const draining = new Set<Promise<void>>();
  const routeListeners = new Set<() => void>();
  const standingListeners = new Set<() => void>();
  const stopped = new AbortController();
  let problems: readonly ConfigProblem[] = [];
  let routes: Routes = toRoutes([], { catalog: {}, lock: {}, reserved });
  let applying: Promise<void> = Promise.resolve();
  let launches = 0;
  let announcing: NodeJS.Timeout | undefined;
  let telling: NodeJS.Timeout | undefined;
  const timer = setInterval(tick, tickMs).unref();

  // --- routes and listeners

  function reroute(): void {
    const before = routes.hash;
    const configs = [...slots.values()].map(({ config }) => config);
    routes = toRoutes(configs, { catalog: catalog.value, lock: lock.value, reserved });
    changed();
    if (routes.hash === before) return;
    announcing ??= setTimeout(() => {
      announcing = undefined;
      for (const listener of routeListeners) listener();
    }, settleMs).unref();
  }
  function changed(): void {
    telling ??= setTimeout(() => {
      telling = undefined;
      for (const listener of standingListeners) listener();
    }, settleMs).unref();
  }

  /** What was approved and is listed unchanged is kept once, not twice. */
  function share(server: string): void {
    const [listing, pins] = [catalog.value[server], lock.value[server]];
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
  for (const server of Object.keys(lock.value)) share(server);

  // --- starting and stopping

  const getSlot = (server: string): Slot => {
    const slot = slots.get(server);
    if (slot) return slot;
    const broken = problems.find((one) => one.server === server);
    if (broken) throw new NikaError("invalid", `"${server}" cannot be used: ${broken.key} in ${broken.file}: ${broken.message}`);
    throw new NikaError("missing", `There is no MCP server named "${server}"; see \`nika mcp list\`.`);
  };

  function mustMayStart(slot: Slot): void {
    const waitMs = slot.retryAt - now();
    if (waitMs <= 0) return;
    throw new NikaError(
      "unavailable",
      `"${slot.config.name}" does not run: ${slot.problem ?? "it failed"} It is tried again in ${Math.ceil(waitMs / 1000)} s.`,
    );
  }

  /** Single-flight for each scope: two calls at once start one server. */
  async function acquire(slot: Slot, scope: Scope | undefined, signal: AbortSignal): Promise<Held> {
    const key = scope?.key ?? sharedKey;
    const known = slot.held.get(key);
    if (known && !known.peer?.hasEnded()) {
      known.inFlight += 1;
      try {
        await untilGone(known.opening, signal);
        if (known.isPaused) await wake(known);
        return known;
      } catch (error) {
        known.inFlight -= 1;
        throw error;
      }
    }
    mustMayStart(slot);
    const { promise, resolve, reject } = Promise.withResolvers<Peer>();
    promise.catch(() => undefined);
    const held: Held = { opening: promise, peer: undefined, inFlight: 1, lastAt: now(), isPaused: false, startedAt: now() };
    slot.held.set(key, held);
    changed();
    start(slot, scope, key, held).then(resolve, reject);
    try {
      await untilGone(held.opening, signal);
      return held;
    } catch (error) {
      held.inFlight -= 1;
      throw error;
    }
  }

  async function start(slot: Slot, scope: Scope | undefined, key: string, held: Held): Promise<Peer> {
    const { config } = slot;
    try {
      // Counted from now on, so that two that start at once see each other.
      await makeRoom(slot);
      const peer = await open(slot, scope, launches++);
      held.peer = peer;
      slot.problem = undefined;
      void peer.ended.then((why) => lost(slot, key, held, why));
      return peer;
    } catch (thrown) {
      if (slot.held.get(key) === held) slot.held.delete(key);
      const error = toNikaError(thrown);
      if (error.code !== "full") failed(slot, error.message);
      if (error.code === "bug") log(`mcp ${config.name}: ${String(error.cause)}`);
      const message = error.message.startsWith(`"${config.name}"`) ? error.message : `"${config.name}": ${error.message}`;
      throw new NikaError(error.code === "bug" ? "unavailable" : error.code, message, { cause: thrown });
    } finally {
      changed();
    }
  }

  async function open(slot: Slot, scope: Scope | undefined, number: number): Promise<Peer> {
    const { config, hash } = slot;
    const known = catalog.value[config.name];
    const isStale = !known || known.hash !== hash || (known.era === "legacy" && now() - known.eraAt > legacyVerdictMs);
    const attempt = async (era: Listing["era"] | undefined, again: number): Promise<Peer> => {
      const id = `nika-mcp-${config.name}-${process.pid}-${number}${again === 0 ? "" : `-${again}`}`;
      const launched = await launcher(config, { id, isBareAllowed: isBareAllowed(config) }, stopped.signal);
      return openPeer({
        version,
        launched,
        era,
        capabilities: scope?.capabilities ?? everything,
        asked: scope?.asked ?? nobody,
        told: (notification) => hear(slot, scope, notification),
        signal: stopped.signal,
      });
    };
    if (!isStale) return attempt(known.era, 0);
    try {
      return await attempt(undefined, 0);
    } catch (error) {
      // Some servers end when the first thing they hear is not the handshake they know.
      if (config.transport.type !== "stdio" || !isNikaError(error) || error.code !== "unavailable") throw error;
      return attempt("legacy", 1).catch((second: unknown) => {
        throw isNikaError(second) && second.code !== "unavailable" ? second : error;
      });
    }
  }

  function hear(slot: Slot, scope: Scope | undefined, notification: Notification): void {
    if (notification.method.endsWith("/list_changed") && !slot.isDraining) {
      clearTimeout(slot.relisting);
      slot.relisting = setTimeout(() => {
        slot.relisting = undefined;
        // One that was stopped meanwhile is listed when it is started again.
        if (slots.get(slot.config.name) !== slot || !slot.held.has(sharedKey)) return;
        relist(slot, stopped.signal).then(reroute, (error: unknown) => log(`mcp ${slot.config.name}: ${String(error)}`));
      }, settleMs).unref();
    }
    scope?.told(slot.config.name, notification);
  }

  function failed(slot: Slot, why: string): void {
    slot.failures += 1;
    slot.hangs = 0;
    slot.problem = why.endsWith(".") ? why : `${why}.`;
    slot.retryAt = now() + Math.min(backoffMsMax, backoffMsMin * 2 ** (slot.failures - 1));
  }

  /** It went away by itself, or we closed it and it is not held any more. */
  function lost(slot: Slot, key: string, held: Held, why: string): void {
    if (slot.held.get(key) !== held) return;
    slot.held.delete(key);
    changed();
    // A connection to elsewhere may be closed at any time.
    if (held.peer?.way === "remote" || slot.isDraining) return;
    if (now() - held.startedAt > 60_000) slot.failures = 0;
    failed(slot, `The server stopped: ${why}`);
    log(`mcp ${slot.config.name}: ${why}`);
  }

  async function drop(slot: Slot, key: string): Promise<void> {
    const held = slot.held.get(key);
    slot.held.delete(key);
    changed();
    await held?.opening.then(
      (peer) => peer.close(),
      () => undefined,
    );
  }

  async function wake(held: Held): Promise<void> {
    held.isPaused = false;
    await held.peer?.resume?.();
    changed();
  }

  const isLocal = ({ config }: Slot): boolean => config.transport.type === "stdio";

  /** Those that sleep longest go first; whoever works is left alone. */
  async function makeRoom(slot: Slot): Promise<void> {
    if (!isLocal(slot)) return;
    for (;;) {
      const local = [...slots.values()].filter(isLocal);
      const taken = local.reduce((sum, { held, config }) => sum + held.size * config.sandbox.memoryBytes, 0);
      if (taken <= memoryBytesMax) return;
      const idle = local
        .flatMap((one) => [...one.held].map(([key, held]) => ({ one, key, held })))
        .filter(({ held }) => held.inFlight === 0)
        .toSorted((left, right) => left.held.lastAt - right.held.lastAt)[0];
      if (!idle)
        throw new NikaError(
          "full",
          `"${slot.config.name}" would take more memory than MCP servers may; stop something or try again later.`,
        );
      await drop(idle.one, idle.key);
    }
  }

  function tick(): void {
    for (const slot of slots.values()) {
      // Nobody can call what nobody knows, so it is tried again by itself.
      if (!slot.isHopeless && slot.failures > 0 && now() >= slot.retryAt && catalog.value[slot.config.name]?.hash !== slot.hash)
        void takeOnce(slot);
      for (const [key, held] of slot.held) {
        if (held.inFlight > 0 || !held.peer) continue;
        const idleMs = now() - held.lastAt;
        if (idleMs >= stopMs) void drop(slot, key);
        else if (idleMs >= pauseMs && !held.isPaused && held.peer.pause) {
          held.isPaused = true;
          held.peer.pause().catch(() => drop(slot, key));
          changed();
        }
      }
    }
  }

  // --- using

  async function useSlot<T>(
    slot: Slot,
    scope: Scope | undefined,
    signal: AbortSignal,
    work: (peer: Peer) => Promise<T>,
  ): Promise<T> {
    const held = await acquire(slot, scope, signal);
    try {
      const result = await work(held.peer ?? (await held.opening));
      slot.failures = 0;
      slot.hangs = 0;
      slot.retryAt = 0;
      return result;
    } catch (error) {
      if (isTimeout(error) && ++slot.hangs >= hangsMax) {
        failed(slot, `It did not answer ${hangsMax} times in a row, and was stopped`);
        void drop(slot, scope?.key ?? sharedKey);
      }
      throw error;
    } finally {
      held.inFlight -= 1;
      held.lastAt = now();
    }
  }

  async function use<T>(
    server: string,
    scope: Scope | undefined,
    signal: AbortSignal,
    work: (peer: Peer) => Promise<T>,
  ): Promise<T> {
    const slot = getSlot(server);
    try {
      return await useSlot(slot, scope, signal, work);
    } catch (error) {
      // The session is unknown there, so nothing was done: once more, with a new one.
      if (!(error instanceof SdkHttpError && error.status === 404)) throw error;
      await drop(slot, scope?.key ?? sharedKey);
      return useSlot(slot, scope, signal, work);
    }
  }

  async function relist(slot: Slot, signal: AbortSignal): Promise<Listing> {
    const { name } = slot.config;
    const found = await useSlot(slot, undefined, signal, (peer) => peer.list(signal));
    const listing: Listing = { ...found, hash: slot.hash, listedAt: now(), eraAt: now() };
    if (!slot.isDraining) {
      catalog.value[name] = listing;
      catalog.save();
      share(name);
    }
    return listing;
  }

  // --- reload

  async function applyNow(parsed: ParsedServers): Promise<void> {
    const files = new Set(parsed.problems.filter(({ server }) => server === undefined).map(({ file }) => file));
    const broken = new Set(parsed.problems.flatMap(({ server }) => server ?? []));
    for (const { config } of slots.values()) if (files.has(config.origin)) broken.add(config.name);
    problems = parsed.problems;
    for (const { file, key, message } of problems) log(`mcp: ${file}${key === "" ? "" : `: ${key}`}: ${message}`);
    const wanted = new Map(parsed.servers.map((config) => [config.name, config]));
    const hashes = new Map(parsed.servers.map((config) => [config.name, hashOf(config)]));
    const plan = planReload(new Map([...slots].map(([name, { hash }]) => [name, hash])), hashes, broken);
    for (const name of plan.removed) retire(name);
    // The same process will do; what is said about its tools may have changed.
    for (const name of plan.kept) {
      const slot = slots.get(name);
      if (slot && slot.problem?.startsWith(notTaken)) slot.problem = undefined;
      const config = wanted.get(name);
      if (slot && config) slot.config = config;
    }
    const fresh: Slot[] = [];
    for (const name of [...plan.added, ...plan.changed]) {
      const config = wanted.get(name);
      if (config) fresh.push(toSlot(config, hashes.get(name) ?? "", (slots.get(name)?.generation ?? 0) + 1));
    }
    // What is known from the last time needs no start.
    const unknown = fresh.filter((slot) => {
      if (catalog.value[slot.config.name]?.hash !== slot.hash) return true;
      replace(slot);
      return false;
    });
    for (const slot of unknown) if (!slots.has(slot.config.name)) slots.set(slot.config.name, slot);
    reroute();
    await eachOf(unknown, startsMax, takeOnce);
  }

  async function takeOnce(slot: Slot): Promise<void> {
    if (slot.isBeingTaken || slot.isDraining) return;
    slot.isBeingTaken = true;
    await take(slot).finally(() => {
      slot.isBeingTaken = false;
    });
  }

  /** One server's transaction: start the new one, list it, and only then let it take the old one's place. */
  async function take(slot: Slot): Promise<void> {
    const { name } = slot.config;
    const old = slots.get(name);
    try {
      await relist(slot, stopped.signal);
      // Many servers change their lists as soon as they know whom they speak to.
      await pause(settleMs);
      if (slot.relisting) await relist(slot, stopped.signal);
    } catch (error) {
      const { message, code } = toNikaError(error);
      slot.isHopeless = code !== "unavailable" && code !== "timeout";
      log(`mcp ${name}: ${message}`);
      if (old && old !== slot && catalog.value[name]?.hash === old.hash) {
        old.problem = `${notTaken} ${message}`;
        changed();
        return;
      }
    }
    const wasRunning = old !== undefined && old !== slot && old.held.has(sharedKey);
    replace(slot);
    if (!wasRunning) await dropIdle(slot);
    reroute();
  }

  async function dropIdle(slot: Slot): Promise<void> {
    const held = slot.held.get(sharedKey);
    if (held && held.inFlight === 0) await drop(slot, sharedKey);
  }

  function replace(slot: Slot): void {
    const old = slots.get(slot.config.name);
    if (stopped.signal.aborted) return;
    slots.set(slot.config.name, slot);
    if (old && old !== slot) drain(old);
    changed();
  }

  function retire(name: string): void {
    const slot = slots.get(name);
    slots.delete(name);
    if (slot) drain(slot);
  }

  /** Calls that are under way are let finish, for as long as a call may take. */
  function drain(slot: Slot): void {
    slot.isDraining = true;
    clearTimeout(slot.relisting);
    const until = now() + slot.config.callMs;
    const done = (async () => {
      while ([...slot.held.values()].some(({ inFlight }) => inFlight > 0) && now() < until && !stopped.signal.aborted)
        await pause(50);
      await Promise.all([...slot.held.keys()].map((key) => drop(slot, key)));
    })();
    draining.add(done);
    void done.finally(() => draining.delete(done));
  }

  // --- the owner's decisions

  const isBareAllowed = (config: ServerConfig): boolean =>
    config.transport.type === "stdio" && lock.value[config.name]?.bare?.sha256 === commandHash(config);

  function approve(server: string, only?: readonly string[]): number {
    getSlot(server);
    const listing = catalog.value[server];
    if (!listing) throw new NikaError("conflict", `Nobody knows yet what "${server}" offers; see \`nika mcp test ${server}\`.`);
    const before = lock.value[server] ?? { tools: {}, prompts: {} };
    const unknown = only?.find(
      (name) => !listing.tools.some((one) => one.name === name) && !listing.prompts.some((one) => one.name === name),
    );
    if (unknown !== undefined) throw new NikaError("missing", `"${server}" has no tool or prompt named "${unknown}".`);
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
    reroute();
    return only?.length ?? listing.tools.length + listing.prompts.length;
  }

  async function allowBare(server: string, isAllowed: boolean): Promise<void> {
    const slot = getSlot(server);
    if (slot.config.transport.type !== "stdio")
      throw new NikaError("invalid", `"${server}" runs elsewhere; there is nothing to allow.`);
    const { bare: _bare, ...rest } = lock.value[server] ?? { tools: {}, prompts: {} };
    lock.value[server] = isAllowed ? { ...rest, bare: { sha256: commandHash(slot.config), at: now() } } : rest;
    lock.save();
    slot.failures = 0;
    slot.retryAt = 0;
    slot.isHopeless = false;
    slot.problem = undefined;
    await Promise.all([...slot.held.keys()].map((key) => drop(slot, key)));
    changed();
    if (isAllowed && catalog.value[server]?.hash !== slot.hash) await takeOnce(slot);
  }

  return {
    apply(parsed) {
      applying = applying.then(() => (stopped.signal.aborted ? undefined : applyNow(parsed)));
      return applying;
    },
    routes: () => routes,
    onRoutes(listener) {
      routeListeners.add(listener);
      return () => routeListeners.delete(listener);
    },
    onStanding(listener) {
      standingListeners.add(listener);
      return () => standingListeners.delete(listener);
    },
    standings() {
      const standing = [...slots.values()].map((slot): ServerStanding => {
        const { config } = slot;
        const held = [...slot.held.values()];
        const peer = held.find((one) => one.peer)?.peer;
        const configProblem = problems.find(
          ({ server, file }) => server === config.name || (server === undefined && file === config.origin),
        );
        return {
          name: config.name,
          config,
          state: stateOf(slot, held),
          problem: configProblem
            ? `The edited file was not taken; it goes on as before. ${configProblem.key === "" ? configProblem.file : configProblem.key}: ${configProblem.message}`
            : slot.problem,
          isBareAllowed: isBareAllowed(config),
          way: peer?.way,
          listing: catalog.value[config.name],
          offers: routes.offers.get(config.name) ?? [],
          peers: held.length,
        };
      });
      const named = new Set(standing.map(({ name }) => name));
      for (const { server, file, key, message } of problems) {
        const name = server ?? file;
        if (named.has(name) || (server === undefined && [...slots.values()].some(({ config }) => config.origin === file)))
          continue;
        named.add(name);
        const problem = `${file}${key === "" ? "" : `: ${key}`}: ${message}`;
        standing.push({
          name,
          config: undefined,
          state: "failed",
          problem,
          isBareAllowed: false,
          way: undefined,
          listing: undefined,
          offers: [],
          peers: 0,
        });
      }
      return standing.toSorted((left, right) => (left.name < right.name ? -1 : 1));
    },
    configOf: (server) => getSlot(server).config,
    eraOf: (server) => catalog.value[server]?.era,
    use,
    async leave(key) {
      await Promise.all([...slots.values()].map((slot) => drop(slot, key)));
    },
    async refresh(server, signal) {
      const slot = getSlot(server);
      slot.retryAt = 0;
      const listing = await relist(slot, signal);
      reroute();
      return listing;
    },
    approve,
    allowBare,
    forget(server) {
      delete lock.value[server];
      delete catalog.value[server];
      lock.save();
      catalog.save();
      reroute();
    },
    async close() {
      stopped.abort(new NikaError("cancelled", "Nika is stopping."));
      clearInterval(timer);
      clearTimeout(announcing);
      clearTimeout(telling);
      for (const slot of slots.values()) clearTimeout(slot.relisting);
      await Promise.all([...slots.values()].flatMap((slot) => [...slot.held.keys()].map((key) => drop(slot, key))));
      await Promise.all([applying.catch(() => undefined), ...draining]);
    },
  };
}

const notTaken = "The new configuration was not taken; it goes on as before.";

function toSlot(config: ServerConfig, hash: string, generation: number): Slot {
  return {
    config,
    hash,
    generation,
    held: new Map(),
    problem: undefined,
    failures: 0,
    retryAt: 0,
    hangs: 0,
    isDraining: false,
    isHopeless: false,
    isBeingTaken: false,
    relisting: undefined,
  };
}

function stateOf({ problem }: Slot, held: readonly Held[]): ServerState {
  if (held.some(({ peer, isPaused }) => peer && !isPaused)) return "running";
  if (held.some(({ peer }) => !peer)) return "starting";
  if (held.some(({ isPaused }) => isPaused)) return "paused";
  return problem === undefined || problem.startsWith(notTaken) ? "cold" : "failed";
}

/** What of a configuration makes it another process or connection. */
const hashOf = ({ transport, sandbox }: ServerConfig): string => sha256(canonicalJson({ transport, sandbox }));
/** Consent is for this command with these arguments. */
const commandHash = ({ transport }: ServerConfig): string => sha256(canonicalJson(transport));

const isTimeout = (error: unknown): boolean => error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout;

async function eachOf<T>(items: readonly T[], sideBySide: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const lane = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: sideBySide }, lane));
}

/** Whoever hangs up waits no longer; what was begun goes on. */
async function untilGone<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw new NikaError("cancelled", "The call was withdrawn.");
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = (): void => reject(new NikaError("cancelled", "The call was withdrawn."));
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
