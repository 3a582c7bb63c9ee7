/**
 * Doors that only so many jobs are through at a time: for a key, one; for a kind, its limit. A job that is not through all of its own is
 * not due, so that the front of a lane is never full of jobs nobody may take, and a claim need not look at doors at all.
 */
import type { Doc, Id } from "../_generated/dataModel.js";
import { parkedUntil } from "../model/job.ts";
import type { Gate } from "../model/lane.ts";
import type { Turn } from "./guard.ts";

type Guest = { readonly _id: Id<"jobs">; readonly gates?: readonly Gate[]; readonly rank: number };

/** The job wants to be worked on. True when it is through all its doors; otherwise it stands in line at the first that is full. */
export async function enter(turn: Turn, { _id: jobId, gates = [], rank }: Guest): Promise<boolean> {
  const passed = gates.length === 0 ? [] : await rowsOf(turn, jobId);
  for (const { name, limit } of gates) {
    if (passed.some((row) => row.name === name && row.isIn)) continue;
    const isIn = await hasRoom(turn, { name, limit });
    await turn.db.insert("gates", { name, limit, jobId, isIn, rank });
    if (!isIn) return false;
  }
  return true;
}

/** It is over, or waits for something else: whoever stood in line longest comes in. */
export async function leave(turn: Turn, { _id: jobId, gates = [] }: Guest): Promise<void> {
  if (gates.length === 0) return;
  const rows = await rowsOf(turn, jobId);
  for (const row of rows) await turn.db.delete(row._id);
  for (const row of rows) if (row.isIn) await admit(turn, row.name);
}

async function admit(turn: Turn, name: string): Promise<void> {
  const next = await turn.db
    .query("gates")
    .withIndex("by_name", (q) => q.eq("name", name).eq("isIn", false))
    .first();
  // Somebody may have come in by another door of the same job meanwhile.
  if (!next || !(await hasRoom(turn, next))) return;
  await turn.db.patch(next._id, { isIn: true });
  const job = await turn.db.get(next.jobId);
  // Its place in the lane is that of one who came now: keys with much to do must not go before keys with little.
  if (job && (await enter(turn, job))) await turn.db.patch(job._id, { isDue: true, isGated: undefined, readyAt: turn.now });
}

async function hasRoom(turn: Turn, { name, limit }: Gate): Promise<boolean> {
  const inside = await turn.db
    .query("gates")
    .withIndex("by_name", (q) => q.eq("name", name).eq("isIn", true))
    .take(limit);
  return inside.length < limit;
}

const rowsOf = (turn: Turn, jobId: Id<"jobs">): Promise<Doc<"gates">[]> =>
  turn.db
    .query("gates")
    .withIndex("by_jobId", (q) => q.eq("jobId", jobId))
    .collect();

/** How its row says that it stands in line. */
export const inLine = { isDue: false, isGated: true, readyAt: parkedUntil } as const;
