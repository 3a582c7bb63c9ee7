import { NikaError } from "../../convex/model/error.ts";
import { baselineEmbedder } from "../../ml/embed/baseline.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";
import type { OpenedEmbedder } from "./opened.ts";

/** Texts handed over at once: some 10 ms of work, so that a cancel is noticed soon. */
const batchTexts = 64;
/** A batch takes milliseconds; a process this late hangs. */
const timeLimitMs = 30_000;
const idleMs = 20_000;
/** The runtime takes 60, the row cache 12; the rest is room for texts and garbage. */
const memoryMiBMax = 192;

/** The offline baseline: passages in a process, so that a long ingest leaves the appliance free; a question takes no time at all. */
export function openBaseline(): OpenedEmbedder {
  const here = baselineEmbedder();
  const entry = new URL("baselineProcess.ts", import.meta.url);
  const processes = openProcesses<readonly string[], Float32Array[]>({
    entry,
    processesMax: 1,
    memoryMiBMax,
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
        vectors.push(...(await processes.call(texts.slice(at, at + batchTexts), { signal }).catch(toUnavailable)));
      }
      return vectors;
    },
    query: async (text, signal) => {
      if (signal.aborted) throw new NikaError("cancelled", "The work was cancelled.");
      return here.embed([text])[0] ?? new Float32Array(here.dimensions);
    },
    close: () => processes.close(),
  };
}

function toUnavailable(error: unknown): never {
  if (error instanceof ProcessLostError)
    throw new NikaError("unavailable", "The embedder stopped in the middle of its work.", { cause: error });
  throw error;
}
