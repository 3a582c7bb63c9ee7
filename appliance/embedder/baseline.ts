import { NikaError } from "../../convex/model/error.ts";
import { baselineEmbedder } from "../../ml/embed/baseline.ts";
import { openThreads, ThreadLostError } from "../threads/threads.ts";
import type { OpenedEmbedder } from "./embedder.ts";

/** Texts handed to the thread at once: some 10 ms of work, so that a cancel is noticed soon. */
const batchTexts = 64;
/** A batch takes milliseconds; a thread this late hangs. */
const timeLimitMs = 30_000;
const idleMs = 20_000;
/** The row cache is 12 MB; the rest is room for texts. */
const heapMiBMax = 128;
/** Never in the way: what is embedded was cut to passages before. */
const growthMiBMax = 4_096;

/** The offline baseline: passages in a thread, so that a long ingest leaves the main thread free; a question takes no time at all. */
export function openBaseline(): OpenedEmbedder {
  const here = baselineEmbedder();
  const entry = new URL("baselineThread.ts", import.meta.url);
  const threads = openThreads<readonly string[], Float32Array[]>({
    entry,
    threadsMax: 1,
    heapMiBMax,
    growthMiBMax,
    timeLimitMs,
    idleMs,
  });
  return {
    id: here.id,
    label: here.label,
    dimensions: here.dimensions,
    isBaseline: true,
    passages: async (texts, signal) => {
      const vectors: Float32Array[] = [];
      for (let at = 0; at < texts.length; at += batchTexts) {
        vectors.push(...(await threads.call(texts.slice(at, at + batchTexts), { signal }).catch(toUnavailable)));
      }
      return vectors;
    },
    query: async (text, signal) => {
      if (signal.aborted) throw new NikaError("cancelled", "The work was cancelled.");
      return here.embed([text])[0] ?? new Float32Array(here.dimensions);
    },
    close: () => threads.close(),
  };
}

function toUnavailable(error: unknown): never {
  if (error instanceof ThreadLostError)
    throw new NikaError("unavailable", "The embedder stopped in the middle of its work.", { cause: error });
  throw error;
}
