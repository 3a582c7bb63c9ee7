import type { Id } from "../_generated/dataModel.js";
import type { EventType } from "../model/event.ts";
import type { Turn } from "./guard.ts";

/** One line for the owner, in the transaction that made it true. */
export async function record(
  turn: Turn,
  event: { type: EventType; name: string; text: string; documentId?: Id<"documents"> },
): Promise<void> {
  turn.tally.add("events", "held", 1);
  await turn.db.insert("events", { at: turn.now, ...event });
}
