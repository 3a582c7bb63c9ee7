/**
 * A change of configuration, carried out server by server: the new one is started and listed, then it takes the old one's place. One that cannot be
 * started in its new form goes on in its old one.
 */
import { NikaError, toNikaError } from "../../../convex/model/error.ts";
import { planReload, type ParsedServers, type ServerConfig } from "../../../convex/model/server.ts";
import { canonicalJson } from "../../../convex/model/tool.ts";
import type { Compare, Comparison } from "./compare.ts";
import type { Connections } from "./connections.ts";
import { sha256, type Listing } from "./kept.ts";
import type { Lister } from "./listing.ts";
import { settleMs, type Registry } from "./registry.ts";
import { sharedKey } from "../scope.ts";
import { hashOf, notTaken, toSlot, type Slot } from "./slot.ts";

export type Reload = {
  /** Resolves when every server was looked at; fails for none of them. */
  apply(parsed: ParsedServers): Promise<void>;
  /** Tries to start and list one that was not listed in this form yet. Nothing is begun twice. */
  take(slot: Slot): Promise<void>;
  /**
   * The new form that waits for the owner's word takes its place, when it is the one of the digest `accepted`; undefined: it is let go. Fails with
   * `missing` when none waits, with `conflict` when it is another one.
   */
  decide(server: string, accepted: string | undefined): Promise<void>;
  /** What is being tried, or waits and how it differs. */
  waiting(server: string): Waiting | undefined;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
};
export type Waiting = Comparison & {
  /** Absent while it is being tried. Of the form and its differences. */
  readonly sha256?: string;
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
  const candidates = new Map<string, { readonly slot: Slot; readonly comparison: Waiting }>();
  const trying = new Set<string>();
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
    for (const config of parsed.servers) comeBack(config, hashes.get(config.name));
    const plan = planReload(new Map([...slots].map(([name, { hash }]) => [name, hash])), hashes, broken);
    for (const name of [...plan.removed, ...plan.kept, ...plan.changed]) {
      const waiting = candidates.get(name);
      if (waiting && waiting.slot.hash !== hashes.get(name)) candidates.delete(name);
      const { refused, ...rest } = registry.lock.value[name] ?? { tools: {}, prompts: {} };
      if (refused && refused.hash !== hashes.get(name)) {
        registry.lock.value[name] = rest;
        registry.lock.save();
      }
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
      if (candidates.has(name)) continue;
      if (registry.lock.value[name]?.refused && slots.has(name)) {
        keepOld(name);
        continue;
      }
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

  /**
   * What was known before a restart in another form than is declared now goes on in its old one while the new one is tried, as it would have without the
   * restart. What is said about it, such as its policy, is what is declared now.
   */
  function comeBack(config: ServerConfig, hash: string | undefined): void {
    const { name } = config;
    const { form, hash: old } = registry.catalog.value[name] ?? {};
    if (slots.has(name) || !form || old === undefined || old === hash || hashOf(form) !== old) return;
    slots.set(name, toSlot({ ...config, ...form }, old, 0));
  }

  function keepOld(name: string): void {
    const old = slots.get(name);
    if (old) old.problem = `${notTaken} You kept the old form; edit its entry to try another.`;
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
    const isTrial = old !== undefined && old !== slot && listed?.hash === old.hash && isOtherProgram(old, slot);
    let found: Listing | undefined;
    if (isTrial) trying.add(name);
    try {
      found = await lister.ask(slot, registry.stopped.signal);
      // Many servers change their lists as soon as they know whom they speak to.
      await pause(settleMs);
      if (slot.relisting) found = await lister.ask(slot, registry.stopped.signal);
      if (isTrial && (await isHeldBack(old, slot, found))) return;
      // Not before: whoever starts again after a kill finds the old form, and tries the new one again.
      lister.keep(slot, found);
    } catch (error) {
      const { message, code } = toNikaError(error);
      slot.isHopeless = code !== "unavailable" && code !== "timeout";
      log(`mcp ${name}: ${message}`);
      if (old && old !== slot && registry.catalog.value[name]?.hash === old.hash) {
        old.problem = `${notTaken} ${message}`;
        registry.changed();
        return;
      }
    } finally {
      trying.delete(name);
    }
    const wasRunning = old !== undefined && old !== slot && old.held.has(sharedKey);
    replace(slot);
    if (!wasRunning) await dropIdle(slot);
    registry.reroute();
  }

  /** Whether another program in its place answers otherwise, so that the owner has to say whether it may. */
  async function isHeldBack(old: Slot, slot: Slot, found: Listing): Promise<boolean> {
    const { name } = slot.config;
    if (old.isDraining) return false;
    const comparison = await compare(old, slot, new Set(found.tools.map((tool) => tool.name)));
    // Nothing was found out, and the next start tries again.
    if (registry.stopped.signal.aborted) return true;
    if (comparison.lines.length === 0 || slots.get(name) !== old) return false;
    candidates.set(name, { slot, comparison: { ...comparison, sha256: sha256(canonicalJson([slot.hash, comparison.lines])) } });
    old.problem = `${notTaken} ${comparison.lines.length === 1 ? "An answer differs" : `${comparison.lines.length} things differ in its answers`}; see \`nika mcp upgrade ${name}\`.`;
    log(`mcp ${name}: the new form answers otherwise and waits: ${comparison.lines.join("; ")}`);
    await dropIdle(slot);
    registry.reroute();
    registry.changed();
    return true;
  }

  async function decide(server: string, accepted: string | undefined): Promise<void> {
    const waiting = candidates.get(server);
    if (!waiting) throw new NikaError("missing", `No new form of "${server}" waits for your word.`);
    if (accepted !== undefined && accepted !== waiting.comparison.sha256)
      throw new NikaError(
        "conflict",
        `What waits is not what you looked at, so nothing was done; see \`nika mcp upgrade ${server}\`.`,
      );
    candidates.delete(server);
    const { slot } = waiting;
    if (accepted !== undefined) {
      await lister.list(slot, registry.stopped.signal);
      replace(slot);
    } else {
      const { lock } = registry;
      lock.value[server] = { ...(lock.value[server] ?? { tools: {}, prompts: {} }), refused: { hash: slot.hash, at: now() } };
      lock.save();
      keepOld(server);
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
    const { form, ...listing } = registry.catalog.value[name] ?? {};
    if (form) {
      // Its owner took it out: should it be declared again, this form has no place to come back to.
      registry.catalog.value[name] = listing as Listing;
      registry.catalog.save();
    }
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
    waiting: (server) => candidates.get(server)?.comparison ?? (trying.has(server) ? { calls: 0, lines: [] } : undefined),
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
