/**
 * Every open query, run once for all who ask the same, and known to be true or not at any moment. A result carries the span of time in
 * which it is true; results may be shown together when their spans have a moment in common.
 */
import type { Core } from "../core.ts";
import type { Identity } from "../model/call.ts";
import type { Commit } from "../model/commit.ts";
import type { QueryRun } from "../model/run.ts";
import {
  fits,
  identityKeyOf,
  openComputations,
  type Computation,
  type Question,
  type QueryResult,
  type Watcher,
} from "./computations.ts";
import { toFrame } from "./frame.ts";
import { openWriteLog } from "./writeLog.ts";

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
  /** A commit at `ts` was acknowledged to somebody, so everything up to there has been taken in. */
  advance(ts: bigint): void;
  /** `onStale` is called when the result it last had stops being true. */
  open(question: Question, onStale: () => void): Subscription;
  /** Runs what has no true result, in one batch; what another is running already is awaited. Rejects when the core cannot run. */
  refresh(subscriptions: readonly Subscription[]): Promise<void>;
  /**
   * The same, but does not look whether one more run is needed because identity mattered after all; undefined when there is nothing to
   * wait for.
   */
  begin(subscriptions: readonly Subscription[]): Promise<unknown> | undefined;
  /** Runs them all at one snapshot, needed or not: results that are surely true together, in order. */
  runTogether(subscriptions: readonly Subscription[]): Promise<readonly QueryResult[]>;
  /** One answer, true at some moment since it was asked for; from the cache when possible. */
  ask(question: Question): Promise<QueryResult>;
  /** Whether the result was true at that time; false also when that is no longer known. */
  wasTrueAt(result: QueryResult, ts: bigint): boolean;
  stats(): { readonly computations: number; readonly subscriptions: number; readonly runs: number };
  close(): void;
};

export type LiveQueriesOptions = {
  readonly core: Core;
  /** A clock that nobody sets; the process's own when left out. */
  readonly uptimeMs?: () => number;
  readonly requestId: () => string;
  /** A question that needed no run, because its answer was known. */
  readonly onKnown?: (question: Question) => void;
};

export function openLiveQueries({ core, uptimeMs, requestId, onKnown }: LiveQueriesOptions): LiveQueries {
  const startTs = core.ts();
  const computations = openComputations(uptimeMs ?? (() => performance.now()));
  const log = openWriteLog();
  const inners = new WeakMap<Subscription, Inner>();
  const awaitingPublish = new Set<{ readonly ts: bigint; readonly done: () => void }>();
  let publishedTs = startTs;
  /** Set during the turn in which a commit is published, until its end. */
  let commitTurn: Promise<void> | undefined;
  let runCount = 0;
  let subscriptionCount = 0;

  const stopListening = core.onCommit((commit: Commit) => {
    commitTurn ??= new Promise((resolve) =>
      setImmediate(() => {
        commitTurn = undefined;
        resolve();
      }),
    );
    log.add(commit);
    computations.takeIn(commit);
    advance(commit.ts);
  });

  function advance(ts: bigint): void {
    if (ts > publishedTs) publishedTs = ts;
    for (const waiting of awaitingPublish) if (waiting.ts <= publishedTs) waiting.done();
  }

  async function published(ts: bigint): Promise<void> {
    if (ts <= publishedTs) return;
    await new Promise<void>((resolve) => {
      const waiting = {
        ts,
        done: () => {
          awaitingPublish.delete(waiting);
          resolve();
        },
      };
      awaitingPublish.add(waiting);
    });
  }

  async function run(questions: readonly Question[]): Promise<readonly QueryRun[]> {
    runCount += questions.length;
    const runs = await core.queries(questions.map((question) => ({ ...question, requestId: requestId() })));
    // The snapshot may hold a commit that we have not been told of yet: its writes must be taken in before results are compared.
    await published(runs.reduce((max, { ts }) => (ts > max ? ts : max), 0n));
    // Whoever made that commit is answered in this turn, and must be before anybody is shown it.
    await commitTurn;
    return runs;
  }

  function start(wanted: readonly Computation[]): Promise<void> {
    const running = runInto(wanted);
    for (const computation of wanted) computation.running = running;
    return running;
  }

  async function runInto(wanted: readonly Computation[]): Promise<void> {
    try {
      const runs = await run(wanted.map(({ question }) => question));
      for (const [i, computation] of wanted.entries()) {
        const one = runs[i] as QueryRun;
        computations.settle(computation, one, log.firstConflict(one.reads, one.ts));
      }
    } finally {
      for (const computation of wanted) computations.rest(computation);
    }
  }

  function open(question: Question, onStale: () => void): Subscription {
    const identityKey = identityKeyOf(question.identity);
    const watcher: Watcher = { onStale };
    let { journal } = question;
    let isOpen = true;
    /** The question with the journal it was last asked with. */
    let asked = question;
    let computation = computations.find(question);
    computations.watch(computation, watcher);
    subscriptionCount++;
    const result = (): QueryResult | undefined => (fits(computation, identityKey) ? computation.result : undefined);
    const nextJournal = (): string | null => {
      const last = result()?.run;
      // A page that failed keeps the bounds it had.
      return last?.result.ok ? last.journal : journal;
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
        computations.unwatch(computation, watcher);
      },
    };
    if (subscription.isTrue() && result()?.run.result.ok) onKnown?.(question);
    inners.set(subscription, {
      isOpen: () => isOpen,
      question: () => ({ ...question, journal: nextJournal() }),
      rebind: () => {
        const hasEnded = computation.result !== undefined && !subscription.isTrue();
        if (hasEnded) {
          journal = nextJournal();
          computations.unwatch(computation, watcher);
          // The same object when it is the same question: what it is filed under was worked out once.
          if (journal !== asked.journal) asked = { ...question, journal };
          computation = computations.find(asked);
          computations.watch(computation, watcher);
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

  /** Runs those that need it, unless somebody else does already. */
  function runWanting(wanting: readonly Subscription[]): Promise<unknown> | undefined {
    const waits = new Set<Promise<void>>();
    const mine = new Set<Computation>();
    for (const one of wanting) {
      const computation = get(one).rebind();
      if (computation.running) waits.add(computation.running);
      else if (!computation.result) mine.add(computation);
    }
    if (mine.size > 0) waits.add(start([...mine]));
    const [first] = waits;
    return waits.size > 1 ? Promise.all(waits) : first;
  }

  function begin(subscriptions: readonly Subscription[]): Promise<unknown> | undefined {
    const wanting = subscriptions.filter((one) => !one.isTrue() && get(one).isOpen());
    return wanting.length === 0 ? undefined : runWanting(wanting);
  }

  async function refresh(subscriptions: readonly Subscription[]): Promise<void> {
    let wanting = subscriptions.filter((one) => !one.isTrue() && get(one).isOpen());
    // A second turn when the first showed that identity matters after all and the result was another's.
    for (let turn = 0; wanting.length > 0 && turn < 2; turn++) {
      await runWanting(wanting);
      wanting = wanting.filter((one) => one.result() === undefined && get(one).isOpen());
    }
  }

  return {
    publishedTs: () => publishedTs,
    advance,
    open,
    begin,
    refresh,
    async runTogether(subscriptions) {
      const runs = await run(subscriptions.map((one) => get(one).question()));
      return runs.map((one) => ({
        run: one,
        frame: toFrame(one),
        sinceTs: one.ts,
        untilTs: log.firstConflict(one.reads, one.ts),
      }));
    },
    async ask(question) {
      const askedTs = publishedTs;
      const known = computations.known(question);
      if (known) {
        if (known.run.result.ok) onKnown?.(question);
        return known;
      }
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
      if (ts >= result.sinceTs) return result.untilTs === undefined || ts < result.untilTs;
      const conflictTs = log.firstConflict(result.run.reads, ts);
      return conflictTs === undefined || conflictTs > result.sinceTs;
    },
    stats: () => ({ computations: computations.count(), subscriptions: subscriptionCount, runs: runCount }),
    close() {
      stopListening();
      for (const waiting of awaitingPublish) waiting.done();
    },
  };
}
