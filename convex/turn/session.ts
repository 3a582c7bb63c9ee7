/** Sessions: held by whoever began them, again and again. When one is over, so is what was asked for in it. */
import { internal } from "../_generated/api.js";
import type { Doc } from "../_generated/dataModel.js";
import { NikaError } from "../model/error.ts";
import { holdMsMax, sessionMsMax } from "../model/schedule.ts";
import type { Turn } from "./guard.ts";
import { dropSchedule } from "./schedule.ts";

const sessionsMax = 1_000;
/** Schedules of one session that end in one transaction. */
const schedulesMax = 500;

/** Both in ms since 1970: until when it is held, and when it ends whoever holds it. */
export type Held = { readonly until: number; readonly endsAt: number };

/** It lives that much longer. Fails with `invalid` when it cannot be held so long, or is over. */
export async function prolongSession(turn: Turn, sessionId: string, holdMs: number): Promise<Held> {
  if (!(holdMs >= 1_000 && holdMs <= holdMsMax))
    throw new NikaError("invalid", `A session is held for 1 second to ${holdMsMax / 60_000} minutes at a time.`);
  const session = await findSession(turn, sessionId);
  const startedAt = session?.startedAt ?? turn.now;
  const endsAt = startedAt + sessionMsMax;
  if (endsAt <= turn.now) throw new NikaError("invalid", "A session lasts a day at most; begin another one.");
  const until = Math.min(turn.now + holdMs, endsAt);
  if (session) await turn.db.patch(session._id, { until, startedAt });
  else await turn.db.insert("sessions", { sessionId, until, startedAt });
  await turn.scheduler.runAt(until, internal.schedules.endSilent, { sessionId });
  return { until, endsAt };
}

/** Fails with `missing` when nobody holds it now. */
export async function mustBeHeld(turn: Turn, sessionId: string): Promise<void> {
  if (((await findSession(turn, sessionId))?.until ?? 0) <= turn.now)
    throw new NikaError("missing", "That session is over; hold it before something is kept with it.");
}

/** It is over, and with it what was asked for in it. Does nothing when it was before. */
export async function closeSession(turn: Turn, sessionId: string): Promise<void> {
  const session = await findSession(turn, sessionId);
  if (session) await end(turn, session);
}

/** It was to be held again by now. Does nothing when it was. */
export async function closeSilentSession(turn: Turn, sessionId: string): Promise<void> {
  const session = await findSession(turn, sessionId);
  if (session && session.until <= turn.now) await end(turn, session);
}

/** All that nobody holds any more. */
export async function closeSilentSessions(turn: Turn): Promise<void> {
  const ended = await turn.db
    .query("sessions")
    .withIndex("by_until", (q) => q.lt("until", turn.now))
    .take(sessionsMax);
  for (const session of ended) await end(turn, session);
}

async function findSession(turn: Turn, sessionId: string): Promise<Doc<"sessions"> | null> {
  return turn.db
    .query("sessions")
    .withIndex("by_sessionId", (q) => q.eq("sessionId", sessionId))
    .unique();
}

async function end(turn: Turn, session: Doc<"sessions">): Promise<void> {
  const mine = await turn.db
    .query("schedules")
    .withIndex("by_sessionId", (q) => q.eq("sessionId", session.sessionId))
    .take(schedulesMax);
  for (const schedule of mine) await dropSchedule(turn, schedule);
  await turn.db.delete(session._id);
}
