import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { wishOf } from "../../convex/model/schedule.ts";
import { defineFunction } from "../define.ts";

/** Does what a schedule is for, at one of its times. What came of it is kept with that time, and the owner is told. */
export const runSchedule = defineFunction({
  kind: "schedules.run",
  needs: ["state", "answers"],
  run: async ({ args: { occurrenceId, text }, signal }, { state, answers }) => {
    // A thousand reminders at one instant need not each ask what they are to say.
    if (text !== undefined) return { type: "done", result: { type: "said", text } };
    const due = await state.query(internal.schedules.forRun, { occurrenceId });
    signal.throwIfAborted();
    // It was edited or deleted since.
    if (!due) return { type: "done" };
    const { action, name, prompt } = due.schedule;
    const wish = wishOf({ name, prompt });
    switch (action.type) {
      case "remind":
        return { type: "done", result: { type: "said", text: wish } };
      case "upkeep":
      case "function":
        // The machine's cron does the one, a job of its own the other; no job of this kind is ever made of either.
        return { type: "done" };
      case "message": {
        const { target } = action;
        const targets = await state.query(internal.bridge.targetNames, {});
        if (!targets.includes(target)) throw new NikaError("missing", `There is no target ${target} any more.`);
        // Named after this time of the schedule, so that doing it again does not send it again.
        const from = `schedule: ${name}`;
        const sent = await state.mutation(internal.bridge.deliver, { target, text: wish, from, onceKey: occurrenceId });
        return {
          type: "done",
          result: { type: "said", text: `${sent.queued ? "Sent to" : "Waits already for"} ${target}: ${wish}` },
        };
      }
      case "ask": {
        const answer = await answers.ask(wish, signal);
        return { type: "done", result: { type: "said", text: answer ?? "Nothing in the vault bears on it." } };
      }
    }
  },
});
