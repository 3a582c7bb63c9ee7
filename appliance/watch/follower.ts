/**
 * One watched folder. The system says that something changed, never reliably what; so after a while of quiet the whole folder is looked
 * through and compared, by size and time, with what was seen before. What was seen is kept by the control plane, in the transaction
 * that takes a file in: after a crash the next look finds what is left to do.
 */
import { watch, type FSWatcher } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, sep } from "node:path";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { filesPerCallMax } from "../../convex/model/document.ts";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import { watchedFilesMax, type WatchMode } from "../../convex/model/watch.ts";
import type { State } from "../../functions/ports/state.ts";
import { handOver, type Tally, type Vault } from "../folder/handOver.ts";
import { uploadFile } from "../folder/upload.ts";
import { keyOf, walk, type FoundFile, type FoundProblem } from "../folder/walk.ts";

export type FollowerOptions = {
  readonly state: State;
  readonly convexUrl: string;
  readonly dataDir: string;
  readonly log: (line: string) => void;
  /** Quiet that is waited for before a look. */
  readonly quietMs?: number;
};

export type Follower = { close(): Promise<void> };

type Followed = { readonly id: Id<"watches">; readonly path: string; readonly mode: WatchMode };
type Last = { readonly sizeBytes: number; readonly mtimeMs: number };
type Look = {
  readonly files: FoundFile[];
  readonly problems: FoundProblem[];
  /** Everything that is there, also what is not ready to be read. */
  readonly keys: Set<string>;
  /** Part of the folder could not be looked at. */
  readonly isPartial: boolean;
  /** A file was written a moment ago: it may not be finished. */
  readonly isMoving: boolean;
};

/** Behind the system's word, which gets lost on network drives and when too much changes at once. */
const lookEveryMs = 10 * 60_000;
const againAfterFailureMs = 30_000;
/** A file that was written this short a time ago may still be growing. */
const settleMs = 1_000;
const tooManyFiles = `The folder holds more than ${watchedFilesMax.toLocaleString("en-US")} files; watch a part of it.`;
/** What programs write beside a file while they work on it, and downloads that are not finished. */
const temporary = /^~\$|^\.~|~$|\.(?:tmp|temp|part|partial|crdownload|download|swp|swx|lock)$/iu;

export function openFollower(followed: Followed, { state, convexUrl, dataDir, log, quietMs = 700 }: FollowerOptions): Follower {
  const { id: watchId, path: root } = followed;
  const stop = new AbortController();
  const { signal } = stop;
  /** What could not be read as it was told once: told again only when it changes. */
  const told = new Set<string>();
  let known: Map<string, Last> | undefined;
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let isDirty = false;
  let lookTookMs = 0;

  const lookIn = (ms: number): void => {
    if (signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(() => void start(), ms);
  };
  /** A large folder in which much happens is looked through now and then, not all the time. */
  const changed = (): void => lookIn(Math.max(quietMs, 3 * lookTookMs));

  const start = async (): Promise<void> => {
    if (looking) {
      isDirty = true;
      return;
    }
    looking = look().finally(() => {
      looking = undefined;
    });
    await looking;
    if (isDirty) changed();
    isDirty = false;
  };

  const look = async (): Promise<void> => {
    const begun = performance.now();
    let nextMs = lookEveryMs;
    try {
      listen();
      known ??= await seenBefore();
      const seen = await lookThrough(root, dataDir, signal);
      const files = await takeIn(seen, known);
      lookTookMs = performance.now() - begun;
      const problem = await letGo(seen, known);
      await report(files, problem);
      if (seen.isMoving) nextMs = settleMs + quietMs;
    } catch (error) {
      if (signal.aborted) return;
      watcher?.close();
      watcher = undefined;
      // What was taken in before it failed is known to the control plane alone.
      known = undefined;
      nextMs = againAfterFailureMs;
      log(`watching ${root}: ${String(error)}`);
      await report(0, isNikaError(error) ? error.message : "The folder cannot be looked through; see the log.");
    }
    if (!isDirty) lookIn(nextMs);
  };

  const listen = (): void => {
    if (watcher) return;
    try {
      watcher = watch(root, { recursive: true, persistent: false }, changed);
      watcher.on("error", () => {
        watcher?.close();
        watcher = undefined;
        changed();
      });
    } catch (error) {
      // No room for another watch, or none of this kind here: then it is looked at every few minutes.
      log(`changes in ${root} are not told by the system: ${String(error)}`);
    }
  };

  const seenBefore = async (): Promise<Map<string, Last>> => {
    const seen = new Map<string, Last>();
    for (let cursor: string | null = null; ;) {
      const paginationOpts: { numItems: number; cursor: string | null } = { numItems: 1_000, cursor };
      const { page, isDone, continueCursor } = await state.query(internal.watches.seen, { watchId, paginationOpts });
      for (const { key, ...last } of page) seen.set(key, last);
      if (isDone) return seen;
      cursor = continueCursor;
    }
  };

  /** Hands over what is new or other than it was. How many files there are. */
  const takeIn = async (seen: Look, before: Map<string, Last>): Promise<number> => {
    const fresh = seen.files.filter(({ path, sizeBytes, mtimeMs }) => {
      const last = before.get(keyOf(path));
      return last?.sizeBytes !== sizeBytes || last.mtimeMs !== mtimeMs;
    });
    // What could not be read before a restart was told then.
    const isFirst = told.size === 0 && before.size > 0;
    const problems = seen.problems.filter((one) => !told.has(sayOf(one)));
    for (const one of problems) told.add(sayOf(one));
    const entries = [...fresh, ...(isFirst ? [] : problems)];
    if (entries.length === 0) return seen.keys.size;
    const batchId = await state.mutation(internal.batches.openWatched, { watchId, label: basename(root) });
    if (!batchId) return seen.keys.size;
    try {
      const tally: Tally = { added: [], known: [], refused: [] };
      await handOver(entries, { vault: vaultOf(batchId, before), tally, signal, onProgress: () => {} });
    } finally {
      await state.mutation(internal.batches.closeWatched, { id: batchId });
    }
    return seen.keys.size;
  };

  const vaultOf = (batchId: Id<"batches">, before: Map<string, Last>): Vault => {
    const told = (file: FoundFile) => {
      const { path, name, sizeBytes, mtimeMs } = file;
      return { name, key: keyOf(path), seen: { watchId, sizeBytes, mtimeMs } };
    };
    const remember = ({ path, sizeBytes, mtimeMs }: FoundFile): unknown => before.set(keyOf(path), { sizeBytes, mtimeMs });
    let uploadUrl: Promise<string> | undefined;
    let uploadUntil = 0;
    return {
      async note(files) {
        const noted = await state.mutation(internal.watches.note, {
          files: files.map(({ file, sha256 }) => ({ ...told(file), sha256 })),
          batchId,
        });
        for (const [at, { file }] of files.entries()) if (noted[at]) remember(file);
        return noted;
      },
      async upload(path) {
        if (Date.now() > uploadUntil) uploadUrl = undefined;
        uploadUntil = uploadUrl ? uploadUntil : Date.now() + 50 * 60_000;
        uploadUrl ??= state.mutation(internal.sources.uploadUrl, {});
        const { pathname, search } = new URL(await uploadUrl);
        return uploadFile(`${convexUrl}${pathname}${search}`, path);
      },
      async add(files) {
        const sent = files.map(({ file, storageId }) => ({ ...told(file), storageId: storageId as Id<"_storage"> }));
        const added = await state.mutation(internal.watches.addFiles, { files: sent, batchId });
        for (const { file } of files) remember(file);
        return added;
      },
      refuse: (files) => state.mutation(internal.watches.refuse, { files, batchId }),
    };
  };

  /** Files that are no longer there. A drive that is not plugged in looks like an empty folder: then nothing is let go. */
  const letGo = async (seen: Look, before: Map<string, Last>): Promise<string | undefined> => {
    const gone = [...before.keys()].filter((key) => !seen.keys.has(key));
    if (gone.length === 0) return undefined;
    if (seen.isPartial) return "Part of the folder cannot be read, so nothing of it is forgotten.";
    if (seen.keys.size === 0) return "The folder is empty, as if its drive were not there; nothing of it is forgotten.";
    for (let from = 0; from < gone.length; from += filesPerCallMax) {
      signal.throwIfAborted();
      const keys = gone.slice(from, from + filesPerCallMax);
      await state.mutation(internal.watches.gone, { watchId, keys });
      for (const key of keys) before.delete(key);
    }
    return undefined;
  };

  const report = async (files: number, problem: string | undefined): Promise<void> => {
    const told = { at: Date.now(), files, ...(problem !== undefined && { problem }) };
    await state
      .mutation(internal.watches.report, { watchId, report: told })
      .catch((error: unknown) => log(`watching ${root}: ${String(error)}`));
  };

  void start();
  return {
    async close() {
      stop.abort();
      clearTimeout(timer);
      watcher?.close();
      await looking;
    },
  };
}

async function lookThrough(root: string, dataDir: string, signal: AbortSignal): Promise<Look> {
  const files: FoundFile[] = [];
  const problems: FoundProblem[] = [];
  const keys = new Set<string>();
  let [isPartial, isMoving] = [false, false];
  const [rootReal, ownReal] = await Promise.all([realpath(root).catch(() => root), realpath(dataDir).catch(() => dataDir)]);
  for await (const found of walk(root)) {
    signal.throwIfAborted();
    if (found.type === "skipped") continue;
    if (found.type === "problem") {
      isPartial ||= found.name.endsWith("/");
      problems.push(found);
      continue;
    }
    const path = found.path.toString("utf8");
    if (temporary.test(basename(path)) || !(await isOurs(path, { rootReal, ownReal }))) continue;
    keys.add(keyOf(found.path));
    if (keys.size > watchedFilesMax) throw new NikaError("full", tooManyFiles);
    if (Date.now() - found.mtimeMs < settleMs && found.mtimeMs <= Date.now()) isMoving = true;
    else files.push(found);
  }
  return { files, problems, keys, isPartial, isMoving };
}

/** Inside the folder, links followed, and not inside Nika's own. */
async function isOurs(path: string, { rootReal, ownReal }: { rootReal: string; ownReal: string }): Promise<boolean> {
  const real = await realpath(path).catch(() => undefined);
  const isIn = (folder: string): boolean => real !== undefined && (real === folder || real.startsWith(folder + sep));
  return isIn(rootReal) && !isIn(ownReal);
}

const sayOf = ({ name, sizeBytes, problem }: FoundProblem): string => `${problem} ${sizeBytes} ${name}`;
