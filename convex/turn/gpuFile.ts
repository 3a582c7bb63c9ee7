/** Whose the stored files of GPU jobs are, and what is thrown away of jobs that ended long ago. */
import type { Doc, Id } from "../_generated/dataModel.js";
import { gpuJobsKeptMax, gpuJobsKeptMs, quotesKeptMs, totalsKeptMs } from "../model/gpuJob.ts";
import type { Turn } from "./guard.ts";
import { isOfRun } from "./runSweep.ts";

/** One short transaction; the rest follows in the next. Pieces of output are large. */
const jobsMax = 20;
const rowsMax = 200;
const logsMax = 16;

/** From here on a file is kept for as long as the job is, or until it is let go of. */
export async function keepGpuFile(turn: Turn, gpuJobId: Id<"gpuJobs">, storageId: Id<"_storage">): Promise<void> {
  await turn.db.insert("gpuFiles", { gpuJobId, storageId });
}

/** The file goes once no job or run holds it: work sent twice may be the same payload. */
export async function dropGpuFile(turn: Turn, gpuJobId: Id<"gpuJobs">, storageId: Id<"_storage">): Promise<void> {
  const rows = turn.db.query("gpuFiles").withIndex("by_storageId", (q) => q.eq("storageId", storageId));
  const row = await rows.filter((q) => q.eq(q.field("gpuJobId"), gpuJobId)).first();
  if (row) await dropRow(turn, row);
}

async function dropRow(turn: Turn, { _id, storageId }: Doc<"gpuFiles">): Promise<void> {
  await turn.db.delete(_id);
  if (!(await isOfGpuJob(turn, storageId)) && !(await isOfRun(turn, storageId))) await turn.storage.delete(storageId);
}

/** Whether a file is a job's payload, checkpoint or result. */
export async function isOfGpuJob({ db }: Pick<Turn, "db">, storageId: Id<"_storage">): Promise<boolean> {
  const rows = db.query("gpuFiles").withIndex("by_storageId", (q) => q.eq("storageId", storageId));
  return (await rows.first()) !== null;
}

/** Ended jobs that are old, or more than are kept, with their files and output; quotes nobody may take; sums of long ago. True when there may be more. */
export async function sweepGpu(turn: Turn): Promise<boolean> {
  return [await sweepJobs(turn), await sweepQuotes(turn), await sweepTotals(turn)].includes(true);
}

async function sweepJobs(turn: Turn): Promise<boolean> {
  const newest = await turn.db
    .query("gpuJobs")
    .withIndex("by_endedAt", (q) => q.gt("life.endedAt", 0))
    .order("desc")
    .take(gpuJobsKeptMax);
  const last = newest.length < gpuJobsKeptMax ? undefined : newest.at(-1)?.life.endedAt;
  const until = Math.max(turn.now - gpuJobsKeptMs, last ?? 0);
  const old = await turn.db
    .query("gpuJobs")
    .withIndex("by_endedAt", (q) => q.gt("life.endedAt", 0).lt("life.endedAt", until))
    .take(jobsMax);
  for (const job of old) if (!(await drop(turn, job))) return true;
  return old.length === jobsMax;
}

/** True when all of it is gone. */
async function drop(turn: Turn, { _id: gpuJobId }: Doc<"gpuJobs">): Promise<boolean> {
  const logs = await turn.db
    .query("gpuLogs")
    .withIndex("by_job", (q) => q.eq("gpuJobId", gpuJobId))
    .take(logsMax);
  for (const { _id } of logs) await turn.db.delete(_id);
  if (logs.length === logsMax) return false;
  const files = await turn.db
    .query("gpuFiles")
    .withIndex("by_job", (q) => q.eq("gpuJobId", gpuJobId))
    .take(rowsMax);
  for (const file of files) await dropRow(turn, file);
  if (files.length === rowsMax) return false;
  await turn.db.delete(gpuJobId);
  return true;
}

async function sweepQuotes(turn: Turn): Promise<boolean> {
  const old = await turn.db
    .query("gpuQuotes")
    .withIndex("by_until", (q) => q.lt("until", turn.now - quotesKeptMs))
    .take(rowsMax);
  for (const { _id } of old) await turn.db.delete(_id);
  return old.length === rowsMax;
}

/** A sum is begun on its day, but for the one of all that lives. */
async function sweepTotals(turn: Turn): Promise<boolean> {
  const old = await turn.db
    .query("gpuTotals")
    .withIndex("by_creation_time", (q) => q.lt("_creationTime", turn.now - totalsKeptMs))
    .take(rowsMax);
  const dated = old.filter(({ name, reserved }) => name !== "live" && reserved === 0);
  for (const { _id } of dated) await turn.db.delete(_id);
  return dated.length === rowsMax;
}
