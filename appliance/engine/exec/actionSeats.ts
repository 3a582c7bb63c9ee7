/**
 * The threads or processes of actions as the main thread sees them: started when needed, ended when idle or when an action oversteps its
 * limits. Which of the two they are, only who opens them knows.
 */
import { limits } from "../codec/limits.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import type { ActionHost, OpenHost } from "./actionHost.ts";
import type { ActionSetup, FromAction, ToAction, WireRequest, WireResponse } from "./actionMessage.ts";
import { watchedBody } from "./bodies.ts";
import type { Outcome } from "./driver.ts";
import { outOfMemory } from "./guard.ts";

export type ActionDone = { readonly outcome: Outcome; readonly logLines: readonly string[] };
export type HttpDone = { readonly response: WireResponse; readonly logLines: readonly string[] };

/** JSON text of the caller's identity, and what to call the run in messages. */
export type Asker<Who> = { readonly who: Who; readonly identity: string; readonly requestId: string };

export type ActionSeats<Who> = {
  run(asker: Asker<Who>, entry: FunctionEntry, args: string): Promise<ActionDone>;
  http(asker: Asker<Who>, route: { readonly path: string; readonly method: string }, request: WireRequest): Promise<HttpDone>;
  close(): Promise<void>;
};

/** Milliseconds. */
type Times = {
  /** One action, from its start. */
  readonly action: number;
  /** A thread that rests as long is ended. */
  readonly idle: number;
  /** Between two looks at the threads. */
  readonly look: number;
  /** A thread that has not answered for so long gets no new action. */
  readonly deaf: number;
  /** A thread that has not answered for so long is ended when one action keeps others from going on. */
  readonly stuck: number;
  /** A thread that has not answered for so long is ended: nothing that runs so long without a pause was meant to. */
  readonly blocked: number;
};

type Options<Who> = {
  readonly setup: ActionSetup;
  readonly open: OpenHost;
  /** So many actions have one for themselves. */
  readonly most: number;
  /** More than `most`, only when some of those do not answer. */
  readonly ever: number;
  /** The environment of the actions: the deployment's, never the appliance's. */
  readonly env: () => Record<string, string>;
  /** Answers what an action asks, in the letters of bootstrap.ts. Never rejects. */
  readonly answer: (who: Who, op: string, args: string) => Promise<string>;
  readonly log: (line: string) => void;
  /** Others in tests. */
  readonly times?: Partial<Times>;
};

type Running<Who> = {
  readonly who: Who;
  /** Hears of the response when its body is still to come. */
  readonly begun: (message: FromAction) => void;
  readonly done: (message: FromAction) => void;
  readonly fail: (message: string) => void;
};
type Seat<Who> = {
  readonly host: ActionHost;
  readonly running: Map<number, Running<Who>>;
  idle: NodeJS.Timeout | undefined;
  /** It has loaded its code and given its first sign of life. */
  isUp: boolean;
  /** When it was asked for a sign of life that it has not given yet. */
  askedMs: number | undefined;
};

const usualTimes: Times = {
  action: limits.actionTimeMs,
  idle: 30_000,
  look: 500,
  deaf: 1000,
  stuck: limits.wallTimeMs,
  blocked: 60_000,
};
const heapMb = 512;
/** As the original says it: whether it did its work, nobody knows. */
const interrupted = "Transient error while executing action";
const tooMany = "TooManyConcurrentRequests: all action threads are busy; try again later.";

/**
 * Each action gets a seat that rests, or a new one, or, when there are enough, the least busy one that still answers. One that does not
 * answer does not count: an action that never lets go holds up as few others as can be.
 */
export function openActionSeats<Who>(options: Options<Who>): ActionSeats<Who> {
  const times = { ...usualTimes, ...options.times };
  const seats = new Set<Seat<Who>>();
  let lastId = 0;
  let watch: NodeJS.Timeout | undefined;

  /** `blamed` is the one action at fault; the others hear that they were interrupted. */
  const end = (seat: Seat<Who>, message: string, blamed?: number): void => {
    if (!seats.delete(seat)) return;
    clearTimeout(seat.idle);
    const isAlone = seat.running.size === 1;
    for (const [id, one] of seat.running) one.fail(isAlone || blamed === undefined || id === blamed ? message : interrupted);
    seat.running.clear();
    void seat.host.terminate();
  };

  const settle = (seat: Seat<Who>, id: number): void => {
    seat.running.delete(id);
    if (seat.running.size > 0 || !seats.has(seat)) return;
    clearTimeout(seat.idle);
    seat.idle = setTimeout(() => end(seat, ""), times.idle).unref();
  };

  const isBusy = (seat: Seat<Who>): boolean => seat.running.size > 0;
  const silentMs = ({ askedMs }: Seat<Who>): number => (askedMs === undefined ? 0 : performance.now() - askedMs);

  /** Asks the busy ones for a sign of life, and ends those that take too much memory, or all the time of their neighbours. */
  const look = async (seat: Seat<Who>): Promise<void> => {
    if (await seat.host.isHoarding()) {
      options.log("an action thread was ended for holding too much memory");
      return end(seat, `Uncaught Error: ${outOfMemory(heapMb)}`);
    }
    if (seat.running.size > 1 && silentMs(seat) > times.stuck) {
      options.log("an action thread was ended because one action kept the others from going on");
      return end(seat, interrupted);
    }
    if (silentMs(seat) > times.blocked) {
      options.log("an action thread was ended for not letting go");
      return end(seat, `Uncaught Error: Function execution blocked its thread for over ${times.blocked / 1000}s`);
    }
    if (!seat.isUp || seat.askedMs !== undefined) return;
    seat.askedMs = performance.now();
    seat.host.post({ type: "ping" });
  };

  const lookAtAll = (): void => {
    const busy = [...seats].filter(isBusy);
    if (busy.length === 0) {
      clearInterval(watch);
      watch = undefined;
    }
    // One that is ending has no statistics any more.
    for (const seat of busy) look(seat).catch(() => undefined);
  };

  const hear = (seat: Seat<Who>, message: FromAction): void => {
    if (message.type === "pong") {
      seat.isUp = true;
      seat.askedMs = undefined;
      return;
    }
    const one = seat.running.get(message.id);
    if (message.type === "response") {
      one?.begun(message);
      return;
    }
    if (message.type !== "ask") {
      settle(seat, message.id);
      one?.done(message);
      return;
    }
    if (!one) return;
    void options
      .answer(one.who, message.op, message.args)
      .then((answer) => seat.host.post({ type: "answer", ask: message.ask, answer }));
  };

  const start = (): Seat<Who> => {
    const host = options.open(
      options.setup,
      { env: options.env(), memoryMb: heapMb },
      {
        onMessage: (message) => hear(seat, message),
        onEnd: ({ why, isMemory }) => end(seat, isMemory || seat.running.size === 1 ? why : interrupted),
        log: options.log,
      },
    );
    const seat: Seat<Who> = { host, running: new Map(), idle: undefined, isUp: false, askedMs: undefined };
    seats.add(seat);
    return seat;
  };

  const choose = (): Seat<Who> | undefined => {
    const all = [...seats];
    const resting = all.find((seat) => !isBusy(seat));
    if (resting) return resting;
    const answering = all.filter((seat) => silentMs(seat) < times.deaf);
    if (answering.length < options.most && all.length < options.ever) return start();
    return answering.toSorted((a, b) => a.running.size - b.running.size)[0];
  };

  const begin = (
    who: Who,
    send: (id: number) => ToAction,
    { begun = () => {}, transfer = [] }: { begun?: Running<Who>["begun"]; transfer?: ReadableStream[] } = {},
  ): Promise<FromAction> =>
    new Promise((resolve, reject) => {
      const seat = choose();
      if (!seat) return reject(new Error(tooMany));
      clearTimeout(seat.idle);
      watch ??= setInterval(lookAtAll, times.look).unref();
      const id = ++lastId;
      const overstay = setTimeout(() => {
        options.log("an action was ended for using too much time; those beside it ended too");
        end(seat, `Action timed out (maximum duration: ${times.action / 1000}s)`, id);
      }, times.action).unref();
      seat.running.set(id, {
        who,
        begun,
        done: (message) => {
          clearTimeout(overstay);
          resolve(message);
        },
        fail: (message) => {
          clearTimeout(overstay);
          reject(new Error(message));
        },
      });
      seat.host.post(send(id), transfer);
    });

  return {
    run: async ({ who, identity, requestId }, entry, args) => {
      try {
        const message = await begin(who, (id) => ({ type: "run", id, identity, requestId, entry, args }));
        if (message.type === "done") return message;
        throw new Error("An action thread gave a wrong answer.");
      } catch (error) {
        return { outcome: { ok: false, message: (error as Error).message }, logLines: [] };
      }
    },
    http: ({ who, identity, requestId }, route, request) =>
      new Promise((resolve, reject) => {
        const over = new AbortController();
        const begun = (message: FromAction) => {
          if (message.type !== "response") return;
          const { body } = message.response;
          // A body whose thread has ended would otherwise be waited for in vain.
          resolve({
            ...message,
            response: { ...message.response, body: body && watchedBody(body, { step: untilAborted(over.signal) }) },
          });
        };
        const transfer = request.body ? [request.body] : [];
        begin(who, (id) => ({ type: "http", id, identity, requestId, route, request }), { begun, transfer }).then(
          (message) => {
            if (message.type === "ended")
              for (const line of message.logLines) options.log(`${route.method} ${route.path}: ${line}`);
          },
          (error: Error) => {
            reject(error);
            over.abort(error);
          },
        );
      }),
    close: async () => {
      clearInterval(watch);
      const dead = [...seats];
      for (const seat of dead) end(seat, "The engine is closing.");
      await Promise.all(dead.map(({ host }) => host.terminate()));
    },
  };
}

/** Waits for the work, but no longer than until the signal. */
function untilAborted(signal: AbortSignal): <T>(work: () => Promise<T>) => Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
  // Nobody may be reading at that moment.
  aborted.catch(() => {});
  return (work) => Promise.race([work(), aborted]);
}
