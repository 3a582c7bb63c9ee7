/** The schedule that a function's manifest asks for. Made when it is not there, changed with its words, taken back with them. */
import type { ScheduleSpec, ScheduleView } from "../../convex/model/schedule.ts";
import type { Preview } from "../../functions/schedules/understand.ts";

/** What it asks of schedules. */
export type Planner = {
  readonly zone: string;
  readonly list: () => Promise<readonly ScheduleView[]>;
  readonly understand: (wish: { readonly text: string; readonly zone: string }) => Promise<Preview>;
  readonly keep: (spec: ScheduleSpec) => Promise<ScheduleView>;
  readonly remove: (id: string) => Promise<void>;
};

/** Returns the sentence to show when the words are no time. One that the owner turned off stays off as long as the words are the same. */
export async function declare(planner: Planner, name: string, phrase: string | undefined): Promise<string | undefined> {
  const mine = (await planner.list()).filter(
    ({ action }) => action.type === "function" && action.name === name && action.isDeclared === true,
  );
  const same = mine.find((one) => one.phrase === phrase);
  for (const one of mine) if (one !== same) await planner.remove(one.id);
  if (phrase === undefined || same) return undefined;
  const preview = await planner.understand({ text: phrase, zone: planner.zone });
  if (preview.type === "ask") return `Its schedule "${phrase}" is not clear: ${preview.question}`;
  if (preview.type === "none") return `Its schedule "${phrase}" names no time; say when, such as "every Monday at 8 AM".`;
  await planner.keep({
    ...preview.spec,
    name,
    prompt: "",
    action: { type: "function", name, isDeclared: true },
    backend: "persistent",
    phrase,
  });
  return undefined;
}
