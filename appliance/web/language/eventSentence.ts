import type { EventType, EventView } from "../../../convex/model/event.ts";
import type { Language, Words } from "./words.ts";

/** Where the name stands in the English sentence of each type. What does not match is shown as it came. */
const names: Record<EventType, RegExp> = {
  documentReady: /^(.+) is ready\.$/su,
  documentUnreadable: /^(.+): /su,
  documentForgotten: /^(.+) is forgotten\.$/su,
  jobDead: /^(.+) could not be (?:read|forgotten): /su,
  workerLost: /^The worker (.+) went silent/su,
};

/** What happened, in the owner's language. The appliance records one English sentence. */
export function eventSentence(event: Pick<EventView, "type" | "text">, language: Language, words: Words): string {
  if (language === "en") return event.text;
  const name = names[event.type].exec(event.text)?.[1];
  return name === undefined ? event.text : words.events[event.type](name);
}
