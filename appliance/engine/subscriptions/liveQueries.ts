/**
 * Every open query, computed once for all who ask the same, and known to be true or not at any moment.
 *
 * DESIGN. A Computation is one answer to one question and never changes: it is wanted, then has a result, and ends when a commit writes
 * something it read. Whoever still wants to know then asks again and shares the next Computation. A result carries the span of time in
 * which it is true; a socket may send results together when their spans have a moment in common.
 *
 * The question includes the asker's identity only if the function looked at it. That is known afterwards, so a function's last run
 * predicts its next; a wrong prediction costs a run, never a leak: a result that used an identity is used for that identity alone.
 */
import type { CallRequest, Commit, Core, Identity, QueryRun } from "../core.ts";
import { toFrame, type Frame } from "./frame.ts";
import { openRangeIndex } from "./rangeIndex.ts";
import { openWriteLog } from "./writeLog.ts";

/** Results that looked at the clock are not given to newcomers after this, as in the original. */
const timedResultMs = 17_000;
/** Results that nobody watches are kept for the next who asks. */
const idleCountMax = 512;
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

type Computation = {
  readonly question: Question;
  readonly identityKey: string;
  /** Where it is filed; changes once, when the run shows whether identity matters. */
  key: string;
  result: QueryResult | undefined;
  settledAtMs: number;
  running: Promise<void> | undefined;
  readonly watchers: Set<Watcher>;
};
type Watcher = { readonly onStale: () => void };

export type Subscription = {
  /** The newest result that this asker may see, whether still true or not. */
  result(): QueryResult | undefined;
  isTrue(): boolean;
  /** The same question from somebody else, going on from the same page of results. */
  reask(identity: Identity): Subscription;
  close(): void;
};
/** What only this file may do with a subscription. */
type Inner = {
  isOpen(): boolean;
  question(): Question;
  /** The computation to wait for: the one it has, or the next one when that has ended. */
  rebind(): Computation;
};

export type LiveQueries = {
  /** Every commit up to this time has been taken in. */
  publishedTs(): bigint;
  /** `onStale` is called when the result it last had stops being true. */
  open(question: Question, onStale: () => void): Subscription;
  /** Runs what has no true result, in one batch; what another is running already is awaited. Rejects when the core cannot run. */
  refresh(subscriptions: readonly Subscription[]): Promise<void>;
  /** Runs them all at one snapshot, needed or not: results that are surely true together, in order. */
  runTogether(subscriptions: readonly Subscription[]): Promise<readonly QueryResult[]>;
  /** One answer, true at some moment since it was asked for; from the cache when possible. */
  ask(question: Question): Promise<QueryResult>;
  /** A commit at `ts` was acknowledged to somebody, so everything up to there has been taken in. */
  advance(ts: bigint): void;
  /** Whether the result was true at that time; false also when that is no longer known. */
  wasTrueAt(result: QueryResult, ts: bigint): boolean;
  stats(): { readonly computations: number; readonly subscriptions: number; readonly runs: number };
  close(): void;
};

export type LiveQueriesOptions = { readonly core: Core; readonly nowMs: () => number; readonly requestId: () => string };

export function openLiveQueries({ core, nowMs, requestId }: LiveQueriesOptions): LiveQueries {
  const startTs = core.ts();
  let publishedTs = startTs;
  const filed = new Map<string, Computation>();
  const readers = openRangeIndex<Computation>();
  const log = openWriteLog();
  /** By path: whether the last run looked at who asked. */
  const usesIdentity = new Map<string, boolean>();
  /** Unwatched results, oldest first. */
  const idle = new Set<Computation>();
  let idleChars = 0;
  let runCount = 0;
  let subscriptionCount = 0;
  const awaitingPublish = new Set<{ ts: bigint; done: () => void }>();
  const inners = new WeakMap<Subscription, Inner>();

  const stopListening = core.onCommit(takeIn);

  function takeIn(commit: Commit): void {
    log.add(commit);
    const touched = new Set<Computation>();
    for (const write of commit.writes) readers.visit(write, (computation) => touched.add(computation));
    for (const computation of touched) end(computation, commit.ts);
    advance(commit.ts);
  }

  function advance(ts: bigint): void {
    if (ts > publishedTs) publishedTs = ts;
    for (const waiting of awaitingPublish) if (waiting.ts <= publishedTs) waiting.done();
  }

  function end(computation: Computation, ts: bigint): void {
    const { result } = computation;
    if (!result || result.untilTs !== undefined) return;
    result.untilTs = ts;
    forget(computation);
    for (const watcher of computation.watchers) watcher.onStale();
  }

  /** It can no longer be found, by question or by what it read. */
  function forget(computation: Computation): void {
    if (computation.result) readers.remove(computation.result.run.reads, computation);
    if (filed.get(computation.key) === computation) filed.delete(computation.key);
    if (idle.delete(computation)) idleChars -= sizeOf(computation);
  }

  function find(question: Question, identityKey: string): Computation {
    const shared = sharedKey(question);
    for (const key of [shared, `${shared}\0${identityKey}`]) {
      const found = filed.get(key);
      if (found && fits(found, identityKey) && !isDated(found)) return found;
    }
    const key = usesIdentity.get(question.path) === false ? shared : `${shared}\0${identityKey}`;
    const made: Computation = {
      question,
      identityKey,
      key,
      result: undefined,
      settledAtMs: 0,
      running: undefined,
      watchers: new Set(),
    };
    filed.set(key, made);
    return made;
  }

  function isDated(computation: Computation): boolean {
    return computation.result?.run.usedTime === true && nowMs() - computation.settledAtMs > timedResultMs;
  }

  function watch(computation: Computation, watcher: Watcher): void {
    computation.watchers.add(watcher);
    if (idle.delete(computation)) idleChars -= sizeOf(computation);
  }

  function unwatch(computation: Computation, watcher: Watcher): void {
    computation.watchers.delete(watcher);
    if (computation.watchers.size === 0) retire(computation);
  }

  /** Nobody watches it: a true result is kept a while, anything else goes. */
  function retire(computation: Computation): void {
    if (computation.running) return;
    if (!computation.result || computation.result.untilTs !== undefined || filed.get(computation.key) !== computation)
      return forget(computation);
    idle.add(computation);
    idleChars += sizeOf(computation);
    for (const oldest of idle) {
      if (idle.size <= idleCountMax && idleChars <= idleCharsMax) break;
      forget(oldest);
    }
  }

  function start(computations: readonly Computation[]): Promise<void> {
    const run = runBatch(computations.map(({ question }) => question)).then((results) => {
      for (const [i, computation] of computations.entries()) settle(computation, results[i] as QueryRun);
    });
    const ended = run.finally(() => {
      for (const computation of computations) {
        computation.running = undefined;
        if (computation.watchers.size === 0) retire(computation);
      }
    });
    for (const computation of computations) computation.running = ended;
    return ended;
  }

  async function runBatch(questions: readonly Question[]): Promise<readonly QueryRun[]> {
    runCount += questions.length;
    const runs = await core.queries(
      questions.map((question): CallRequest & { journal: string | null } => ({ ...question, requestId: requestId() })),
    );
    // The snapshot may hold a commit that we have not been told of yet: its writes must be taken in before results are compared.
    await published(runs.reduce((max, { ts }) => (ts > max ? ts : max), 0n));
    return runs;
  }

  async function published(ts: bigint): Promise<void> {
    if (ts <= publishedTs) return;
    await new Promise<void>((resolve) => {
      const waiting = {
        ts,
        done: () => {
          awaitingPublish.delete(waiting);
          // In a later turn: whoever made the commit is answered in this one, and must be before anybody sees it.
          setImmediate(resolve);
        },
      };
      awaitingPublish.add(waiting);
    });
  }

  function settle(computation: Computation, run: QueryRun): void {
    const untilTs = log.firstConflict(run.reads, run.ts);
    computation.result = { run, frame: toFrame(run), sinceTs: run.ts, untilTs };
    computation.settledAtMs = nowMs();
    if (usesIdentity.size < pathsMax) usesIdentity.set(computation.question.path, run.usedIdentity);
    const isFiled = filed.get(computation.key) === computation;
    if (isFiled) filed.delete(computation.key);
    if (untilTs !== undefined) return;
    readers.add(run.reads, computation);
    const shared = sharedKey(computation.question);
    computation.key = run.usedIdentity ? `${shared}\0${computation.identityKey}` : shared;
    if (isFiled && !filed.has(computation.key)) filed.set(computation.key, computation);
  }

  function open(question: Question, onStale: () => void): Subscription {
    const identityKey = identityKeyOf(question.identity);
    const watcher: Watcher = { onStale };
    let journal = question.journal;
    let isOpen = true;
    let computation = find(question, identityKey);
    watch(computation, watcher);
    subscriptionCount++;
    const result = (): QueryResult | undefined => (fits(computation, identityKey) ? computation.result : undefined);
    const nextJournal = (): string | null => {
      const run = result()?.run;
      // A page that failed keeps the bounds it had.
      return run?.result.ok ? run.journal : journal;
    };
    const subscription: Subscription = {
      result,
      isTrue: () => {
        const seen = result();
        return seen !== undefined && seen.untilTs === undefined;
      },
      reask: (identity) => open({ ...question, identity, journal: nextJournal() }, onStale),
      close() {
        if (!isOpen) return;
        isOpen = false;
        subscriptionCount--;
        unwatch(computation, watcher);
      },
    };
    inners.set(subscription, {
      isOpen: () => isOpen,
      question: () => ({ ...question, journal: nextJournal() }),
      rebind: () => {
        const hasEnded = computation.result !== undefined && !subscription.isTrue();
        if (hasEnded) {
          journal = nextJournal();
          unwatch(computation, watcher);
          computation = find({ ...question, journal }, identityKey);
          watch(computation, watcher);
        }
        return computation;
      },
    });
    return subscription;
  }

  function get(subscription: Subscription): Inner {
    const inner = inners.get(subscription);
    if (!inner) throw new TypeError("a subscription of another engine");
    return inner;
  }

  async function refresh(subscriptions: readonly Subscription[]): Promise<void> {
    let wanting = subscriptions.filter((one) => !one.isTrue() && get(one).isOpen());
    // A second turn when the first showed that identity matters after all and the result was another's.
    for (let turn = 0; wanting.length > 0 && turn < 2; turn++) {
      const waits = new Set<Promise<void>>();
      const mine = new Set<Computation>();
      for (const one of wanting) {
        const computation = get(one).rebind();
        if (computation.running) waits.add(computation.running);
        else if (!computation.result) mine.add(computation);
      }
      if (mine.size > 0) waits.add(start([...mine]));
      await Promise.all(waits);
      wanting = wanting.filter((one) => one.result() === undefined && get(one).isOpen());
    }
  }

  async function runTogether(subscriptions: readonly Subscription[]): Promise<readonly QueryResult[]> {
    const runs = await runBatch(subscriptions.map((one) => get(one).question()));
    return runs.map((run) => ({
      run,
      frame: toFrame(run),
      sinceTs: run.ts,
      untilTs: log.firstConflict(run.reads, run.ts),
    }));
  }

  return {
    publishedTs: () => publishedTs,
    open,
    refresh,
    runTogether,
    advance,
    async ask(question) {
      const askedTs = publishedTs;
      const subscription = open(question, () => undefined);
      try {
        // A run that began before we asked may be too old; the one after it cannot be.
        for (;;) {
          await refresh([subscription]);
          const result = subscription.result();
          if (result && (result.untilTs === undefined || result.untilTs > askedTs)) return result;
        }
      } finally {
        subscription.close();
      }
    },
    wasTrueAt(result, ts) {
      if (ts < startTs || ts > publishedTs) return false;
      if (ts < result.sinceTs) {
        const conflictTs = log.firstConflict(result.run.reads, ts);
        return conflictTs === undefined || conflictTs > result.sinceTs;
      }
      return result.untilTs === undefined || ts < result.untilTs;
    },
    stats: () => ({ computations: filed.size, subscriptions: subscriptionCount, runs: runCount }),
    close() {
      stopListening();
      for (const waiting of awaitingPublish) waiting.done();
    },
  };
}

/** Whether a result, or one being made, may be shown to this identity. */
function fits({ result, identityKey }: Computation, asker: string): boolean {
  return !result?.run.usedIdentity || identityKey === asker;
}

/** Admins see internal functions and others do not, so they never share. */
function sharedKey({ path, args, journal, identity }: Question): string {
  return JSON.stringify([path, args, journal, identity.type === "admin"]);
}

function identityKeyOf(identity: Identity): string {
  return JSON.stringify(identity);
}

function sizeOf({ result }: Computation): number {
  return (result?.frame.members.length ?? 0) + 200 * (result?.run.reads.length ?? 0);
}
