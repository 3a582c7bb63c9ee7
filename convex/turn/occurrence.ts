/** One time of a schedule, noted and ended. Runs inside the transaction that decided it. */
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import type { JobStep, Outcome } from "../model/job.ts";
import { occurrencesKeptMax, type OccurrenceState } from "../model/schedule.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";

const batchMax = 200; // One short transaction; the rest follows in the next.
const textCharsMax = 2_000;

/** A time on which nothing was done. */
export async function note(
  turn: Turn,
  schedule: Doc<"schedules">,
  { at, state }: { at: number; state: OccurrenceState },
): Promise<void> {
  await turn.db.insert("occurrences", {
    scheduleId: schedule._id,
    version: schedule.version,
    at,
    state,
    isLate: false,
    endedAt: turn.now,
  });
}

/** A time whose whole work is to be told: done as it begins. */
export async function noteSaid(
  turn: Turn,
  { _id: scheduleId, version, name }: Doc<"schedules">,
  { at, isLate, text }: { at: number; isLate: boolean; text: string },
): Promise<void> {
  const said = text.slice(0, textCharsMax);
  await turn.db.insert("occurrences", { scheduleId, version, at, state: "done", isLate, endedAt: turn.now, text: said });
  await record(turn, { type: "scheduled", name, text });
}

/** The machine's cron held the run before to be still at it. */
const heldUp = 75;

/** The machine's cron did it. */
export async function noteHost(
  turn: Turn,
  schedule: Doc<"schedules">,
  { at, endedAt, code, text }: { at: number; endedAt: number; code: number; text: string },
): Promise<void> {
  const same = await turn.db
    .query("occurrences")
    .withIndex("by_schedule", (q) => q.eq("scheduleId", schedule._id).eq("at", at))
    .first();
  if (same) return;
  const state = code === 0 ? "done" : code === heldUp ? "skipped" : "failed";
  const said = text.slice(0, textCharsMax);
  await turn.db.insert("occurrences", {
    scheduleId: schedule._id,
    version: schedule.version,
    at,
    state,
    isLate: false,
    endedAt,
    text: said,
  });
  // Upkeep that went well is no news.
  if (state === "failed") await record(turn, { type: "scheduleFailed", name: schedule.name, text: said });
  await trim(turn, schedule);
}

/** Its job is over. */
export async function occurrenceEnded(turn: Turn, job: Doc<"jobs">, step: JobStep, outcome?: Outcome): Promise<void> {
  const occurrence = "occurrenceId" in job.args ? await turn.db.get(job.args.occurrenceId) : null;
  if (occurrence?.state !== "open") return;
  const said = outcome?.type === "done" && outcome.result?.type === "said" ? outcome.result.text : step.error?.message;
  const state = step.state === "done" ? "done" : step.state === "cancelled" ? "cancelled" : "failed";
  await endOccurrence(turn, occurrence._id, { state, name: job.label, said });
}

type OccurrenceEnd = {
  readonly state: "done" | "failed" | "cancelled";
  readonly name: string;
  readonly said: string | undefined;
};

/** What came of one time, told to the owner and kept with it. One that has ended stays as it ended. */
export async function endOccurrence(turn: Turn, id: Id<"occurrences">, { state, name, said }: OccurrenceEnd): Promise<void> {
  const occurrence = await turn.db.get(id);
  if (occurrence?.state !== "open") return;
  if (said !== undefined && state !== "cancelled") {
    await record(turn, { type: state === "done" ? "scheduled" : "scheduleFailed", name, text: said });
  }
  await turn.db.patch(occurrence._id, {
    state,
    endedAt: turn.now,
    ...(said !== undefined && { text: said.slice(0, textCharsMax) }),
  });
}

/** The oldest go as new ones come, once there are many. */
export async function trim(turn: Turn, { _id, fired }: Doc<"schedules">): Promise<void> {
  if (fired <= occurrencesKeptMax) return;
  const oldest = await turn.db
    .query("occurrences")
    .withIndex("by_schedule", (q) => q.eq("scheduleId", _id))
    .take(2);
  for (const occurrence of oldest) if (occurrence.state !== "open") await turn.db.delete(occurrence._id);
}

/** In steps, since a schedule may have had many times. */
export async function dropOccurrences(turn: Turn, scheduleId: Id<"schedules">): Promise<void> {
  const some = await turn.db
    .query("occurrences")
    .withIndex("by_schedule", (q) => q.eq("scheduleId", scheduleId))
    .take(batchMax);
  for (const { _id } of some) await turn.db.delete(_id);
  if (some.length === batchMax) await turn.scheduler.runAfter(0, internal.occurrences.drop, { scheduleId });
}
