/**
 * One client's conversation: what it asked to see, who it is, what it was told.
 *
 * DESIGN. Messages are taken in one by one, in order; checking a token may take a while and what follows waits for it. Mutations then
 * run in a lane of their own, actions side by side, and one transition at a time is made and sent: it says "at this moment, all you asked
 * for looked like this". A mutation is answered before any transition that shows it: the core resolves a mutation in the turn that
 * publishes its commit, and a transition is only begun in a later turn (setImmediate) or when results come in, which is later still.
 */
import type { Asker, Authenticator } from "../auth/authenticator.ts";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";
import type { Core } from "../core.ts";
import type { RequestClient } from "../model/call.ts";
import type { MutationRun } from "../model/run.ts";
import type { QueryResult } from "../subscriptions/computations.ts";
import type { LiveQueries, Subscription } from "../subscriptions/liveQueries.ts";
import { openLane } from "./lane.ts";
import { sharedMoment } from "./moment.ts";
import { parseClientMessage, violation, type ClientMessage, type Modification, type Version } from "./protocol.ts";
import { actionResponse, authError, fatalError, mutationResponse, transitionMessages, type Change } from "./serverMessage.ts";

/** As the original: more waiting mutations than this on one socket mean that the client should back off. */
const mutationsWaitingMax = 1000;
const actionsMax = 1000;
/** Messages not yet looked at; reached only while a token check hangs. */
const messagesWaitingMax = 4096;
/** A client that reads slowly gets fewer, fuller transitions instead of a queue of stale ones. */
const unsentTransitionsMax = 2;
/** After this many results overtaken by writes, everything is run at one snapshot. */
const patienceTurns = 3;

/** WebSocket close codes. */
const closeTryAgain = 1013;
const closePolicy = 1008;

export type Wire = {
  /** `onFlushed` is called once the text has left for the network, or never will. */
  send(text: string, onFlushed?: () => void): void;
  /** What is sent until the returned function is called may leave at once, as a whole. */
  together?(): () => void;
  /** `reason` begins with a word that the client derives its waiting time from. */
  close(code: number, reason: string): void;
};

export type SessionParts = {
  readonly core: Core;
  readonly queries: LiveQueries;
  readonly auth: Authenticator;
  readonly wire: Wire;
  readonly nowMs: () => number;
  readonly requestId: () => string;
  readonly log: (line: string) => void;
  /** What functions may learn of whoever is at the other end. */
  readonly client?: (asker: Asker) => RequestClient;
};

export type Session = {
  receive(text: string): void;
  /** A message that cannot even be read as text. */
  reject(why: string): void;
  /** The socket is gone. What runs goes on; what has not begun is forgotten, because the client will send it again. */
  end(): void;
};

type Watched = { readonly queryId: number; subscription: Subscription; sent: string | undefined; isRemoved: boolean };

/** What is looked at for a transition; another identity may ask the same anew meanwhile. */
type Asked = { readonly one: Watched; readonly subscription: Subscription };
type Shown = Asked & { readonly result: QueryResult | undefined };
/** What a transition brings the client to, but for the time. */
type Target = { readonly querySet: number; readonly identity: number; readonly gone: readonly number[] };

const nobody: Asker = { identity: { type: "none" }, expiresAtMs: Number.POSITIVE_INFINITY };

export function openSession({ core, queries, auth, wire, nowMs, requestId, log, client }: SessionParts): Session {
  let sessionId: string | undefined;
  let clockSkewMs: number | undefined;
  let asker = nobody;
  let isEnded = false;

  /** What the client has been told, and what it should be told. */
  let told: Version = { querySet: 0, identity: 0, ts: 0n };
  let querySetVersion = 0;
  let identityVersion = 0;
  /** No transition may show a time before this one. */
  let floorTs = 0n;
  /** A mutation up to this time was answered and waits to be seen. */
  let owedTs: bigint | undefined;
  const watched = new Map<number, Watched>();
  /** Those of them whose newest result is untrue or was not shown. The others are true and known, and need not be looked at. */
  const due = new Set<Watched>();
  let removed: number[] = [];

  let isWoken = false;
  let isTransitioning = false;
  let unsentTransitions = 0;
  let runningActions = 0;

  const mutations = openLane(mutationsWaitingMax, fail);
  const inbox = openLane(messagesWaitingMax, (error) => {
    if (isNikaError(error) && error.code === "invalid") refuse(error.message);
    else fail(error);
  });

  function wake(): void {
    if (isWoken || isEnded) return;
    isWoken = true;
    setImmediate(() => {
      isWoken = false;
      try {
        transitionWhileDue();
      } catch (error) {
        fail(error);
      }
    });
  }

  function markDue(one: Watched): void {
    due.add(one);
    wake();
  }

  function stop(code: number, reason: string): void {
    if (isEnded) return;
    end();
    wire.close(code, reason);
  }

  /** What broke is ours, so the client shall come back and try again. */
  function fail(error: unknown): void {
    if (isEnded) return;
    log(`sync: ${explained(error)}`);
    stop(closeTryAgain, "InternalServerError");
  }

  function refuse(why: string): void {
    if (isEnded) return;
    wire.send(fatalError(why));
    stop(closePolicy, "ProtocolError");
  }

  function refuseCredential(why: string, isAttempt: boolean): void {
    wire.send(authError(why, identityVersion, isAttempt));
    stop(closePolicy, "AuthError");
  }

  /** True when it may go on; otherwise the client was told to bring a new token. */
  function isStillKnown(): boolean {
    if (asker.expiresAtMs > nowMs()) return true;
    if (!isEnded) refuseCredential("The token has expired.", false);
    return false;
  }

  async function take(text: string): Promise<void> {
    if (isEnded) return;
    const message = parseClientMessage(text);
    if (message.type === "Connect") return connect(message);
    if (sessionId === undefined) throw violation("The first message must be Connect.");
    switch (message.type) {
      case "Authenticate":
        return authenticate(message);
      case "ModifyQuerySet":
        return modifyQuerySet(message);
      case "Mutation":
        return pushMutation(message, sessionId);
      case "Action":
        return startAction(message);
      case "Event":
        return undefined;
    }
  }

  function connect(message: ClientMessage & { type: "Connect" }): void {
    if (sessionId !== undefined) throw violation("Connect was sent twice.");
    sessionId = message.sessionId;
    if (Number.isFinite(message.clientTsMs)) clockSkewMs = Math.round(message.clientTsMs - nowMs());
    if (message.maxObservedTs !== undefined) core.observe(message.maxObservedTs);
    floorTs = queries.publishedTs();
  }

  async function authenticate({ baseVersion, credential }: ClientMessage & { type: "Authenticate" }): Promise<void> {
    if (baseVersion !== identityVersion) throw violation("Authenticate was based on another identity version.");
    let found: Asker;
    try {
      found = await auth.identify(credential);
    } catch (error) {
      if (!isNikaError(error) || error.code !== "denied")
        throw new NikaError("unavailable", "A token was not checked.", { cause: error });
      if (!isEnded) refuseCredential(error.message, true);
      return;
    }
    if (isEnded) return;
    asker = found;
    identityVersion++;
    for (const one of watched.values()) {
      const before = one.subscription;
      one.subscription = before.reask(asker.identity);
      before.close();
      due.add(one);
    }
    wake();
  }

  function modifyQuerySet(message: ClientMessage & { type: "ModifyQuerySet" }): void {
    if (message.baseVersion !== querySetVersion || message.newVersion <= message.baseVersion)
      throw violation("ModifyQuerySet was based on another query set version.");
    if (!isStillKnown()) return;
    for (const modification of message.modifications) modify(modification);
    querySetVersion = message.newVersion;
    wake();
  }

  function modify(modification: Modification): void {
    const { queryId } = modification;
    const present = watched.get(queryId);
    if (modification.type === "Remove") {
      if (!present) throw violation("A query was removed that had not been added.");
      present.isRemoved = true;
      present.subscription.close();
      watched.delete(queryId);
      due.delete(present);
      removed.push(queryId);
      return;
    }
    if (present) throw violation("A query id was used twice.");
    const { path, args, journal } = modification;
    const subscription = queries.open({ path, args, journal, identity: asker.identity }, () => markDue(one));
    const one: Watched = { queryId, subscription, sent: undefined, isRemoved: false };
    watched.set(queryId, one);
    due.add(one);
  }

  function pushMutation(message: ClientMessage & { type: "Mutation" | "Action" }, session: string): void {
    if (!isStillKnown()) return;
    const who = { identity: asker.identity, client: client?.(asker) };
    const { path, args, requestId: number } = message;
    const isTaken = mutations.push(async () => {
      if (isEnded) return;
      const run = await core.mutation({
        path,
        args,
        ...who,
        requestId: requestId(),
        session: { id: session, requestId: number },
      });
      answerMutation(number, run);
    });
    if (!isTaken) stop(closeTryAgain, "TooManyConcurrentRequests");
  }

  function answerMutation(number: number, run: MutationRun): void {
    if (run.ts !== null) queries.advance(run.ts);
    if (isEnded) return;
    if (!run.result.ok) return wire.send(mutationResponse(number, run));
    // Unless queries must run first, its transition comes in the next turn: one way to the network for both.
    const release = wire.together?.();
    wire.send(mutationResponse(number, run));
    const ts = run.ts ?? 0n;
    if (owedTs === undefined || ts > owedTs) owedTs = ts;
    wake();
    if (release) setImmediate(release);
  }

  function startAction({ path, args, requestId: number }: ClientMessage & { type: "Mutation" | "Action" }): void {
    if (!isStillKnown()) return;
    if (runningActions >= actionsMax) return stop(closeTryAgain, "TooManyConcurrentRequests");
    runningActions++;
    const { identity } = asker;
    core
      .action({ path, args, identity, client: client?.(asker), requestId: requestId() })
      .then((run) => {
        if (!isEnded) wire.send(actionResponse(number, run));
      }, fail)
      .finally(() => runningActions--);
  }

  function isDue(): boolean {
    return due.size > 0 || owedTs !== undefined || querySetVersion !== told.querySet || identityVersion !== told.identity;
  }

  function mayTransition(): boolean {
    return isDue() && !isEnded && unsentTransitions < unsentTransitionsMax;
  }

  function transitionWhileDue(): void {
    if (isTransitioning || !mayTransition() || !isStillKnown()) return;
    const target = takeTarget();
    const asked = askedNow();
    const runs = asked.length === 0 ? undefined : queries.begin(asked.map(({ subscription }) => subscription));
    // Most transitions are done with one look, and thousands of sockets may be waiting for the same run: without promises of their own.
    if (!runs) return finish(target, asked);
    isTransitioning = true;
    runs.then(
      () => {
        isTransitioning = false;
        try {
          finish(target, asked);
        } catch (error) {
          fail(error);
        }
      },
      (error: unknown) => {
        isTransitioning = false;
        fail(error);
      },
    );
  }

  /** Sends what was asked for if it can be shown now, and otherwise once it can. */
  function finish(target: Target, asked: readonly Asked[]): void {
    if (isEnded) return;
    const { shown, ts } = lookAt(asked);
    if (ts === undefined || shown.some(({ one, result }) => !result && !one.isRemoved)) {
      isTransitioning = true;
      catchUp(target)
        .catch(fail)
        .finally(() => {
          isTransitioning = false;
          if (mayTransition()) wake();
        });
      return;
    }
    sendTransition(target, shown, ts);
    if (mayTransition()) wake();
  }

  function takeTarget(): Target {
    const gone = removed;
    removed = [];
    return { querySet: querySetVersion, identity: identityVersion, gone };
  }

  function sendTransition({ querySet, identity, gone }: Target, shown: readonly Shown[], ts: bigint): void {
    const changes: Change[] = gone.map((queryId) => ({ type: "removed", queryId }));
    for (const { one, subscription, result } of shown) {
      if (!result || one.isRemoved) continue;
      // Whether it is true at this moment is one thing, whether it still is another; and a result that was made for this moment only
      // says nothing of the next.
      const isKnown = one.subscription === subscription && subscription.result() === result;
      if (isKnown && result.untilTs === undefined) due.delete(one);
      if (result.frame.members === one.sent) continue;
      one.sent = result.frame.members;
      changes.push({ type: "changed", queryId: one.queryId, frame: result.frame });
    }
    send({ querySet, identity, ts }, changes);
  }

  function askedNow(): readonly Asked[] {
    return Array.from(due, (one) => ({ one, subscription: one.subscription }));
  }

  /** Their results, and a moment at which all of them are true if there is one. */
  function lookAt(asked: readonly Asked[]): { readonly shown: readonly Shown[]; readonly ts: bigint | undefined } {
    const shown = asked.map(({ one, subscription }): Shown => ({ one, subscription, result: subscription.result() }));
    const results = shown.flatMap(({ one, result }) => (result && !one.isRemoved ? [result] : []));
    // What the client has been shown and became untrue meanwhile bounds the moment too.
    if (due.size > asked.length || shown.some(({ one }) => !due.has(one))) {
      const looked = new Set(asked.map(({ one }) => one));
      for (const one of due) {
        const overtaken = one.sent !== undefined && !looked.has(one) ? one.subscription.result() : undefined;
        if (overtaken) results.push(overtaken);
      }
    }
    return { shown, ts: momentOf(results) };
  }

  /** Asks until all results share a moment; the last resort, one snapshot for all, always has one. */
  async function catchUp(early: Target): Promise<void> {
    const late = takeTarget();
    const target = { ...late, gone: [...early.gone, ...late.gone] };
    const asked = askedNow();
    const all = Array.from(watched.values(), (one) => ({ one, subscription: one.subscription }));
    for (let turn = 1; turn < patienceTurns; turn++) {
      await queries.refresh(asked.map(({ subscription }) => subscription));
      if (isEnded) return;
      const { shown, ts } = lookAt(asked);
      if (ts !== undefined) return sendTransition(target, shown, ts);
    }
    const results = await queries.runTogether(all.map(({ subscription }) => subscription));
    if (isEnded) return;
    const shown = all.map((one, i) => ({ ...one, result: results[i] }));
    sendTransition(target, shown, momentOf(results) ?? queries.publishedTs());
  }

  function momentOf(results: readonly QueryResult[]): bigint | undefined {
    return sharedMoment(results, { floorTs: told.ts > floorTs ? told.ts : floorTs, publishedTs: queries.publishedTs() });
  }

  function send(end: Version, changes: readonly Change[]): void {
    // Nothing changed in what it sees and nothing waits to be confirmed: silence is the right answer.
    const isNews = changes.length > 0 || owedTs !== undefined || end.querySet !== told.querySet || end.identity !== told.identity;
    if (!isNews) return;
    const messages = transitionMessages({ start: told, end, changes, clockSkewMs, nowMs: nowMs() });
    told = end;
    if (owedTs !== undefined && owedTs <= end.ts) owedTs = undefined;
    unsentTransitions++;
    for (const [i, text] of messages.entries()) wire.send(text, i === messages.length - 1 ? flushed : undefined);
  }

  function flushed(): void {
    unsentTransitions--;
    if (isDue()) wake();
  }

  function end(): void {
    if (isEnded) return;
    isEnded = true;
    mutations.clear();
    inbox.clear();
    for (const { subscription } of watched.values()) subscription.close();
    watched.clear();
    due.clear();
  }

  return {
    receive(text) {
      if (!inbox.push(() => take(text))) stop(closeTryAgain, "TooManyConcurrentRequests");
    },
    reject: refuse,
    end,
  };
}

function explained(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `; cause: ${explained(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
