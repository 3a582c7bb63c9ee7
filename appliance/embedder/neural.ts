import { fork, type ChildProcess } from "node:child_process";
import { NikaError } from "../../convex/model/error.ts";
import type { OpenedEmbedder } from "./opened.ts";
import { modelCard, type ModelFiles } from "./model.ts";

/** What the child is asked, one batch at a time. */
export type NeuralRequest = { readonly id: number; readonly texts: readonly string[] };
/** `vectors` holds one vector after the other. */
export type NeuralReply = { readonly id: number } & (
  | { readonly ok: true; readonly dimensions: number; readonly vectors: Float32Array }
  | { readonly ok: false; readonly message: string }
);

/** Larger batches gain nothing on a few cores and make a waiting question wait longer. */
const batchTexts = 32;
/** Loading takes a second or two; fetching the model first takes minutes. */
const batchLimitMs = 60_000;
const downloadLimitMs = 10 * 60_000;
const restartDelayMs = { first: 1_000, max: 60_000 };
const dimensions = 384;

type Batch = {
  readonly texts: readonly string[];
  readonly signal: AbortSignal;
  readonly resolve: (vectors: Float32Array[]) => void;
  readonly reject: (error: NikaError) => void;
};

/**
 * A model in a process of its own, because its runtime does not give memory back and may crash on its own account. It is started
 * again after a crash, not sooner than a delay that doubles; until then calls fail with `unavailable`. Fails when the model does not
 * make unit vectors of the right size.
 */
export async function openNeural(model: ModelFiles, log: (line: string) => void): Promise<OpenedEmbedder> {
  const child = neuralChild(model, log);
  const signal = new AbortController().signal;
  try {
    const [vector] = await child.embed(["health"], { signal, isUrgent: true });
    if (!vector || vector.length !== dimensions || !isUnit(vector)) {
      throw new NikaError(
        "invalid",
        `The model ${model.name} does not make vectors of ${dimensions} numbers; remove it or replace it.`,
      );
    }
    const { id, label, queryPrefix } = await modelCard(model);
    return {
      id,
      label,
      dimensions,
      isBaseline: false,
      passages: async (texts, signal) => {
        const vectors: Float32Array[] = [];
        for (let at = 0; at < texts.length; at += batchTexts) {
          vectors.push(...(await child.embed(texts.slice(at, at + batchTexts), { signal, isUrgent: false })));
        }
        return vectors;
      },
      query: async (text, signal) => {
        const [vector] = await child.embed([queryPrefix + text], { signal, isUrgent: true });
        if (!vector) throw new NikaError("bug", "The embedder gave no answer.");
        return vector;
      },
      close: () => child.close(),
    };
  } catch (error) {
    await child.close();
    throw error;
  }
}

type NeuralChild = {
  embed(texts: readonly string[], options: { signal: AbortSignal; isUrgent: boolean }): Promise<Float32Array[]>;
  close(): Promise<void>;
};

function neuralChild(model: ModelFiles, log: (line: string) => void): NeuralChild {
  const queue: Batch[] = [];
  let child: ChildProcess | undefined;
  let busy: { batch: Batch; id: number; timer: NodeJS.Timeout } | undefined;
  let lastId = 0;
  let failures = 0;
  let restartAt = 0;
  let isClosed = false;

  const start = (): ChildProcess => {
    const started = fork(new URL("neuralProcess.ts", import.meta.url), [JSON.stringify(model)], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      execArgv: [],
    });
    let lastWords = "";
    started.stderr?.on("data", (text: Buffer) => (lastWords = (lastWords + text.toString()).slice(-500)));
    started.on("message", (reply: NeuralReply) => finish(reply));
    started.once("error", (error) => lose(started, error.message));
    started.once("exit", (code, signal) => lose(started, `${signal ?? `exit code ${code}`} ${lastWords.trim()}`));
    // It may be idle for days and must not keep the appliance from ending.
    started.unref();
    started.channel?.unref();
    return started;
  };

  const lose = (lost: ChildProcess, why: string): void => {
    if (child !== lost) return;
    child = undefined;
    failures += 1;
    const delayMs = Math.min(restartDelayMs.max, restartDelayMs.first * 2 ** (failures - 1));
    restartAt = Date.now() + delayMs;
    if (!isClosed) log(`embedder: its process ended (${why}); started again in ${delayMs / 1000} s at the earliest`);
    for (const batch of [take(), ...queue.splice(0)]) batch?.reject(unavailable(why));
  };

  const take = (): Batch | undefined => {
    clearTimeout(busy?.timer);
    const batch = busy?.batch;
    busy = undefined;
    child?.channel?.unref();
    return batch;
  };

  const finish = (reply: NeuralReply): void => {
    if (busy?.id !== reply.id) return;
    const batch = take();
    if (reply.ok) {
      failures = 0;
      batch?.resolve(split(reply.vectors, reply.dimensions));
    } else {
      batch?.reject(unavailable(reply.message));
    }
    pump();
  };

  const pump = (): void => {
    if (busy) return;
    const batch = queue.shift();
    if (!batch) return;
    if (batch.signal.aborted) {
      batch.reject(cancelled());
      pump();
      return;
    }
    if (!child && Date.now() < restartAt) {
      batch.reject(unavailable("waiting to be started again"));
      pump();
      return;
    }
    child ??= start();
    const running = child;
    lastId += 1;
    const limitMs = model.isDownload ? downloadLimitMs : batchLimitMs;
    busy = { batch, id: lastId, timer: setTimeout(() => running.kill("SIGKILL"), limitMs) };
    running.channel?.ref();
    running.send({ id: lastId, texts: batch.texts } satisfies NeuralRequest, (error) => error && running.kill("SIGKILL"));
  };

  return {
    embed: (texts, { signal, isUrgent }) =>
      new Promise((resolve, reject) => {
        if (isClosed || signal.aborted) return reject(cancelled());
        const onAbort = (): void => reject(cancelled());
        const done = (): void => signal.removeEventListener("abort", onAbort);
        signal.addEventListener("abort", onAbort, { once: true });
        const batch: Batch = {
          texts,
          signal,
          resolve: (vectors) => (done(), resolve(vectors)),
          reject: (error) => (done(), reject(error)),
        };
        // A question is asked by someone who waits; passages are read by nobody yet.
        if (isUrgent) queue.unshift(batch);
        else queue.push(batch);
        pump();
      }),
    close: async () => {
      isClosed = true;
      for (const batch of [take(), ...queue.splice(0)]) batch?.reject(cancelled());
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

function split(all: Float32Array, size: number): Float32Array[] {
  return Array.from({ length: all.length / size }, (_, at) => all.slice(at * size, (at + 1) * size));
}

function isUnit(vector: Float32Array): boolean {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return Math.abs(norm - 1) < 1e-3;
}

function unavailable(why: string): NikaError {
  return new NikaError("unavailable", "The embedder is not answering; it is being started again.", { cause: new Error(why) });
}

function cancelled(): NikaError {
  return new NikaError("cancelled", "The work was cancelled.");
}
