/** Heartbeats of many machines in one write: two thousand machines beat two hundred times a second, and a write of each would take a quarter of a processor. */
import { internal } from "../../../convex/_generated/api.js";
import type { State } from "../../../functions/ports/state.ts";

type Write = typeof internal.machineBeats.beat;
type Beat = Write["_args"]["beats"][number];
type Answer = Write["_returnType"][number];
type Waiting = { readonly beat: Beat; readonly answer: PromiseWithResolvers<Answer> };

/** Those that come within this go together; a machine waits for its answer anyway, in ms. */
const gatheredMs = 50;
const togetherMax = 100;

/** Tells one beat, together with others that come about now. Rejects when the write they went with failed. */
export function gatherBeats(state: State): (beat: Beat) => Promise<Answer> {
  let waiting: Waiting[] = [];

  async function write(): Promise<void> {
    const together = waiting;
    waiting = [];
    try {
      const answers = await state.mutation(internal.machineBeats.beat, { beats: together.map(({ beat }) => beat) });
      for (const [i, { answer }] of together.entries()) answer.resolve(answers[i]!);
    } catch (error) {
      for (const { answer } of together) answer.reject(error);
    }
  }

  return (beat) => {
    const answer = Promise.withResolvers<Answer>();
    waiting.push({ beat, answer });
    if (waiting.length === 1) setTimeout(() => waiting.length > 0 && void write(), gatheredMs);
    else if (waiting.length === togetherMax) void write();
    return answer.promise;
  };
}
