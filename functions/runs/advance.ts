import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { NikaError } from "../../convex/model/error.ts";
import { valueCharsMax, type StepRecord, type Value } from "../../convex/model/run.ts";
import { defineFunction, type JobFunction, type Ports } from "../define.ts";
import type { AnyRunDefinition } from "../defineRun.ts";
import type { State } from "../ports/state.ts";
import { openCheckpointer, type Boundary, type Checkpointer } from "./checkpointer.ts";
import { Replay } from "./replay.ts";

/** A result beyond this is no result any more; it belongs into a document or a file of its own. */
const resultBytesMax = 32 * 2 ** 20;
type Problem = Extract<NonNullable<Boundary["next"]>, { type: "parked" }>["problem"];

/** Goes on with runs of these kinds, each from where it is: one job from one wait of the run to the next. */
export function advanceRuns(
  definitions: readonly AnyRunDefinition[],
  log: (line: string) => void = () => undefined,
): JobFunction<"runs.advance", keyof Ports> {
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  if (byName.size < definitions.length) throw new Error("two runs of one name");
  const needs = [...new Set<keyof Ports>(["state", "files", ...definitions.flatMap(({ options }) => options.needs ?? [])])];
  const checkpointers = new WeakMap<State, Checkpointer>();
  const checkpointerOf = (state: State): Checkpointer => {
    const known = checkpointers.get(state) ?? openCheckpointer(state);
    checkpointers.set(state, known);
    return known;
  };

  return defineFunction({
    kind: "runs.advance",
    needs,
    run: async ({ jobId, token = "", args: { runId }, signal }, ports) => {
      const { state, files } = ports;
      const hold = { runId, jobId: jobId as Id<"jobs">, token };
      const run = await load(state, hold);
      // It is in other hands, or its wait was written down before whoever did so died.
      if (!run) return { type: "done" };
      signal.throwIfAborted();
      const definition = byName.get(run.name);
      const { version = 1 } = definition?.options ?? {};
      const send = (part: Omit<Boundary, "runId" | "jobId" | "token" | "version">) =>
        checkpointerOf(state).send({ ...hold, version, ...part });
      const problem = problemOf(run, definition);
      if (problem || !definition) {
        if (problem) await send({ ended: [], again: [], begun: [], looks: false, next: { type: "parked", problem } });
        return { type: "done" };
      }
      const replay = new Replay({
        run: { id: runId, life: run.life, startedAt: run.startedAt },
        steps: run.steps,
        send,
        keep: (json) => keep(json, { state, files, signal }),
        read: async (url) => new TextDecoder().decode(await files.read(url, { bytesMax: resultBytesMax, signal })),
        watch: (onNews) => watchNews(state, runId, { onNews, log }),
        log,
        signal,
      });
      await replay.run(async (context) => {
        const { parse, needs: wanted = [] } = definition.options;
        const given: unknown = JSON.parse(run.args);
        const own = Object.fromEntries((wanted as readonly (keyof Ports)[]).map((need) => [need, ports[need]]));
        return definition.handler(context, parse ? parse(given) : given, own);
      });
      return { type: "done" };
    },
  });
}

type Hold = { readonly runId: Id<"runs">; readonly jobId: Id<"jobs">; readonly token: string };

async function load(state: State, hold: Hold) {
  const first = await state.query(internal.runs.load, { ...hold, cursor: null });
  if (!first) return undefined;
  const steps: StepRecord[] = [...first.steps];
  for (let { cursor } = first; cursor !== null;) {
    const page = await state.query(internal.runs.load, { ...hold, cursor });
    if (!page) return undefined;
    steps.push(...page.steps);
    cursor = page.cursor;
  }
  return { ...first, steps };
}

type Loaded = { readonly name: string; readonly version?: number; readonly steps: readonly unknown[] };

/** Why this code may not go on with it. */
function problemOf(run: Loaded, definition: AnyRunDefinition | undefined): Problem | undefined {
  if (!definition) return { type: "unknown", message: `This version of Nika has no run called ${run.name}.`, diff: [] };
  const { version = 1, continues = [] } = definition.options;
  if (run.steps.length === 0 || run.version === undefined || run.version === version || continues.includes(run.version))
    return undefined;
  return {
    type: "version",
    message: `It was begun by version ${run.version} of its code, and this is version ${version}.`,
    diff: [`- version ${run.version}`, `+ version ${version}`],
  };
}

/** Small values stay with their step; large ones become files. */
async function keep(
  json: string,
  { state, files, signal }: Pick<Ports, "state" | "files"> & { readonly signal: AbortSignal },
): Promise<Value> {
  if (json.length <= valueCharsMax) return { type: "text", text: json };
  const bytes = new TextEncoder().encode(json);
  if (bytes.length > resultBytesMax)
    throw new NikaError(
      "full",
      `What a step returns has at most ${resultBytesMax / 2 ** 20} MB; keep what is larger as a document.`,
    );
  const storageId = await files.write(await state.mutation(internal.sources.uploadUrl, {}), bytes, { signal });
  return { type: "file", storageId: storageId as Id<"_storage">, sizeBytes: bytes.length };
}

function watchNews(
  state: State,
  runId: Id<"runs">,
  { onNews, log }: { readonly onNews: () => void; readonly log: (line: string) => void },
): () => void {
  return state.watch(internal.runs.news, { runId }, onNews, (error) => log(`run ${runId} cannot be watched: ${String(error)}`));
}
