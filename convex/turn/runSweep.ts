/** Throws away runs that ended long ago, with all they left. */
import type { Doc, Id } from "../_generated/dataModel.js";
import { runsKeptMax, runsKeptMs } from "../model/run.ts";
import type { Turn } from "./guard.ts";

/** One short transaction; the rest follows in the next. */
const rowsMax = 500;
const runsMax = 50;

/** Runs that are old, or more than are kept, oldest first. True when there may be more. */
export async function sweepRuns(turn: Turn): Promise<boolean> {
  const oldest = await turn.db
    .query("runs")
    .withIndex("by_parent", (q) => q.eq("parentId", undefined).gt("endedAt", 0))
    .take(runsKeptMax + runsMax);
  let excess = oldest.length - runsKeptMax;
  const old = oldest.filter((run) => (run.endedAt ?? 0) < turn.now - runsKeptMs || excess-- > 0).slice(0, runsMax);
  const left = { rows: rowsMax };
  for (const run of old) if (!(await drop(turn, run, left))) return true;
  return old.length === runsMax;
}

/** True when all of it is gone. */
async function drop(turn: Turn, run: Doc<"runs">, left: { rows: number }): Promise<boolean> {
  const runId = run._id;
  for await (const child of turn.db.query("runs").withIndex("by_parent", (q) => q.eq("parentId", runId)))
    if (!(await drop(turn, child, left))) return false;
  for (const rows of [
    turn.db.query("steps").withIndex("by_run", (q) => q.eq("runId", runId)),
    turn.db.query("signals").withIndex("by_run", (q) => q.eq("runId", runId)),
    turn.db.query("effects").withIndex("by_run", (q) => q.eq("runId", runId)),
    turn.db.query("waits").withIndex("by_run", (q) => q.eq("runId", runId)),
  ])
    for await (const { _id } of rows) {
      if (left.rows-- <= 0) return false;
      await turn.db.delete(_id as Id<"steps">);
    }
  for await (const { _id, storageId } of turn.db.query("runFiles").withIndex("by_run", (q) => q.eq("runId", runId))) {
    await turn.db.delete(_id);
    if (!(await isOfRun(turn, storageId))) await turn.storage.delete(storageId);
  }
  await turn.db.delete(runId);
  return true;
}

/** Whether a file holds what came of a run or of a step. */
export async function isOfRun({ db }: Pick<Turn, "db">, storageId: Id<"_storage">): Promise<boolean> {
  const row = await db
    .query("runFiles")
    .withIndex("by_storageId", (q) => q.eq("storageId", storageId))
    .first();
  return row !== null;
}
