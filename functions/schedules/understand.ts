import type { Rule } from "../../convex/model/recurrence.ts";
import { recurrenceLabel, type LabelLanguage } from "../../convex/model/recurrenceLabel.ts";
import { misfireFor, nameCharsMax, tasksMax, type Action, type ScheduleSpec, type Task } from "../../convex/model/schedule.ts";
import { readCall } from "../../ml/phrase/call.ts";
import { parsePhrase } from "../../ml/phrase/parse.ts";
import { backendFor, route } from "../../ml/phrase/route.ts";
import { splitTasks } from "../../ml/phrase/tasks.ts";
import { nextInstants } from "../../ml/time/next.ts";

/** A phrase as Nika understood it, to be looked at before it counts. */
export type Preview =
  | {
      readonly type: "rule";
      readonly spec: ScheduleSpec;
      readonly label: string;
      readonly language: LabelLanguage;
      /** The next three times; milliseconds since 1970. */
      readonly next: readonly number[];
      readonly assumptions: readonly string[];
      readonly warnings: readonly string[];
      /** When it is to stop, in the writer's words. */
      readonly stopWhen?: string;
    }
  | { readonly type: "ask"; readonly question: string; readonly language: LabelLanguage }
  | { readonly type: "none"; readonly language: LabelLanguage };

export type Wish = {
  readonly text: string;
  /** The writer's clock, IANA. */
  readonly zone: string;
  readonly now: number;
  /** Remote agents that take messages. */
  readonly targets?: readonly string[];
  /** The owner's functions. */
  readonly functions?: readonly string[];
  /** What is being changed; what the text leaves open stays. */
  readonly existing?: ScheduleSpec;
};

const previewed = 3;

/** What a phrase asks for, as a schedule that could be kept. Nothing is written. */
export function understand({ text, zone, now, existing, targets = [], functions = [] }: Wish): Preview {
  const understood = parsePhrase(text, { now, zone, ...(existing && { existing: existing.rule }) });
  if (understood.type !== "rule") return understood;
  const { rule, language, task, assumptions, warnings, stopWhen } = understood;
  const wanted = actionFor(task, { now, zone, targets, functions });
  const prompt = existing ? existing.prompt : (wanted.prompt ?? task);
  const spec: ScheduleSpec = {
    name: existing?.name ?? nameOf(task, rule, { language, zone }),
    prompt,
    rule,
    action: existing?.action ?? wanted.action,
    // A session and the machine's own crontab are asked for by whoever has one; words alone do not open them.
    backend: existing?.backend ?? (backendFor(understood) === "session" ? "session" : "persistent"),
    ...(existing?.sessionId !== undefined && { sessionId: existing.sessionId }),
    overlap: existing?.overlap ?? "skip",
    misfire: misfireFor(rule),
    phrase: text.trim(),
  };
  return {
    type: "rule",
    spec,
    label: recurrenceLabel(rule, { language, zone }),
    language,
    next: nextInstants(rule, now, previewed),
    assumptions,
    warnings,
    ...(stopWhen !== undefined && { stopWhen }),
  };
}

type Aim = {
  readonly now: number;
  readonly zone: string;
  readonly targets: readonly string[];
  readonly functions: readonly string[];
};

/**
 * A function that is named is run; a message to a known agent is sent to it, a question about what is written somewhere is asked; anything
 * else is for the owner to be told; several of these are a run. `prompt` is what is left of the task for that.
 */
function actionFor(task: string, aim: Aim): { readonly action: Action; readonly prompt?: string } {
  if (task === "") return { action: { type: "remind" } };
  const one = actionForOne(task, aim);
  const { tasks, isInTurn } = splitTasks(task);
  // What follows the name of an agent is its message to the end.
  if (one.action.type !== "message" && tasks.length > 1 && tasks.length <= tasksMax)
    return { action: { type: "run", isInTurn, tasks: tasks.map((text) => toTask(text, aim)) }, prompt: task };
  return one;
}

function toTask(text: string, aim: Aim): Task {
  const { action, prompt = text } = actionForOne(text, aim);
  return { text: prompt, action };
}

function actionForOne(task: string, aim: Aim): { readonly action: Task["action"]; readonly prompt?: string } {
  const call = readCall(task, aim.functions);
  if (call) return { action: { type: "function", name: call.name }, prompt: call.given };
  const { queryClass, target, message = "" } = route(task, aim);
  const known = aim.targets.find((name) => name === target);
  if (queryClass === "bridge_send" && known !== undefined && message.trim() !== "")
    return { action: { type: "message", target: known }, prompt: message.trim() };
  return { action: { type: queryClass === "ask_memory" ? "ask" : "remind" } };
}

function nameOf(task: string, rule: Rule, reader: { readonly language: LabelLanguage; readonly zone: string }): string {
  const name = task === "" ? recurrenceLabel(rule, reader) : task.charAt(0).toUpperCase() + task.slice(1);
  return Array.from(name.replaceAll(/\s+/gu, " ")).slice(0, Math.min(80, nameCharsMax)).join("").trim();
}
