/**
 * A change of configuration, carried out server by server: the new one is started and listed, then it takes the old one's place. One that cannot be
 * started in its new form goes on in its old one.
 */
import { toNikaError } from "../../convex/model/error.ts";
import { planReload, type ParsedServers } from "../../convex/model/server.ts";
import type { Connections } from "./connections.ts";
import type { Lister } from "./listing.ts";
import { settleMs, type Registry } from "./registry.ts";
import { sharedKey } from "./scope.ts";
import { hashOf, notTaken, toSlot, type Slot } from "./slot.ts";

export type Reload = {
  /** Resolves when every server was looked at; fails for none of them. */
  apply(parsed: ParsedServers): Promise<void>;
  /** Tries to start and list one that was not listed in this form yet. Nothing is begun twice. */
  take(slot: Slot): Promise<void>;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
};
export type ReloadOptions = {
  readonly registry: Registry;
  readonly connections: Pick<Connections, "drop">;
  readonly lister: Lister;
  readonly log: (line: string) => void;
  readonly now: () => number;
};

/** New servers listed side by side. */
const startsMax = 3;

/** One change after the other. */
export function openReload({ registry, connections, lister, log, now }: ReloadOptions): Reload {
  const { slots } = registry;
  const draining = new Set<Promise<void>>();
  let applying: Promise<void> = Promise.resolve();

  async function applyNow(parsed: ParsedServers): Promise<void> {
    const files = new Set(parsed.problems.filter(({ server }) => server === undefined).map(({ file }) => file));
    const broken = new Set(parsed.problems.flatMap(({ server }) => server ?? []));
    for (const { config } of slots.values()) if (files.has(config.origin)) broken.add(config.name);
    registry.problems = parsed.problems;
    registry.off = parsed.off;
    for (const { file, key, message } of parsed.problems) log(`mcp: ${file}${key === "" ? "" : `: ${key}`}: ${message}`);
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
      if (registry.catalog.value[slot.config.name]?.hash !== slot.hash) return true;
      replace(slot);
      return false;
    });
    for (const slot of unknown) if (!slots.has(slot.config.name)) slots.set(slot.config.name, slot);
    registry.reroute();
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
      await lister.list(slot, registry.stopped.signal);
      // Many servers change their lists as soon as they know whom they speak to.
      await pause(settleMs);
      if (slot.relisting) await lister.list(slot, registry.stopped.signal);
    } catch (error) {
      const { message, code } = toNikaError(error);
      slot.isHopeless = code !== "unavailable" && code !== "timeout";
      log(`mcp ${name}: ${message}`);
      if (old && old !== slot && registry.catalog.value[name]?.hash === old.hash) {
        old.problem = `${notTaken} ${message}`;
        registry.changed();
        return;
      }
    }
    const wasRunning = old !== undefined && old !== slot && old.held.has(sharedKey);
    replace(slot);
    if (!wasRunning) await dropIdle(slot);
    registry.reroute();
  }

  async function dropIdle(slot: Slot): Promise<void> {
    const held = slot.held.get(sharedKey);
    if (held && held.inFlight === 0) await connections.drop(slot, sharedKey);
  }

  function replace(slot: Slot): void {
    const old = slots.get(slot.config.name);
    if (registry.stopped.signal.aborted) return;
    slots.set(slot.config.name, slot);
    if (old && old !== slot) drain(old);
    registry.changed();
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
      while ([...slot.held.values()].some(({ inFlight }) => inFlight > 0) && now() < until && !registry.stopped.signal.aborted)
        await pause(50);
      await Promise.all([...slot.held.keys()].map((key) => connections.drop(slot, key)));
    })();
    draining.add(done);
    void done.finally(() => draining.delete(done));
  }

  return {
    apply(parsed) {
      applying = applying.then(() => (registry.stopped.signal.aborted ? undefined : applyNow(parsed)));
      return applying;
    },
    take: takeOnce,
    async settled() {
      await Promise.all([applying.catch(() => undefined), ...draining]);
    },
  };
}

async function eachOf<T>(items: readonly T[], sideBySide: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const lane = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: sideBySide }, lane));
}

const pause = (ms: number): Promise<void> =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
