import type { EventView } from "../../../convex/model/event.ts";
import type { Language, Words } from "./words.ts";

/** What happened, in the owner's language. The appliance's own English sentence says more, so English shows that. */
export function eventSentence(event: Pick<EventView, "type" | "name" | "text">, language: Language, words: Words): string {
  return language === "en" ? event.text : words.events[event.type](event.name);
}
