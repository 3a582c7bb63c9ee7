import { internal } from "../../convex/_generated/api.js";
import { toNikaError } from "../../convex/model/error.ts";
import { logCharsMax, type RunFacts, type Trigger } from "../../convex/model/userFunction.ts";
import { defineCall } from "../define.ts";
import type { UserReply } from "../ports/userFunctions.ts";

/** Who waits this long is better served by a job. */
const deadlineMs = 5 * 60_000;

export type FunctionCall = {
  readonly name: string;
  /** JSON text. */
  readonly input: string;
  readonly trigger: Extract<Trigger, "call" | "agent" | "schedule">;
};

/** What who waited for it gets. */
export type FunctionAnswer = {
  readonly ok: boolean;
  /** JSON text, when it went well. */
  readonly output?: string;
  readonly error?: { readonly code: string; readonly message: string };
  readonly log: string;
  readonly facts?: RunFacts;
};

let calls = 0;

/** Runs a function that the owner wrote, for somebody who waits. It is never tried again; its only write is the run it leaves behind. */
export const callFunction = defineCall({
  name: "functions.call",
  needs: ["state", "clock", "userFunctions"],
  deadlineMs,
  run: async ({ name, input, trigger }: FunctionCall, { state, clock, userFunctions }, signal): Promise<FunctionAnswer> => {
    const createdAt = clock.now();
    let log = "";
    let reply: UserReply;
    const onLog = (text: string): void => void (log.length < 4 * logCharsMax && (log += text));
    const about = { id: `call-${createdAt.toString(36)}-${(calls += 1)}`, attempt: 1, trigger };
    try {
      if (!userFunctions) throw new Error("this process has no functions of the owner's");
      reply = await userFunctions.call({ name, input, about, signal, onLog, onProgress: () => {} });
    } catch (thrown) {
      const { code, message } = toNikaError(thrown);
      if (code === "missing" || code === "denied" || code === "bug") throw thrown;
      reply = { type: "failed", code: code === "cancelled" || code === "timeout" ? "timeout" : "invalid", message, retry: false };
    }
    const isDone = reply.type === "done";
    const told = {
      ...(reply.type === "done" ? { output: reply.output } : { error: { code: reply.code as string, message: reply.message } }),
      ...(reply.facts && { facts: reply.facts }),
    };
    const ran = { name, trigger, state: isDone ? ("done" as const) : ("failed" as const), input, log, createdAt };
    // Who waits does not wait for this as well.
    state.mutation(internal.functions.recordCall, { ...ran, ...told }).catch(() => undefined);
    return { ok: isDone, ...told, log };
  },
});
