import { fork, type ChildProcess } from "node:child_process";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { Reranker } from "../../functions/ports/reranker.ts";
import { modelFingerprint, type ModelFiles } from "./model.ts";

export type RerankRequest = { readonly id: number; readonly question: string; readonly texts: readonly string[] };
export type RerankReply = { readonly id: number } & (
  | { readonly ok: true; readonly scores: readonly number[] }
  | { readonly ok: false; readonly message: string }
);

/** Cross-encoders that read a question and a passage together; put there by the owner, never fetched. */
const names = ["Xenova/ms-marco-MiniLM-L-6-v2", "Xenova/bge-reranker-base", "ms-marco-MiniLM-L-6-v2", "bge-reranker-base"];
const needed = ["config.json", "tokenizer.json", "tokenizer_config.json"];
/** Who asks waits for it. Loading takes a second or two; a search that gets no answer by then does without. */
const answerLimitMs = 8_000;
const restartDelayMs = 30_000;

export type OpenedReranker = Reranker & { close(): Promise<void> };

/** The first cross-encoder whose files are all in `modelsDir`, in a process of its own that starts when first asked; else none. */
export async function openReranker({
  modelsDir,
  log,
}: {
  modelsDir: string;
  log: (line: string) => void;
}): Promise<OpenedReranker> {
  const model = await find(modelsDir);
  if (!model)
    return { id: undefined, score: async () => Promise.reject(unavailable("there is no such model")), close: async () => {} };
  const id = `${model.name.split("/").at(-1)}-${await modelFingerprint(model)}`;
  log(`reranker: ${model.name}`);
  return { id, ...openChild(model, log) };
}

async function find(modelsDir: string): Promise<ModelFiles | undefined> {
  for (const name of names) {
    const has = (file: string): Promise<boolean> =>
      access(join(modelsDir, name, file)).then(
        () => true,
        () => false,
      );
    if (!(await Promise.all(needed.map(has))).every(Boolean)) continue;
    if (await has("onnx/model_quantized.onnx")) return { modelsDir, name, isQuantized: true, isDownload: false };
    if (await has("onnx/model.onnx")) return { modelsDir, name, isQuantized: false, isDownload: false };
  }
  return undefined;
}

type Waiting = { resolve(scores: readonly number[]): void; reject(error: NikaError): void };

function openChild(model: ModelFiles, log: (line: string) => void): Pick<OpenedReranker, "score" | "close"> {
  const waiting = new Map<number, Waiting>();
  let child: ChildProcess | undefined;
  let lastId = 0;
  let restartAt = 0;
  let isClosed = false;

  const start = (): ChildProcess => {
    const started = fork(new URL("rerankerProcess.ts", import.meta.url), [JSON.stringify(model)], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
    });
    started.on("message", (reply: RerankReply) => {
      const asker = waiting.get(reply.id);
      if (reply.ok) asker?.resolve(reply.scores);
      else asker?.reject(unavailable(reply.message));
    });
    const lose = (why: string): void => {
      if (child !== started) return;
      child = undefined;
      restartAt = Date.now() + restartDelayMs;
      if (!isClosed) log(`reranker: its process ended (${why})`);
      for (const asker of waiting.values()) asker.reject(unavailable(why));
    };
    started.once("error", (error) => lose(error.message));
    started.once("exit", (code, signal) => lose(signal ?? `exit code ${code}`));
    // It may be idle for days and must not keep the appliance from ending.
    started.unref();
    started.channel?.unref();
    return started;
  };

  const ask = (question: string, texts: readonly string[], signal: AbortSignal): Promise<readonly number[]> =>
    new Promise((resolve, reject) => {
      if (!child && Date.now() < restartAt) return reject(unavailable("waiting to be started again"));
      child ??= start();
      const running = child;
      const id = (lastId += 1);
      // A process that hangs is ended: the next question starts another.
      const timer = setTimeout(() => running.kill("SIGKILL"), answerLimitMs);
      const onAbort = (): void => waiting.get(id)?.reject(cancelled());
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        waiting.delete(id);
        if (waiting.size === 0) running.channel?.unref();
      };
      waiting.set(id, { resolve: (scores) => (end(), resolve(scores)), reject: (error) => (end(), reject(error)) });
      signal.addEventListener("abort", onAbort, { once: true });
      running.channel?.ref();
      running.send({ id, question, texts } satisfies RerankRequest, (error) => error && running.kill("SIGKILL"));
    });

  return {
    score: async (question, texts, signal) => {
      if (isClosed || signal.aborted) throw cancelled();
      return texts.length === 0 ? [] : await ask(question, texts, signal);
    },
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

const unavailable = (why: string): NikaError =>
  new NikaError("unavailable", "The reranker is not answering.", { cause: new Error(why) });
const cancelled = (): NikaError => new NikaError("cancelled", "The work was cancelled.");
