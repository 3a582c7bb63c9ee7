import { setTimeout as delay } from "node:timers/promises";
import { internal } from "../../convex/_generated/api.js";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import type { Outcome } from "../../convex/model/job.ts";
import { nextStep, type MigrationFacts } from "../../ml/migrate/plan.ts";
import { defineFunction, type Call } from "../define.ts";
import type { Spaces } from "../ports/spaces.ts";
import type { State } from "../ports/state.ts";

/** A store that does not answer is asked again later, however long it takes: nothing that was copied is lost. */
const againMs = 15_000;
const busyMs = 1_000;

/**
 * Moves the vault to another embedder: fills a space beside the one in force, compares the two, and puts the new one in force. Searches go on
 * all the while, and what is written goes to both. Cut off anywhere it goes on from what it finds.
 */
export const deployModel = defineFunction({
  kind: "models.deploy",
  needs: ["state", "spaces"],
  run: async (call, { state, spaces }): Promise<Outcome> => {
    const { generationId } = call.args;
    if (!spaces) throw new NikaError("unavailable", "The vault cannot be moved from here.");
    try {
      return said(await move(call, state, spaces));
    } catch (error) {
      call.signal.throwIfAborted();
      if (!isNikaError(error)) throw error;
      if (error.code === "unavailable" || error.code === "timeout") return { type: "snoozed", delayMs: againMs };
      if ((await state.query(internal.generations.get, { generationId })) === null) return said("It was given up.");
      // What cannot be done does not stay half-way.
      await state.mutation(internal.generations.abandon, { generationId, problem: error.message });
      throw error;
    }
  },
});

const said = (text: string): Outcome => ({ type: "done", result: { type: "said", text } });

/** What is found out on the way and not kept: it is found out again. */
type Found = {
  passages: number;
  needBytes: number;
  freeBytes: number;
  live: number;
  beside: number;
  mended?: number;
  sampleLeast?: number;
};

async function move(call: Call<"models.deploy">, state: State, spaces: Spaces): Promise<string> {
  const { args, signal } = call;
  const { generationId } = args;
  const found: Found = { passages: 0, needBytes: 0, freeBytes: Infinity, live: 0, beside: 0 };
  for (let isFirst = true; ; isFirst = false) {
    signal.throwIfAborted();
    const row = await state.query(internal.generations.get, { generationId });
    if (!row) return "It was given up.";
    // Of an earlier life: from here on this process writes to both, before anything is copied or compared.
    if (isFirst) await spaces.refresh();
    if (row.state === "planned") Object.assign(found, await spaces.room());
    // Workers elsewhere are given no document now; what they have in hand is written before the two are compared.
    if (row.isReadElsewhere) {
      delete found.mended;
      await delay(busyMs, undefined, { signal });
      continue;
    }
    if (row.state === "checking") Object.assign(found, await spaces.sizes());
    const step = nextStep(toFacts(row.state, found));
    switch (step.do) {
      case "refuse":
        throw new NikaError(row.state === "planned" ? "full" : "conflict", step.says);
      case "prepare": {
        const embedder = await spaces.find(row.wanted);
        await spaces.prepare({ collection: row.collection, ...embedder });
        const { passages: total } = found;
        const became = await state.mutation(internal.generations.prepared, { generationId, ...embedder, total });
        if (became === "inForce") throw new NikaError("conflict", "This model is in force already.");
        await spaces.refresh();
        break;
      }
      case "copy":
        await copy({ call, state, spaces, cursor: row.cursor, done: row.done });
        break;
      case "compare":
        found.mended = await walk(
          (cursor) => spaces.compare(cursor, signal).then(({ mended, ...at }) => ({ ...at, count: mended })),
          {
            signal,
          },
        );
        break;
      case "sample":
        found.sampleLeast = await spaces.sample(signal);
        break;
      case "switch": {
        const became = await state.mutation(internal.generations.switchTo, { generationId });
        if (became === "over") return "It was given up.";
        if (became === "busy") {
          // What was begun elsewhere before may be in one space only.
          delete found.mended;
        }
        break;
      }
      case "point":
        await spaces.point();
        return "Searches go by the new model.";
      case "nothing":
        return "There is nothing left to do.";
    }
  }
}

function toFacts(state: "planned" | "copying" | "checking" | "live", found: Found): MigrationFacts {
  const { live: passagesOld, beside: passagesNew, passages: _, ...more } = found;
  return { stage: state === "live" ? "switched" : state, passagesOld, passagesNew, ...more };
}

type Copying = {
  readonly call: Call<"models.deploy">;
  readonly state: State;
  readonly spaces: Spaces;
  readonly cursor: string | null;
  readonly done: number;
};

async function copy({ call, state, spaces, ...from }: Copying): Promise<void> {
  const { signal, progress } = call;
  const { generationId } = call.args;
  const { live: total } = await spaces.sizes();
  let { done } = from;
  await walk(
    async (cursor) => {
      const page = await spaces.copy(cursor, signal);
      done += page.copied;
      progress(Math.min(done, total), total);
      const isWanted = await state.mutation(internal.generations.copied, { generationId, cursor: page.cursor, done });
      return { cursor: isWanted ? page.cursor : null, count: page.copied };
    },
    { signal, from: from.cursor },
  );
}

/** Page after page, at the pace of the space. Gives the sum of what the pages counted. */
async function walk(
  page: (cursor: string | null) => Promise<{ readonly cursor: string | null; readonly count: number }>,
  { signal, from = null }: { readonly signal: AbortSignal; readonly from?: string | null },
): Promise<number> {
  let sum = 0;
  let cursor = from;
  do {
    signal.throwIfAborted();
    const at = await page(cursor);
    sum += at.count;
    cursor = at.cursor;
  } while (cursor !== null);
  return sum;
}
