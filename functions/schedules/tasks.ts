import { NikaError, toNikaError } from "../../convex/model/error.ts";
import { promptCharsMax, tasksMax, type Task } from "../../convex/model/schedule.ts";
import { defineRun, type RunContext } from "../defineRun.ts";
import type { Ports } from "../define.ts";
import { doTask } from "./act.ts";

type Args = { readonly name: string; readonly tasks: readonly Task[]; readonly isInTurn: boolean };
type Outcome = { readonly isDone: boolean; readonly text: string };

/**
 * Does several things, each a step with a state of its own: together, or one after the other. One that fails does not keep the others from
 * being done; then the run fails, and says what was done and what was not.
 */
export const runTasks = defineRun(
  "schedules.tasks",
  async (context, { name, tasks, isInTurn }: Args, ports: Pick<Ports, "state" | "answers">) => {
    const one = async (scope: RunContext, task: Task, i: number): Promise<Outcome> => {
      try {
        const text = await scope.step(`task ${i + 1}`, ({ signal, key }) => doTask(task, { signal, name, onceKey: key }, ports), {
          label: saidOf(task).slice(0, 200),
          input: { text: task.text, action: task.action },
          ...(task.action.type === "message" && { effect: "idempotent" }),
        });
        return { isDone: true, text };
      } catch (error) {
        return { isDone: false, text: `${saidOf(task)}: ${toNikaError(error).message}` };
      }
    };
    const outcomes: Outcome[] = [];
    if (isInTurn) for (const [i, task] of tasks.entries()) outcomes.push(await one(context, task, i));
    else {
      const branches = tasks.map((task, i) => [`${i + 1}`, (scope: RunContext) => one(scope, task, i)] as const);
      outcomes.push(...Object.values(await context.parallel(Object.fromEntries(branches))));
    }
    const said = outcomes.map(({ isDone, text }) => (isDone ? `• ${text}` : `• (failed) ${text}`)).join("\n");
    const done = outcomes.filter(({ isDone }) => isDone).length;
    if (done < outcomes.length) throw new NikaError("conflict", `${done} of ${outcomes.length} were done.\n${said}`);
    return said;
  },
  { needs: ["state", "answers"], parse: toArgs },
);

const saidOf = ({ text, action }: Task): string => (action.type === "function" ? `${action.name} ${text}`.trim() : text);

function toArgs(given: unknown): Args {
  const { name, tasks, isInTurn = false } = (typeof given === "object" && given !== null ? given : {}) as Record<string, unknown>;
  if (!Array.isArray(tasks) || tasks.length === 0 || tasks.length > tasksMax)
    throw new NikaError(
      "invalid",
      `Name 1 to ${tasksMax} "tasks", such as {"text": "call the bank", "action": {"type": "remind"}}.`,
    );
  if (typeof isInTurn !== "boolean") throw new NikaError("invalid", `"isInTurn" must be true or false.`);
  return { name: typeof name === "string" ? name : "Tasks", tasks: tasks.map(toTask), isInTurn };
}

/** A task as somebody wrote it: a text alone is to be told. Fails with `invalid`. */
export function toTask(given: unknown): Task {
  const { text, action } = (typeof given === "object" && given !== null ? given : { text: given }) as Record<string, unknown>;
  const told = typeof action === "object" && action !== null ? action : { type: action ?? "remind" };
  const { type, target, name } = told as Record<string, unknown>;
  if (type === "function" && typeof name === "string" && name !== "" && text === undefined)
    return { text: "", action: { type, name } };
  if (typeof text !== "string" || (text.trim() === "" && type !== "function") || text.length > promptCharsMax)
    throw new NikaError("invalid", `A task has a "text" of 1 to ${promptCharsMax} characters.`);
  if (type === "function" && typeof name === "string" && name !== "") return { text, action: { type, name } };
  if (type === "remind" || type === "ask") return { text, action: { type } };
  if (type === "message" && typeof target === "string" && target !== "") return { text, action: { type, target } };
  throw new NikaError("invalid", `A task's "action" is remind, ask, message with a "target", or function with a "name".`);
}
