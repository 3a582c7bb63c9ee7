/**
 * A change of configuration, carried out server by server: the new one is started and listed, then it takes the old one's place. One that cannot be
 * started in its new form goes on in its old one.
 */
import { NikaError, toNikaError } from "../../../convex/model/error.ts";
import { planReload, type ParsedServers } from "../../../convex/model/server.ts";
import { canonicalJson } from "../../../convex/model/tool.ts";
import type { Compare, Comparison } from "./compare.ts";
import type { Connections } from "./connections.ts";
import type { Listing } from "./kept.ts";
import type { Lister } from "./listing.ts";
import { settleMs, type Registry } from "./registry.ts";
import { sharedKey } from "../scope.ts";
import { hashOf, notTaken, toSlot, type Slot } from "./slot.ts";

export type Reload = {
  /** Resolves when every server was looked at; fails for none of them. */
  apply(parsed: ParsedServers): Promise<void>;
  /** Tries to start and list one that was not listed in this form yet. Nothing is begun twice. */
  take(slot: Slot): Promise<void>;
  /** The new form that waits for the owner's word takes its place, or is let go. Fails with `missing` when none waits. */
  decide(server: string, isAccepted: boolean): Promise<void>;
  /** What waits, and how it differs. */
  waiting(server: string): Comparison | undefined;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
};
export type ReloadOptions = {
  readonly registry: Registry;
  readonly connections: Pick<Connections, "drop">;
  readonly lister: Lister;
  readonly compare: Compare;
  readonly log: (line: string) => void;
  readonly now: () => number;
};

/** New servers listed side by side. */
const startsMax = 3;

/** One change after the other. */
export function openReload({ registry, connections, lister, compare, log, now }: ReloadOptions): Reload {
  const { slots } = registry;
  const draining = new Set<Promise<void>>();
  const candidates = new Map<string, { readonly slot: Slot; readonly comparison: Comparison }>();
  /** Forms that the owner did not want, by server. */
  const rejected = new Map<string, string>();
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
    for (const name of [...plan.removed, ...plan.kept, ...plan.changed]) {
      const waiting = candidates.get(name);
      if (waiting && waiting.slot.hash !== hashes.get(name)) candidates.delete(name);
      if (rejected.get(name) !== hashes.get(name)) rejected.delete(name);
    }
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
      // It waits, or was not wanted.
      if (candidates.has(name) || rejected.has(name)) continue;
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
    const listed = registry.catalog.value[name];
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
    if (old && old !== slot && listed && (await isHeldBack(old, slot, listed))) return;
    const wasRunning = old !== undefined && old !== slot && old.held.has(sharedKey);
    replace(slot);
    if (!wasRunning) await dropIdle(slot);
    registry.reroute();
  }

  /** Whether another program in its place answers otherwise, so that the owner has to say whether it may. */
  async function isHeldBack(old: Slot, slot: Slot, listed: Listing): Promise<boolean> {
    const { name } = slot.config;
    const found = registry.catalog.value[name];
    if (old.isDraining || found?.hash !== slot.hash || listed.hash !== old.hash || !isOtherProgram(old, slot)) return false;
    const comparison = await compare(old, slot, new Set(found.tools.map((tool) => tool.name)));
    if (comparison.lines.length === 0 || slots.get(name) !== old) return false;
    candidates.set(name, { slot, comparison });
    // What is offered is still the old one's.
    registry.catalog.value[name] = listed;
    registry.catalog.save();
    old.problem = `${notTaken} ${comparison.lines.length === 1 ? "An answer differs" : `${comparison.lines.length} things differ in its answers`}; see \`nika mcp upgrade ${name}\`.`;
    log(`mcp ${name}: the new form answers otherwise and waits: ${comparison.lines.join("; ")}`);
    await dropIdle(slot);
    registry.reroute();
    registry.changed();
    return true;
  }

  async function decide(server: string, isAccepted: boolean): Promise<void> {
    const waiting = candidates.get(server);
    if (!waiting) throw new NikaError("missing", `No new form of "${server}" waits for your word.`);
    candidates.delete(server);
    const { slot } = waiting;
    if (isAccepted) {
      await lister.list(slot, registry.stopped.signal);
      replace(slot);
    } else {
      rejected.set(server, slot.hash);
      const old = slots.get(server);
      if (old) old.problem = `${notTaken} You kept the old form; edit its entry to try another.`;
      await Promise.all([...slot.held.keys()].map((key) => connections.drop(slot, key)));
    }
    registry.reroute();
    registry.changed();
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
    decide,
    waiting: (server) => candidates.get(server)?.comparison,
    async settled() {
      await Promise.all([applying.catch(() => undefined), ...draining]);
    },
  };
}

/** Another sandbox around the same program changes none of its answers that matter. */
const isOtherProgram = ({ config: left }: Slot, { config: right }: Slot): boolean =>
  canonicalJson(left.transport) !== canonicalJson(right.transport);

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
