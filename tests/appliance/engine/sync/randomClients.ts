/**
 * The sync property: random clients write, watch, lose their sockets and their engine, and everything that any of them ever saw was a
 * prefix of the history that was committed. What each saw is recorded and held against the history when all is quiet.
 */
import { setTimeout as pause } from "node:timers/promises";
import { join } from "node:path";
import { BaseConvexClient, ConvexHttpClient, type QueryToken } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { ConvexError, convexToJson, jsonToConvex, type JSONValue, type Value } from "convex/values";
import { WebSocket } from "ws";
import { ownEngine, type OwnEngine } from "../ownEngine.ts";

export type Round = {
  readonly seed: number;
  /** Until clients stop writing. */
  readonly ms: number;
  readonly rawClients: number;
  readonly convexClients: number;
  /** The engine is killed so often, at random moments. */
  readonly kills: number;
};
export type Seen = {
  readonly problems: readonly string[];
  readonly entries: number;
  readonly states: number;
  readonly sockets: number;
};

type Entry = { readonly at: number; readonly who: string; readonly n: number; readonly cell: string; readonly ts: bigint };
type Question = { readonly path: string; readonly args: Readonly<Record<string, Value>> };
/** A value, or an error's data. */
type Answer = { readonly value: Value } | { readonly error: Value };
/** Everything a client saw at once. `ts` is missing where the client's library keeps it to itself. */
type State = {
  readonly who: string;
  readonly ts: bigint | undefined;
  readonly answers: readonly (readonly [Question, Answer])[];
};
/** What a mutation was answered with. */
type Acknowledged = { readonly who: string; readonly n: number; readonly at: number; readonly ts: bigint | undefined };

type Record_ = {
  readonly states: State[];
  readonly acknowledged: Acknowledged[];
  readonly problems: string[];
  /** Mutations that were sent, by who sent them: all must be there in the end. */
  readonly sent: Map<string, number>;
  readonly scheduled: Map<string, number[]>;
  sockets: number;
};
type Dice = { number(below: number): number; pick<T>(list: readonly T[]): T };
type Client = {
  /** One random thing. */
  act(): void;
  /** Breaks the socket that it has. */
  cut(): void;
  /** Resolves when all its mutations are answered and seen. */
  quiet(): Promise<void>;
  close(): Promise<void>;
};

const slice = makeFunctionReference<"query", { from: number }, Entry[]>("history:slice");
const patienceMs = 60_000;

export async function syncRound(round: Round): Promise<Seen> {
  const dice = diceOf(round.seed);
  const record: Record_ = { states: [], acknowledged: [], problems: [], sent: new Map(), scheduled: new Map(), sockets: 0 };
  await using engine = await ownEngine({ functionsDir: join(import.meta.dirname, "app") });
  const names = Array.from({ length: round.rawClients + round.convexClients }, (_, at) => `client${at}`);
  const clients = names.map((who, at) =>
    (at < round.rawClients ? rawClient : convexClient)({ engine, who, names, dice, record }),
  );
  const endsAt = performance.now() + round.ms;
  const killing = kill(engine, round, dice);
  while (performance.now() < endsAt) {
    for (let turn = dice.number(4); turn >= 0; turn--) dice.pick(clients).act();
    if (dice.number(60) === 0) dice.pick(clients).cut();
    await pause(dice.number(12));
  }
  await killing;
  const isQuiet = await Promise.race([
    Promise.all(clients.map((one) => one.quiet())).then(() => true),
    pause(patienceMs, false, { ref: false }),
  ]);
  if (!isQuiet) record.problems.push("mutations are unanswered a minute after the last disturbance");
  const history = await historyOf(engine, record);
  await Promise.all(clients.map((one) => one.close()));
  check(history, record);
  return { problems: record.problems, entries: history.length, states: record.states.length, sockets: record.sockets };
}

async function kill(engine: OwnEngine, { kills, ms }: Round, dice: Dice): Promise<void> {
  for (let at = 0; at < kills; at++) {
    await pause(ms / (kills + 1) / 2 + dice.number(ms / (kills + 1) / 2));
    await engine.kill();
    await engine.start();
  }
}

/** All entries, once what was scheduled is done. */
async function historyOf(engine: OwnEngine, record: Record_): Promise<readonly Entry[]> {
  const http = new ConvexHttpClient(engine.url, { logger: false });
  const scheduled = [...record.scheduled.values()].reduce((sum, list) => sum + list.length, 0);
  for (let left = 200; ; left--) {
    const history: Entry[] = [];
    for (;;) {
      const part = await http.query(slice, { from: history.length + 1 });
      if (part.length === 0) break;
      history.push(...part);
    }
    if (history.filter(({ who }) => who.endsWith(" later")).length >= scheduled || left === 0) return history;
    await pause(50);
  }
}

function check(history: readonly Entry[], record: Record_): void {
  const { problems } = record;
  history.forEach(({ at, ts }, index) => {
    if (at !== index + 1) problems.push(`entry ${index + 1} of the history calls itself ${at}`);
    if (index > 0 && ts <= (history[index - 1] as Entry).ts) problems.push(`time does not go on from entry ${index} to the next`);
  });
  for (const [who, count] of record.sent) {
    const numbers = history.filter((one) => one.who === who).map(({ n }) => n);
    if (numbers.length !== count || numbers.some((n, at) => n !== at))
      problems.push(`${who} sent 0 to ${count - 1}, but the history has ${JSON.stringify(numbers)}`);
  }
  for (const [who, wanted] of record.scheduled) {
    const numbers = history.filter((one) => one.who === who).map(({ n }) => n);
    if (JSON.stringify(numbers.toSorted((a, b) => a - b)) !== JSON.stringify(wanted))
      problems.push(`${who} should be ${JSON.stringify(wanted)} in any order, but is ${JSON.stringify(numbers)}`);
  }
  for (const { who, n, at, ts } of record.acknowledged) {
    const entry = history[at - 1];
    if (entry?.who !== who || entry.n !== n)
      problems.push(`${who}'s mutation ${n} was answered with ${at}, where another stands`);
    else if (ts !== undefined && ts !== entry.ts)
      problems.push(`${who}'s mutation ${n} was answered with another time than its own`);
  }
  const lastSeen = new Map<string, number>();
  for (const state of record.states) {
    const length = lengthOf(history, state);
    const before = lastSeen.get(state.who) ?? 0;
    if (length === undefined) continue;
    if (length < before) problems.push(`${state.who} was taken back from ${before} to ${length}`);
    lastSeen.set(state.who, Math.max(before, length));
    for (const [question, answer] of state.answers) {
      const wanted = answerOf(history.slice(0, length), question);
      if (textOf(wanted) !== textOf(answer))
        problems.push(
          `${state.who} at ${length}: ${question.path}(${JSON.stringify(question.args)}) was ${textOf(answer)}, not ${textOf(wanted)}`,
        );
    }
  }
}

/** Which prefix a state must be: by its time, or else by what it says of the length itself. */
function lengthOf(history: readonly Entry[], { ts, answers }: State): number | undefined {
  if (ts !== undefined) return history.filter((one) => one.ts <= ts).length;
  const said = answers.find(([{ path }]) => path === "history:length")?.[1];
  return said && "value" in said ? (said.value as number) : undefined;
}

/** What the query says after this prefix of the history. */
function answerOf(prefix: readonly Entry[], { path, args }: Question): Answer {
  switch (path) {
    case "history:length":
      return { value: prefix.length };
    case "history:byWho":
      return { value: prefix.filter(({ who }) => who === args["who"]).map(({ n }) => n) };
    case "history:window":
      return {
        value: prefix
          .filter(({ at }) => at >= (args["from"] as number) && at < (args["to"] as number))
          .map(({ at, who, n }) => [at, who, n]),
      };
    case "history:recent":
      return {
        value: prefix
          .slice(-(args["count"] as number))
          .map(({ at }) => at)
          .toReversed(),
      };
    case "history:cell":
      return { value: prefix.findLast(({ cell }) => cell === args["name"])?.at ?? 0 };
    case "history:third":
      return prefix.length % 3 === 0 ? { error: "third" } : { value: prefix.length };
    default:
      throw new Error(path);
  }
}

function textOf(answer: Answer): string {
  return JSON.stringify("value" in answer ? { value: convexToJson(answer.value) } : { error: convexToJson(answer.error) });
}

type Place = {
  readonly engine: OwnEngine;
  readonly who: string;
  readonly names: readonly string[];
  readonly dice: Dice;
  readonly record: Record_;
};
type Order = { readonly path: string; readonly args: { readonly who: string; readonly n: number; readonly cell: string } };

const cells = ["a", "b", "c", "d"];

function randomQuestion({ names, dice }: Place): Question {
  const from = dice.number(400);
  return dice.pick<Question>([
    { path: "history:byWho", args: { who: dice.pick(names) } },
    { path: "history:byWho", args: { who: `${dice.pick(names)} later` } },
    { path: "history:window", args: { from, to: from + dice.number(20) } },
    { path: "history:recent", args: { count: 1 + dice.number(5) } },
    { path: "history:cell", args: { name: dice.pick(cells) } },
    { path: "history:third", args: {} },
  ]);
}

/** The next mutation, noted as sent: most append, some append a second time later, some fail and leave nothing. */
function nextOrder({ who, dice, record }: Place): Order {
  const kind = dice.pick(["append", "append", "append", "appendSoon", "refuse"]);
  const n = record.sent.get(who) ?? 0;
  if (kind !== "refuse") record.sent.set(who, n + 1);
  if (kind === "appendSoon") {
    const later = `${who} later`;
    record.scheduled.set(later, [...(record.scheduled.get(later) ?? []), n]);
  }
  return { path: `history:${kind}`, args: { who, n: kind === "refuse" ? -1 : n, cell: dice.pick(cells) } };
}

/** Convex's own client, on sockets that can be broken. */
function convexClient(place: Place): Client {
  const { engine, who, dice, record } = place;
  const sockets = new Set<WebSocket>();
  class Breakable extends WebSocket {
    constructor(address: string) {
      super(address);
      record.sockets++;
      sockets.add(this);
      this.on("close", () => sockets.delete(this));
      this.on("error", () => undefined);
    }
  }
  const asked = new Map<QueryToken, { readonly question: Question; readonly stop: () => void }>();
  const open = new Set<Promise<void>>();
  const answerNow = ({ path, args }: Question): Answer | undefined => {
    try {
      const value = client.localQueryResult(path, args);
      return value === undefined ? undefined : { value };
    } catch (error) {
      if (error instanceof ConvexError) return { error: error.data as Value };
      record.problems.push(`${who}: ${path} failed with ${String(error)}`);
      return undefined;
    }
  };
  const look = (): void => {
    const answers = [...asked.values()].flatMap(({ question }) => {
      const answer = answerNow(question);
      return answer ? [[question, answer] as const] : [];
    });
    record.states.push({ who, ts: undefined, answers });
  };
  const client = new BaseConvexClient(engine.url, look, {
    logger: false,
    unsavedChangesWarning: false,
    webSocketConstructor: Breakable as unknown as typeof globalThis.WebSocket,
  });
  const ask = (question: Question): void => {
    const { queryToken, unsubscribe } = client.subscribe(question.path, question.args);
    if (asked.has(queryToken)) unsubscribe();
    else asked.set(queryToken, { question, stop: unsubscribe });
  };
  ask({ path: "history:length", args: {} });
  const order = (): void => {
    const { path, args } = nextOrder(place);
    const done: Promise<void> = client
      .mutation(path, args)
      .then(
        (at: unknown) => {
          if (path === "history:refuse") record.problems.push(`${who} was not refused`);
          else record.acknowledged.push({ who, n: args.n, at: at as number, ts: undefined });
          const length = answerNow({ path: "history:length", args: {} });
          if (length && "value" in length && (length.value as number) < (at as number))
            record.problems.push(`${who} was told of its mutation at ${String(at)} while it saw ${JSON.stringify(length.value)}`);
        },
        (error: unknown) => {
          if (path !== "history:refuse") record.problems.push(`${who}: ${path} failed with ${String(error)}`);
        },
      )
      .finally(() => open.delete(done));
    open.add(done);
  };
  return {
    act() {
      const what = dice.number(10);
      const [token, some] = dice.pick([...asked].slice(-1));
      if (what < 6) order();
      else if (what < 8 && asked.size < 12) ask(randomQuestion(place));
      else if (asked.size > 1) {
        some.stop();
        asked.delete(token);
      }
    },
    cut() {
      for (const socket of sockets) socket.terminate();
    },
    quiet: async () => {
      while (open.size > 0) await Promise.all(open);
    },
    close: () => client.close(),
  };
}

type Message = { readonly type: string } & Readonly<Record<string, unknown>>;
type Version = { readonly querySet: number; readonly identity: number; readonly ts: string };
/** `isAgain`: over a second socket, so that nobody knows what came of the first. */
type Sent = { readonly order: Order; isAgain: boolean; answer: string | undefined; ts: bigint | undefined };

/** The protocol by hand: every rule of it is looked at, and it comes back at once. */
function rawClient(place: Place): Client {
  const { engine, who, dice, record } = place;
  const sessionId = `00000000-0000-4000-8000-${who.replaceAll(/\D/g, "").padStart(12, "0")}`;
  const questions = new Map<number, Question>();
  /** Sent and not seen yet, by request. */
  const sent = new Map<number, Sent>();
  const told = new Map<number, Answer>();
  const waiting = new Set<() => void>();
  let socket: WebSocket;
  let isConnected = false;
  let isClosed = false;
  let connectionCount = 0;
  let querySet = 0;
  let version: Version = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };
  let seenTs = 0n;
  let lastQuery = 0;
  let lastRequest = 0;
  const wrong = (what: string): void => void record.problems.push(`${who}: ${what}`);
  const say = (message: unknown): void => {
    if (isConnected) socket.send(JSON.stringify(message));
  };
  const adding = (queryId: number, { path, args }: Question): object => ({ type: "Add", queryId, udfPath: path, args: [args] });
  const modify = (modifications: readonly object[]): void => {
    // What is not said now is said with the next socket.
    if (isConnected) say({ type: "ModifyQuerySet", baseVersion: querySet, newVersion: ++querySet, modifications });
  };
  const request = (requestId: number, { path, args }: Order): void =>
    say({ type: "Mutation", requestId, udfPath: path, args: [args] });

  const connect = (): void => {
    record.sockets++;
    const mine = new WebSocket(`${engine.url.replace("http", "ws")}/api/1.48.0/sync`);
    socket = mine;
    mine.on("error", () => undefined);
    mine.on("open", () => {
      isConnected = true;
      version = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };
      querySet = 0;
      told.clear();
      const observed = seenTs === 0n ? {} : { maxObservedTimestamp: toText(seenTs) };
      say({
        type: "Connect",
        sessionId,
        connectionCount: connectionCount++,
        lastCloseReason: null,
        clientTs: Date.now(),
        ...observed,
      });
      modify([...questions].map(([queryId, question]) => adding(queryId, question)));
      for (const [requestId, one] of [...sent].toSorted(([a], [b]) => a - b)) {
        one.isAgain = true;
        request(requestId, one.order);
      }
    });
    mine.on("message", (data) => hear(JSON.parse((data as Buffer).toString()) as Message));
    mine.on("close", () => {
      isConnected = false;
      if (!isClosed) setTimeout(connect, 5 + dice.number(40));
    });
  };

  const hear = (message: Message): void => {
    if (message.type === "Transition") transition(message);
    else if (message.type === "MutationResponse") answered(message);
    else if (message.type !== "Ping") wrong(`was told ${JSON.stringify(message).slice(0, 300)}`);
  };

  const transition = (message: Message): void => {
    const [start, end] = [message["startVersion"] as Version, message["endVersion"] as Version];
    if (JSON.stringify(start) !== JSON.stringify(version))
      wrong(`a transition began at ${JSON.stringify(start)}, not ${JSON.stringify(version)}`);
    version = end;
    const ts = fromText(end.ts);
    if (ts < seenTs) wrong(`time went from ${seenTs} to ${ts}`);
    seenTs = ts;
    for (const one of message["modifications"] as Message[]) {
      const queryId = one["queryId"] as number;
      if (one.type === "QueryUpdated") told.set(queryId, { value: jsonToConvex(one["value"] as JSONValue) });
      else if (one.type === "QueryFailed") told.set(queryId, { error: jsonToConvex((one["errorData"] ?? null) as JSONValue) });
      else told.delete(queryId);
    }
    const answers = [...told].flatMap(([queryId, answer]) => {
      const question = questions.get(queryId);
      return question ? [[question, answer] as const] : [];
    });
    if (end.querySet === querySet)
      for (const queryId of questions.keys())
        if (!told.has(queryId)) wrong(`query ${queryId} was acknowledged without an answer`);
    record.states.push({ who, ts, answers });
    for (const [requestId, one] of sent) if (one.ts !== undefined && one.ts <= ts) sent.delete(requestId);
    for (const go of waiting) go();
  };

  const answered = (message: Message): void => {
    const requestId = message["requestId"] as number;
    const one = sent.get(requestId);
    // Sent again over a new socket, one may be seen before its second answer comes.
    if (!one) return requestId < lastRequest ? undefined : wrong(`request ${requestId} was answered and never sent`);
    const isRefusal = one.order.path === "history:refuse";
    if (message["success"] === isRefusal)
      wrong(`request ${requestId} was answered with ${JSON.stringify(message).slice(0, 300)}`);
    if (message["success"] !== true) {
      sent.delete(requestId);
      for (const go of waiting) go();
      return;
    }
    const ts = fromText(message["ts"]);
    const text = JSON.stringify([message["result"], message["ts"]]);
    if (one.answer !== undefined && one.answer !== text)
      wrong(`request ${requestId} was answered with ${one.answer}, then with ${text}`);
    if (one.answer === undefined) {
      const at = message["result"] as number;
      record.acknowledged.push({ who, n: one.order.args.n, at, ts });
    }
    if (!one.isAgain && ts <= fromText(version.ts)) wrong(`request ${requestId} was shown before it was answered`);
    one.answer = text;
    one.ts = ts;
    if (ts > fromText(version.ts)) return;
    sent.delete(requestId);
    for (const go of waiting) go();
  };

  const ask = (question: Question): void => {
    const queryId = lastQuery++;
    questions.set(queryId, question);
    modify([adding(queryId, question)]);
  };
  const order = (): void => {
    const requestId = lastRequest++;
    const next = nextOrder(place);
    sent.set(requestId, { order: next, isAgain: false, answer: undefined, ts: undefined });
    request(requestId, next);
  };
  connect();
  return {
    act() {
      const what = dice.number(10);
      if (what < 5) for (let burst = dice.number(4); burst >= 0; burst--) order();
      else if (what < 8 && questions.size < 12) ask(randomQuestion(place));
      else if (questions.size > 0) {
        const queryId = dice.pick([...questions.keys()]);
        questions.delete(queryId);
        told.delete(queryId);
        modify([{ type: "Remove", queryId }]);
      }
    },
    cut: () => socket.terminate(),
    quiet: async () => {
      while (sent.size > 0)
        await new Promise<void>((resolve) => {
          waiting.add(resolve);
        });
    },
    close: async () => {
      isClosed = true;
      socket.terminate();
    },
  };
}

function fromText(ts: unknown): bigint {
  return Buffer.from(String(ts), "base64").readBigUInt64LE();
}

function toText(ts: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(ts);
  return bytes.toString("base64");
}

/** Numerical Recipes' generator: the same choices for the same seed, as far as a machine allows. */
function diceOf(seed: number): Dice {
  let state = seed;
  const number = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return { number, pick: (list) => list[number(list.length)] as never };
}
