/** What is said to runs from outside. */
import { v } from "convex/values";
import { NikaError } from "./model/error.ts";
import { stepKeyPattern } from "./model/run.ts";
import { ownerMutation, systemMutation, type Turn } from "./turn/guard.ts";
import { mustGetRun } from "./turn/run.ts";
import { sendSignal } from "./turn/runNews.ts";
import type { Id } from "./_generated/dataModel.js";

/** The owner says something to a run; it is kept until a step of it asks for this kind. `body` is JSON. */
export const send = ownerMutation({
  args: { id: v.id("runs"), kind: v.string(), body: v.string() },
  returns: v.null(),
  handler: async (turn, { id, kind, body }) => {
    await deliverTo(turn, { id, kind, body, from: "owner" });
    return null;
  },
});

/** The same, for parts of the appliance. */
export const deliver = systemMutation({
  args: { id: v.id("runs"), kind: v.string(), body: v.string(), from: v.string() },
  returns: v.null(),
  handler: async (turn, signal) => {
    await deliverTo(turn, signal);
    return null;
  },
});

type Sent = { readonly id: Id<"runs">; readonly kind: string; readonly body: string; readonly from: string };

async function deliverTo(turn: Turn, { id, kind, body, from }: Sent): Promise<void> {
  if (!stepKeyPattern.test(kind))
    throw new NikaError("invalid", "The kind of a signal has 1 to 80 characters, none of them / or #.");
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new NikaError("invalid", `What is said to a run must be JSON, such as {"ok": true}.`, { cause });
  }
  await sendSignal(turn, await mustGetRun(turn, id), { kind, body: JSON.stringify(value), from });
}
