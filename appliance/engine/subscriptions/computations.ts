/**
 * One answer to one question, worked out once for all who ask it. A Computation is wanted, then has a result, and ends when a commit
 * writes something it read; it never changes in between. Here they are found by question and by what they read.
 *
 * The question includes the asker's identity only if the function looked at it. That is known afterwards, so a function's last run
 * predicts its next. A wrong prediction costs a run, never a leak: `fits` decides who may see a result.
 */
import type { Identity } from "../model/call.ts";
import type { Commit } from "../model/commit.ts";
import type { QueryRun } from "../model/run.ts";
import { toFrame, type Frame } from "./frame.ts";
import { openRangeIndex } from "./rangeIndex.ts";

/** Results that looked at the clock are not given to newcomers after this, as in the original. */
const timedResultMs = 17_000;
/** A run that took its thread down costs a second of it; tried again when what it read changed, and not more often than this. */
const fatalRestMs = 10_000;
/** Results that nobody watches are kept for the next who asks; each takes less than 2 KB besides its text. */
const idleCountMax = 10_240;
const idleCharsMax = 8 * 1024 * 1024;
/** Callers may name functions that do not exist; what is remembered by path must not grow for that. */
const pathsMax = 4096;

export type Question = {
  readonly path: string;
  /** JSON text of the arguments object. */
  readonly args: string;
  readonly journal: string | null;
  readonly identity: Identity;
};

/** True at every moment from `sinceTs` until just before `untilTs`; open-ended while no commit has touched it. */
export type QueryResult = {
  readonly run: QueryRun;
  readonly frame: Frame;
  readonly sinceTs: bigint;
  untilTs: bigint | undefined;
};

export type Watcher = { readonly onStale: () => void };

export type Computation = {
  readonly question: Question;
  readonly identityKey: string;
  /** Where it is filed; changes once, when the run shows whether identity matters. */
  key: string;
  result: QueryResult | undefined;
  settledAtMs: number;
  running: Promise<void> | undefined;
  /** Made with the first: most results are kept for who may ask next. */
  watchers: Set<Watcher> | undefined;
};

export type Computations = {
  /** The one that answers this question, or will. Made when there is none. */
  find(question: Question): Computation;
  /** Its result, when that is true and may be shown to who asks. */
  known(question: Question): QueryResult | undefined;
  watch(computation: Computation, watcher: Watcher): void;
  unwatch(computation: Computation, watcher: Watcher): void;
  /** Its run is over, well or not: `running` is cleared, and it goes if nobody waits for it. */
  rest(computation: Computation): void;
  /** `untilTs`: when a commit overtook it while it ran. */
  settle(computation: Computation, run: QueryRun, untilTs: bigint | undefined): void;
  /** Ends every computation that read what was written. Costs what is touched, not what is open. */
  takeIn(commit: Commit): void;
  count(): number;
};

/** `uptimeMs` is a clock that nobody sets. */
export function openComputations(uptimeMs: () => number): Computations {
  const filed = new Map<string, Computation>();
  const readers = openRangeIndex<Computation>();
  /** By path: whether the last run looked at who asked. */
  const usesIdentity = new Map<string, boolean>();
  /** Unwatched results, oldest first. */
  const idle = new Set<Computation>();
  let idleChars = 0;
  /** Those of which nobody knows what they read: whatever changes may be what they need. */
  const unknown = new Set<Computation>();
  /** Those that took their thread down, were touched since, and must rest before they may run again; and when they were touched. */
  const resting = new Map<Computation, bigint>();
  let restTimer: NodeJS.Timeout | undefined;

  function restedMs(computation: Computation): number {
    return uptimeMs() - computation.settledAtMs;
  }

  /** Ends those that have rested, and looks again when the next one has. */
  function wakeRested(): void {
    let leftMs = Infinity;
    for (const [computation, ts] of resting)
      if (restedMs(computation) >= fatalRestMs) outdate(computation, ts);
      else leftMs = Math.min(leftMs, fatalRestMs - restedMs(computation));
    if (leftMs === Infinity || restTimer) return;
    restTimer = setTimeout(() => {
      restTimer = undefined;
      wakeRested();
    }, leftMs).unref();
  }

  /** A commit at `ts` wrote what it read. */
  function touch(computation: Computation, ts: bigint): void {
    if (!computation.result?.run.isFatal) outdate(computation, ts);
    else if (!resting.has(computation)) resting.set(computation, ts);
  }

  function outdate(computation: Computation, ts: bigint): void {
    if (!computation.result) return;
    computation.result.untilTs = ts;
    forget(computation);
    for (const watcher of computation.watchers ?? []) watcher.onStale();
  }

  function find(question: Question): Computation {
    const { identityKey, shared } = keysOf(question);
    const common = filed.get(shared);
    if (common && fits(common, identityKey) && !isDated(common)) return common;
    const own = ownKey(question);
    const personal = filed.get(own);
    if (personal && fits(personal, identityKey) && !isDated(personal)) return personal;
    const key = usesIdentity.get(question.path) === false ? shared : own;
    const made = {
      question,
      identityKey,
      key,
      result: undefined,
      settledAtMs: 0,
      running: undefined,
      watchers: undefined,
    };
    filed.set(key, made);
    return made;
  }

  /** No longer what a newcomer should be told, though those who were told may keep it. */
  function isDated(computation: Computation): boolean {
    const run = computation.result?.run;
    if (run?.usedTime === true && restedMs(computation) > timedResultMs) return true;
    return run?.isFatal === true && restedMs(computation) >= fatalRestMs;
  }

  /** It can no longer be found, by question or by what it read. */
  function forget(computation: Computation): void {
    unknown.delete(computation);
    resting.delete(computation);
    if (computation.result) readers.remove(computation.result.run.reads, computation);
    if (filed.get(computation.key) === computation) filed.delete(computation.key);
    wakeUp(computation);
  }

  function wakeUp(computation: Computation): void {
    if (idle.delete(computation)) idleChars -= sizeOf(computation);
  }

  /** Nobody watches it: a true result is kept a while, anything else goes. */
  function retire(computation: Computation): void {
    if (computation.running) return;
    if (!computation.result || computation.result.untilTs !== undefined || filed.get(computation.key) !== computation)
      return forget(computation);
    wakeUp(computation);
    idle.add(computation);
    idleChars += sizeOf(computation);
    for (const oldest of idle) {
      if (idle.size <= idleCountMax && idleChars <= idleCharsMax) break;
      forget(oldest);
    }
  }

  return {
    find,
    known(question) {
      const { identityKey, shared } = keysOf(question);
      const found = filed.get(shared) ?? filed.get(ownKey(question));
      if (!found?.result || found.result.untilTs !== undefined || !fits(found, identityKey) || isDated(found)) return undefined;
      // Used last, so forgotten last.
      if (idle.delete(found)) idle.add(found);
      return found.result;
    },
    count: () => filed.size,
    watch(computation, watcher) {
      (computation.watchers ??= new Set()).add(watcher);
      wakeUp(computation);
    },
    unwatch(computation, watcher) {
      computation.watchers?.delete(watcher);
      if (computation.watchers?.size === 0) {
        computation.watchers = undefined;
        retire(computation);
      }
    },
    rest(computation) {
      computation.running = undefined;
      if (!computation.watchers) retire(computation);
    },
    settle(computation, run, overtakenTs) {
      // Without a time nobody knows what it saw: true for who waited, nothing for others to share.
      const isUnknown = run.ts === 0n;
      // Overtaken while its thread was ended: to be asked again, but not at once.
      const untilTs = isUnknown || run.isFatal ? undefined : overtakenTs;
      computation.result = { run, frame: toFrame(run), sinceTs: run.ts, untilTs };
      computation.settledAtMs = uptimeMs();
      const { question } = computation;
      if (usesIdentity.has(question.path) || usesIdentity.size < pathsMax) usesIdentity.set(question.path, run.usedIdentity);
      const isFiled = filed.get(computation.key) === computation;
      if (isFiled) filed.delete(computation.key);
      if (isUnknown) unknown.add(computation);
      if (untilTs !== undefined || isUnknown) return;
      readers.add(run.reads, computation);
      if (run.isFatal && overtakenTs !== undefined) {
        touch(computation, overtakenTs);
        wakeRested();
      }
      computation.key = run.usedIdentity ? ownKey(question) : keysOf(question).shared;
      if (isFiled && !filed.has(computation.key)) filed.set(computation.key, computation);
    },
    takeIn({ ts, writes, isGap }) {
      const touched = new Set<Computation>();
      if (isGap) for (const computation of filed.values()) touched.add(computation);
      for (const write of writes) readers.visit(write, (computation) => touched.add(computation));
      for (const computation of unknown) touched.add(computation);
      for (const computation of touched) touch(computation, ts);
      if (resting.size > 0) wakeRested();
    },
  };
}

/** Whether a result, or one being made, may be shown to this identity. */
export function fits({ result, identityKey }: Computation, asker: string): boolean {
  return !result?.run.usedIdentity || identityKey === asker;
}

export function identityKeyOf(identity: Identity): string {
  return JSON.stringify(identity);
}

type Keys = { readonly identityKey: string; readonly shared: string };
const keys = new WeakMap<Question, Keys>();

function keysOf(question: Question): Keys {
  let known = keys.get(question);
  if (!known) {
    const identityKey = identityKeyOf(question.identity);
    const shared = sharedKey(question);
    keys.set(question, (known = { identityKey, shared }));
  }
  return known;
}

/** Not kept: few questions are filed under it. */
function ownKey(question: Question): string {
  const { identityKey, shared } = keysOf(question);
  return `${shared}\0${identityKey}`;
}

/** Admins see internal functions and others do not, so they never share. */
function sharedKey({ path, args, journal, identity }: Question): string {
  return JSON.stringify([path, args, journal, identity.type === "admin"]);
}

function sizeOf({ result }: Computation): number {
  return (result?.frame.members.length ?? 0) + 200 * (result?.run.reads.length ?? 0);
}
