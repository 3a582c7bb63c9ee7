/**
 * The owner's functions: looks at their folder, checks each new version in a sandbox, serves the last good one, and says so to the
 * control plane. The folder is watched, and believed only when its bytes were compared.
 */
import { randomBytes } from "node:crypto";
import { watch, type FSWatcher } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { internal } from "../../convex/_generated/api.js";
import { isNikaError, NikaError, toNikaError } from "../../convex/model/error.ts";
import { isFunctionName, type FunctionReport, type Manifest } from "../../convex/model/userFunction.ts";
import type { Sandboxes } from "../../functions/ports/sandboxes.ts";
import type { State } from "../../functions/ports/state.ts";
import type { UserFunctions } from "../../functions/ports/userFunctions.ts";
import { openBare } from "./bare.ts";
import { openPool, type Opened } from "./pool.ts";
import { openShelf, type Kept } from "./shelf.ts";
import { listSources, readSource, type Source } from "./source.ts";

export type OwnedOptions = {
  readonly dataDir: string;
  readonly state: State;
  /** Absent: nothing on this machine can hold a function in. */
  readonly sandboxes?: Sandboxes | undefined;
  /** All warm sandboxes together. */
  readonly memoryMiBMax: number;
  /** Keeps the schedule that a manifest asks for, or none; the sentence to show when its words are no time. */
  readonly declare: (name: string, phrase: string | undefined) => Promise<string | undefined>;
  readonly log: (line: string) => void;
};

export type Owned = UserFunctions & {
  /** Of the version that answers. */
  readonly manifest: (name: string) => Manifest | undefined;
  /** Takes it out of the folder, with its runs. Fails with `missing`. */
  readonly remove: (name: string) => Promise<void>;
  /** Resolves when what lies in the folder now was looked at. */
  readonly look: () => Promise<void>;
  readonly close: () => Promise<void>;
};

type Entry = {
  readonly name: string;
  sourceVersion: string;
  state: FunctionReport["state"];
  kept?: Kept | undefined;
  problem?: string | undefined;
  isBare: boolean;
};

const tmpBytes = 16 * 1024 * 1024;
/** The rest is Node itself; a heap that is full is told in words, a container that is full is only killed. */
const heapShare = 0.8;
/** An editor writes in several steps. */
const quietMs = 120;
/** A folder that is swapped is gone for a moment. */
const missingMs = 700;
/** Behind the system's word, which gets lost now and then. */
const lookEveryMs = 5 * 60_000;
const oldPrefix = ".old-";

const hint = (name: string): string =>
  ` A function runs in a sandbox: install Docker, or let this one run without with \`nika functions allow ${name} --bare\`.`;

/** Looks at the folder in the background; calls that come before wait for it. */
export async function openOwned({ dataDir, state, sandboxes, memoryMiBMax, declare, log }: OwnedOptions): Promise<Owned> {
  const dir = join(dataDir, "functions");
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const shelf = await openShelf(dataDir);
  const entries = new Map<string, Entry>();
  const missing = new Map<string, number>();
  /** The version of each that is being looked at. */
  const loading = new Map<string, string>();
  const complained = new Set<string>();
  let bareAllowed = new Set<string>();
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let settling: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let isDirty = false;
  let isFirst = true;
  let isClosed = false;

  const pool = openPool({
    open,
    memoryMiBMax,
    onRetired(kept) {
      // One that is being looked at has no sandbox for a moment, and one that answers may have none for long.
      const isWanted = loading.get(kept.name) === kept.version || entries.get(kept.name)?.kept?.version === kept.version;
      if (!isWanted) void shelf.dropVersion(kept).catch(() => undefined);
    },
    onOpened(kept, isBare) {
      const entry = entries.get(kept.name);
      if (!entry || entry.isBare === isBare) return;
      entry.isBare = isBare;
      void report(entry);
    },
    log,
  });

  async function open({ name, version, manifest, dir: from }: Kept, signal: AbortSignal): Promise<Opened> {
    const { language, entry, memoryMiB, cpus, processesMax, egress } = manifest;
    const runner = shelf.runners[language];
    try {
      if (!sandboxes) throw new NikaError("unavailable", "There is no container engine on this machine.");
      const inside = language === "node" ? "/runner/runner.mjs" : "/runner/runner.py";
      const program =
        language === "node"
          ? [
              "/usr/local/bin/node",
              `--max-old-space-size=${Math.floor(memoryMiB * heapShare)}`,
              "--disable-warning=ExperimentalWarning",
            ]
          : ["/usr/local/bin/python3", "-B"];
      const spec = {
        name: `nika-function-${name}-${version.slice(0, 8)}-${randomBytes(4).toString("hex")}`,
        language,
        runtime: "auto" as const,
        command: [...program, inside, `/function/${entry}`],
        environment: {},
        mounts: [
          { from, to: "/function" },
          { from: runner, to: inside },
        ],
        egress,
        memoryBytes: memoryMiB * 1024 * 1024,
        cpus,
        processesMax,
        tmpBytes,
      };
      return { sandbox: await sandboxes.open(spec, signal), isBare: false };
    } catch (error) {
      // Only where there is nothing to hold it in; a limit that does not hold is no reason to go without any.
      if (!isNikaError(error) || error.code !== "unavailable") throw error;
      if (!bareAllowed.has(name)) throw new NikaError("denied", `${error.message}${hint(name)}`, { cause: error });
      return { sandbox: openBare({ language, runner, dir: from, entry, memoryMiB }), isBare: true };
    }
  }

  const reportOf = ({ name, state: is, kept, sourceVersion, problem, isBare }: Entry): FunctionReport => ({
    name,
    state: is,
    sourceVersion,
    isBare,
    ...(kept && { version: kept.version, manifest: kept.manifest }),
    ...(problem !== undefined && { problem: problem.slice(0, 1_000) }),
  });
  const tell = async (functions: readonly FunctionReport[], isAll: boolean): Promise<void> => {
    try {
      await state.mutation(internal.functions.report, { functions: [...functions], isAll });
    } catch (error) {
      if (!isClosed) log(`functions: what is served was not recorded: ${String(error)}`);
    }
  };
  const report = (entry: Entry): Promise<void> => tell([reportOf(entry)], false);

  const look = async (): Promise<void> => {
    if (looking) {
      isDirty = true;
      return looking;
    }
    looking = lookOnce()
      .catch((error: unknown) => log(`functions: the folder cannot be looked at: ${String(error)}`))
      .finally(() => (looking = undefined));
    await looking;
    if (isDirty && !isClosed) {
      isDirty = false;
      await look();
    }
  };
  const lookIn = (ms: number): void => {
    if (isClosed) return;
    clearTimeout(timer);
    timer = setTimeout(() => void look(), ms);
    timer.unref();
  };
  /** Once nothing has changed for a moment. A timer of its own: a look that ends just then sets the other one, for much later. */
  const lookSoon = (): void => {
    if (isClosed) return;
    clearTimeout(settling);
    settling = setTimeout(() => void look(), quietMs);
    settling.unref();
  };

  const lookOnce = async (): Promise<void> => {
    listen();
    if (isFirst) await restoreSwapped();
    const found = await listSources(dir);
    let isAll = isFirst;
    for (const { name, path } of found) {
      missing.delete(name);
      if (isClosed) return;
      isAll = (await lookAt(name, path)) || isAll;
    }
    const here = new Set(found.map(({ name }) => name));
    for (const name of entries.keys()) {
      if (here.has(name)) continue;
      const since = missing.get(name) ?? Date.now();
      missing.set(name, since);
      if (Date.now() - since < missingMs) {
        isAll = false;
        lookIn(missingMs);
        continue;
      }
      await forget(name);
      isAll = true;
    }
    if (missing.size > 0 && isFirst) isAll = false;
    if (isAll && missing.size === 0) await tell(Array.from(entries.values(), reportOf), true);
    isFirst = false;
    if (missing.size === 0) lookIn(lookEveryMs);
  };

  /** True when there is one more than before. */
  const lookAt = async (name: string, path: string): Promise<boolean> => {
    let source: Source;
    try {
      source = await readSource(path, name);
      complained.delete(name);
    } catch (error) {
      const { code, message } = toNikaError(error);
      // It went away while it was read.
      if (code === "missing") return false;
      if (!complained.has(name)) log(`functions: ${message}`);
      complained.add(name);
      if (!isFunctionName(name)) return false;
      const before = entries.get(name);
      const entry = before ?? { name, sourceVersion: "", state: "broken", isBare: false };
      entries.set(name, entry);
      if (entry.problem === message) return false;
      entry.problem = message;
      await report(entry);
      return !before;
    }
    const known = entries.get(name);
    if (known && known.sourceVersion === source.version && known.state !== "refused") return false;
    const entry: Entry = known ?? { name, sourceVersion: source.version, state: "checking", isBare: false };
    entries.set(name, entry);
    entry.sourceVersion = source.version;
    if (!known) {
      const chosen = await shelf.chosen(name);
      if (chosen) {
        pool.serve(chosen);
        entry.kept = chosen;
        if (chosen.version === source.version && (await canRun(entry))) {
          // It was found good in an earlier life.
          entry.state = "serving";
          await schedule(entry);
          return true;
        }
      }
    }
    await load(entry, source);
    return !known;
  };

  const canRun = async (entry: Entry): Promise<boolean> => {
    const held = await (sandboxes?.attestations() ?? Promise.resolve([])).catch(() => []);
    entry.isBare = !held.some(({ isSufficient }) => isSufficient);
    return !entry.isBare || bareAllowed.has(entry.name);
  };

  /** The version in the folder answers from now on, or the one before goes on and why is told. */
  const load = async (entry: Entry, { manifest, ...source }: Source): Promise<void> => {
    const { name } = entry;
    if (entry.state === "broken" || entry.state === "refused") entry.state = "checking";
    const fail = async (error: unknown): Promise<void> => {
      const { code, message } = toNikaError(error);
      if (code === "bug") log(`functions: ${name}: ${String(error)}`);
      entry.problem = message;
      if (code === "denied" || code === "unavailable") {
        entry.state = "refused";
        pool.drop(name, new NikaError(code, message));
      } else entry.state = entry.kept ? "serving" : "broken";
      await report(entry);
    };
    if (isNikaError(manifest)) return fail(manifest);
    if (!entry.kept) await report(entry);
    let kept: Kept;
    loading.set(name, source.version);
    try {
      kept = await shelf.put({ ...source, manifest }, manifest);
      const checked = await pool.check(kept);
      if (!checked.ok) {
        loading.delete(name);
        await shelf.dropVersion(kept);
        return await fail(new NikaError("invalid", checked.message));
      }
      await shelf.choose(kept);
    } catch (error) {
      loading.delete(name);
      return fail(error);
    }
    entry.kept = kept;
    loading.delete(name);
    entry.state = "serving";
    entry.problem = undefined;
    pool.serve(kept);
    await schedule(entry);
    await report(entry);
    log(`functions: ${name} ${kept.version} answers${entry.isBare ? ", without a sandbox" : ""}`);
  };

  const schedule = async (entry: Entry): Promise<void> => {
    try {
      entry.problem = await declare(entry.name, entry.kept?.manifest.schedule);
    } catch (error) {
      entry.problem = `Its schedule was not kept: ${toNikaError(error).message}`;
    }
  };

  const forget = async (name: string): Promise<void> => {
    missing.delete(name);
    entries.delete(name);
    pool.drop(name, new NikaError("missing", `There is no function called ${name} any more.`));
    await shelf.drop(name);
    await declare(name, undefined).catch((error: unknown) => log(`functions: the schedule of ${name}: ${String(error)}`));
  };

  /** A deployment was cut off between its two steps: what was there comes back. */
  const restoreSwapped = async (): Promise<void> => {
    for (const name of await readdir(dir)) {
      if (!name.startsWith(oldPrefix)) continue;
      const old = join(dir, name);
      const place = join(dir, name.slice(oldPrefix.length));
      await rename(old, place).catch(() => rm(old, { recursive: true, force: true }));
    }
  };

  const listen = (): void => {
    if (watcher || isClosed) return;
    try {
      watcher = watch(dir, { recursive: true, persistent: false }, lookSoon);
      watcher.on("error", () => {
        watcher?.close();
        watcher = undefined;
        lookSoon();
      });
    } catch (error) {
      log(`functions: the folder cannot be watched: ${String(error)}`);
    }
  };

  const unwatch = state.watch(
    internal.functions.allowed,
    {},
    (all) => {
      const now = new Set(all.filter(({ isBareAllowed }) => isBareAllowed).map(({ name }) => name));
      const changed = [...new Set([...now, ...bareAllowed])].filter((name) => now.has(name) !== bareAllowed.has(name));
      bareAllowed = now;
      let isAny = false;
      for (const name of changed) {
        const entry = entries.get(name);
        // What is held in by a sandbox goes on as it is.
        if (!entry || (entry.state !== "refused" && !entry.isBare)) continue;
        entry.state = "refused";
        isAny = true;
        if (!now.has(name)) pool.drop(name, new NikaError("denied", `${name} may not run without a sandbox any more.`));
      }
      if (isAny) void look();
    },
    (error) => log(`functions: what is allowed cannot be watched: ${String(error)}`),
  );

  const allowedFirst = state.query(internal.functions.allowed, {}).then(
    (all) => void (bareAllowed = new Set(all.filter(({ isBareAllowed }) => isBareAllowed).map(({ name }) => name))),
    (error: unknown) => log(`functions: what is allowed is not known: ${String(error)}`),
  );
  const started = allowedFirst.then(look);

  return {
    async call(call) {
      await started;
      const entry = entries.get(call.name);
      // Docker may be there by now.
      if (entry?.state === "refused") await look();
      const is = entries.get(call.name);
      if (is && !is.kept)
        throw new NikaError(is.state === "refused" ? "denied" : "invalid", is.problem ?? "It cannot be loaded.");
      if (is?.state === "refused") throw new NikaError("denied", is.problem ?? "Nothing on this machine may run it.");
      return pool.call(call);
    },
    attemptsMax: (name) => entries.get(name)?.kept?.manifest.attemptsMax ?? 1,
    manifest: (name) => entries.get(name)?.kept?.manifest,
    async remove(name) {
      await started;
      const found = (await listSources(dir)).filter((one) => one.name === name);
      if (found.length === 0) throw new NikaError("missing", `There is no function called ${name.slice(0, 60)}.`);
      for (const { path } of found) await rm(path, { recursive: true, force: true });
      await look();
      missing.set(name, 0);
      await look();
    },
    look,
    async close() {
      isClosed = true;
      unwatch();
      watcher?.close();
      clearTimeout(timer);
      clearTimeout(settling);
      await pool.close();
      await looking?.catch(() => undefined);
    },
  };
}
