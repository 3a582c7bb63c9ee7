import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { Task } from "../../convex/model/schedule.ts";
import type { Ports } from "../define.ts";

type Doing = {
  readonly signal: AbortSignal;
  /** Whose name a message bears. */
  readonly name: string;
  /** The same for each try: doing it again does not send it again. */
  readonly onceKey: string;
};

/** Does one thing that a schedule is for, and says what came of it. */
export async function doTask(
  { text, action }: Task,
  { signal, name, onceKey }: Doing,
  { state, answers }: Pick<Ports, "state" | "answers">,
): Promise<string> {
  switch (action.type) {
    case "remind":
      return text;
    case "message": {
      const { target } = action;
      const targets = await state.query(internal.bridge.targetNames, {});
      if (!targets.includes(target)) throw new NikaError("missing", `There is no target ${target} any more.`);
      const sent = await state.mutation(internal.bridge.deliver, { target, text, from: `schedule: ${name}`, onceKey });
      return `${sent.queued ? "Sent to" : "Waits already for"} ${target}: ${text}`;
    }
    case "ask":
      return (await answers.ask(text, signal)) ?? "Nothing in the vault bears on it.";
    case "function":
      return `${action.name}: ${await answers.call(action.name, text, signal)}`;
  }
}
