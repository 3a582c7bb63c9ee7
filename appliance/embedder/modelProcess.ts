/** A model in a process of its own, started when it is first asked: its runtime does not give memory back, and may crash on its own account. */
import { fork, type ChildProcess } from "node:child_process";
import { NikaError } from "../../convex/model/error.ts";

/** What goes to the process, and what comes back. */
export type ModelRequest<Asked> = Asked & { readonly id: number };
export type ModelReply<Answer> = { readonly id: number } & (
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly message: string }
);

type Options = {
  /** The module that it runs; `files` is its only argument, as JSON. */
  readonly entry: URL;
  readonly files: object;
  /** What it is called in the log and in errors: "reranker", "model of pictures". */
  readonly name: string;
  /** A process that takes longer hangs, and is ended. */
  readonly answerLimitMs: number;
  /** Not started again sooner than this after it ended. */
  readonly restartDelayMs: number;
  readonly log: (line: string) => void;
};

export type ModelProcess<Asked, Answer> = {
  /** Fails with `unavailable`, or `cancelled` when `signal` fires or it was closed. */
  ask(asked: Asked, signal: AbortSignal): Promise<Answer>;
  close(): Promise<void>;
  unavailable(why: string): NikaError;
};

type Waiting<Answer> = { resolve(answer: Answer): void; reject(error: NikaError): void };

export function openModelProcess<Asked extends object, Answer>(options: Options): ModelProcess<Asked, Answer> {
  const { entry, files, name, answerLimitMs, restartDelayMs, log } = options;
  const waiting = new Map<number, Waiting<Answer>>();
  let child: ChildProcess | undefined;
  let lastId = 0;
  let restartAt = 0;
  let isClosed = false;
  const unavailable = (why: string): NikaError =>
    new NikaError("unavailable", `The ${name} is not answering.`, { cause: new Error(why) });

  const start = (): ChildProcess => {
    const started = fork(entry, [JSON.stringify(files)], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
      env: {},
    });
    started.on("message", (reply: ModelReply<Answer>) => {
      const asker = waiting.get(reply.id);
      if (reply.ok) asker?.resolve(reply.answer);
      else asker?.reject(unavailable(reply.message));
    });
    const lose = (why: string): void => {
      if (child !== started) return;
      child = undefined;
      restartAt = Date.now() + restartDelayMs;
      if (!isClosed) log(`${name}: its process ended (${why})`);
      for (const asker of waiting.values()) asker.reject(unavailable(why));
    };
    started.once("error", (error) => lose(error.message));
    started.once("exit", (code, signal) => lose(signal ?? `exit code ${code}`));
    // It may be idle for days and must not keep the appliance from ending.
    started.unref();
    started.channel?.unref();
    return started;
  };

  return {
    unavailable,
    ask: (asked, signal) =>
      new Promise((resolve, reject) => {
        if (isClosed || signal.aborted) return reject(cancelled());
        if (!child && Date.now() < restartAt) return reject(unavailable("waiting to be started again"));
        child ??= start();
        const running = child;
        const id = (lastId += 1);
        // The next question starts another.
        const timer = setTimeout(() => running.kill("SIGKILL"), answerLimitMs);
        const onAbort = (): void => waiting.get(id)?.reject(cancelled());
        const end = (): void => {
          clearTimeout(timer);
          signal.removeEventListener("abort", onAbort);
          waiting.delete(id);
          if (waiting.size === 0) running.channel?.unref();
        };
        waiting.set(id, { resolve: (answer) => (end(), resolve(answer)), reject: (error) => (end(), reject(error)) });
        signal.addEventListener("abort", onAbort, { once: true });
        running.channel?.ref();
        running.send({ ...asked, id } satisfies ModelRequest<Asked>, (error) => error && running.kill("SIGKILL"));
      }),
    close: async () => {
      isClosed = true;
      for (const asker of waiting.values()) asker.reject(cancelled());
      const ending = child;
      child = undefined;
      if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => ending.once("exit", () => resolve()));
      ending.ref();
      ending.kill("SIGKILL");
      await ended;
    },
  };
}

const cancelled = (): NikaError => new NikaError("cancelled", "The work was cancelled.");
