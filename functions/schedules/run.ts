import { internal } from "../../convex/_generated/api.js";
import { wishOf } from "../../convex/model/schedule.ts";
import { defineFunction } from "../define.ts";
import { doTask } from "./act.ts";

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
      case "run":
        // It was begun as a run, with the occurrence.
        return { type: "done" };
      case "learn": {
        const { deploys, lora } = action;
        const said = await state.mutation(internal.models.trainDue, { deploys, ...(lora && { lora }) });
        return { type: "done", ...(said !== null && { result: { type: "said", text: said } }) };
      }
      case "message":
      case "ask": {
        // Named after this time of the schedule.
        const doing = { signal, name, onceKey: occurrenceId };
        return { type: "done", result: { type: "said", text: await doTask({ text: wish, action }, doing, { state, answers }) } };
      }
    }
  },
});
