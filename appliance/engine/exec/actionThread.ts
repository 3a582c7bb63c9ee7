/** The action thread as the main thread sees it: started when first needed, ended when idle or when an action overstays. */
/* oxlint-disable unicorn/require-post-message-target-origin -- that rule is about windows; these are threads */
import { Worker } from "node:worker_threads";
import { limits } from "../codec/limits.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import type { ActionSetup, FromAction, ToAction, WireRequest, WireResponse } from "./actionMessage.ts";
import { watchedBody } from "./bodies.ts";
import { compiledFolder } from "./compiled.ts";
import type { Outcome } from "./driver.ts";

export type ActionDone = { readonly outcome: Outcome; readonly logLines: readonly string[] };
export type HttpDone = { readonly response: WireResponse; readonly logLines: readonly string[] };

/** JSON text of the caller's identity, and what to call the run in messages. */
export type Asker<Who> = { readonly who: Who; readonly identity: string; readonly requestId: string };

export type ActionThread<Who> = {
  run(asker: Asker<Who>, entry: FunctionEntry, args: string): Promise<ActionDone>;
  http(asker: Asker<Who>, route: { readonly path: string; readonly method: string }, request: WireRequest): Promise<HttpDone>;
  close(): Promise<void>;
};

type Options<Who> = {
  readonly setup: ActionSetup;
  /** The environment of the thread: the deployment's, never the appliance's. */
  readonly env: () => Record<string, string>;
  /** Answers what an action asks, in the letters of bootstrap.ts. Never rejects. */
  readonly answer: (who: Who, op: string, args: string) => Promise<string>;
  readonly log: (line: string) => void;
};

type Running<Who> = {
  readonly who: Who;
  /** Hears of the response when its body is still to come. */
  readonly begun: (message: FromAction) => void;
  readonly done: (message: FromAction) => void;
  readonly fail: (message: string) => void;
};

const idleMs = 30_000;
const heapMb = 512;

export function openActionThread<Who>(options: Options<Who>): ActionThread<Who> {
  const running = new Map<number, Running<Who>>();
  let lastId = 0;
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;

  const end = (message: string): void => {
    const dead = worker;
    worker = undefined;
    for (const one of running.values()) one.fail(message);
    running.clear();
    void dead?.terminate();
  };

  const settle = (id: number): void => {
    running.delete(id);
    if (running.size > 0) return;
    clearTimeout(idle);
    idle = setTimeout(() => {
      if (running.size === 0) end("");
    }, idleMs).unref();
  };

  const start = (): Worker => {
    const fresh = new Worker(new URL("./actionWorker.ts", import.meta.url), {
      workerData: options.setup,
      env: { ...options.env(), NODE_COMPILE_CACHE: compiledFolder(options.setup.dir) },
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
    });
    fresh.on("message", (message: FromAction) => {
      const one = running.get(message.id);
      if (message.type === "response") {
        one?.begun(message);
        return;
      }
      if (message.type !== "ask") {
        settle(message.id);
        one?.done(message);
        return;
      }
      if (!one) return;
      void options.answer(one.who, message.op, message.args).then((answer) => {
        const reply: ToAction = { type: "answer", ask: message.ask, answer };
        fresh.postMessage(reply);
      });
    });
    fresh.on("error", (error: Error) => {
      options.log(`the action thread failed: ${error.message}`);
      if (worker === fresh) end("Transient error while executing action");
    });
    return fresh;
  };

  const begin = (
    who: Who,
    send: (id: number) => ToAction,
    { begun = () => {}, transfer = [] }: { begun?: Running<Who>["begun"]; transfer?: ReadableStream[] } = {},
  ): Promise<FromAction> =>
    new Promise((resolve, reject) => {
      clearTimeout(idle);
      worker ??= start();
      const id = ++lastId;
      const overstay = setTimeout(() => {
        options.log("an action was ended for using too much time; those beside it ended too");
        end(`Action timed out (maximum duration: ${limits.actionTimeMs / 1000}s)`);
      }, limits.actionTimeMs).unref();
      running.set(id, {
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
      worker.postMessage(send(id), transfer);
    });

  return {
    run: async ({ who, identity, requestId }, entry, args) => {
      try {
        const message = await begin(who, (id) => ({ type: "run", id, identity, requestId, entry, args }));
        if (message.type === "done") return message;
        throw new Error("The action thread gave a wrong answer.");
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
      clearTimeout(idle);
      const dead = worker;
      end("The engine is closing.");
      await dead?.terminate();
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
