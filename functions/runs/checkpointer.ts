import type { FunctionArgs, FunctionReturnType } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import type { State } from "../ports/state.ts";

export type Boundary = FunctionArgs<typeof internal.runs.advance>["boundaries"][number];
/** What a boundary says besides who says it. */
export type Part = Pick<Boundary, "ended" | "again" | "begun" | "looks" | "next">;
/** How a run is left. */
export type Next = NonNullable<Boundary["next"]>;
export type Answer = FunctionReturnType<typeof internal.runs.advance>[number];

/** Boundaries of all runs of this process on their way to the control plane. */
export type Checkpointer = { readonly send: (boundary: Boundary) => Promise<Answer> };

const togetherMax = 64;
/** One is being written while the next is being answered. */
const inFlightMax = 2;

type Entry = { readonly boundary: Boundary; readonly done: (answer: Answer) => void; readonly fail: (error: unknown) => void };

/** What comes while others are under way goes along with the next, so that a busy worker writes many in one commit. */
export function openCheckpointer(state: State): Checkpointer {
  let waiting: Entry[] = [];
  let inFlight = 0;

  const write = async (entries: readonly Entry[]): Promise<void> => {
    try {
      const answers = await state.mutation(internal.runs.advance, { boundaries: entries.map(({ boundary }) => boundary) });
      for (const [i, entry] of entries.entries()) entry.done(answers[i] as Answer);
    } catch (error) {
      // One that cannot be written does not spoil the others.
      if (entries.length === 1) return entries[0]?.fail(error);
      for (const entry of entries) await write([entry]);
    }
  };
  const go = (): void => {
    while (inFlight < inFlightMax && waiting.length > 0) {
      inFlight += 1;
      void write(waiting.splice(0, togetherMax)).finally(() => {
        inFlight -= 1;
        go();
      });
    }
  };
  return {
    send(boundary) {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      waiting.push({ boundary, done: resolve, fail: reject });
      go();
      return promise;
    },
  };
}
