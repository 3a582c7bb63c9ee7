/**
 * Scheduled functions and crons, as far as they must be found when due. What `ctx.db.system` shows of them are ordinary documents of
 * `_scheduled_functions`, written beside these rows in the same transaction.
 */
import type { DatabaseSync } from "node:sqlite";

export type JobRow = {
  readonly id: Uint8Array;
  readonly path: string;
  readonly args: string;
  readonly kind: "mutation" | "action";
  readonly atMs: number;
};
export type CronRow = {
  readonly name: string;
  readonly path: string;
  readonly args: string;
  readonly schedule: string;
  readonly nextMs: number;
};
/** `done` covers success, failure and cancel: nothing is left to do but to sweep it. `atMs` is then when it ended. */
export type JobState = "pending" | "running" | "done";

export type Jobs = ReturnType<typeof openJobs>;

export function openJobs(db: DatabaseSync) {
  const add = db.prepare("INSERT INTO jobs (id, path, args, kind, state, atMs) VALUES (?, ?, ?, ?, 'pending', ?)");
  const state = db.prepare("SELECT state FROM jobs WHERE id = ?");
  const move = db.prepare("UPDATE jobs SET state = ?, atMs = ? WHERE id = ?");
  const due = db.prepare(
    "SELECT id, path, args, kind, atMs FROM jobs WHERE state = 'pending' AND atMs <= ? ORDER BY atMs LIMIT ?",
  );
  const inState = db.prepare("SELECT id, path, args, kind, atMs FROM jobs WHERE state = ? AND atMs <= ? LIMIT ?");
  const drop = db.prepare("DELETE FROM jobs WHERE id = ?");
  const next = db.prepare(
    "SELECT min(atMs) AS atMs FROM (SELECT min(atMs) AS atMs FROM jobs WHERE state = 'pending' UNION ALL SELECT min(nextMs) FROM crons WHERE isRunning = 0)",
  );
  const crons = db.prepare("SELECT name, path, args, schedule, nextMs FROM crons ORDER BY name");
  const dueCrons = db.prepare(
    "SELECT name, path, args, schedule, nextMs FROM crons WHERE isRunning = 0 AND nextMs <= ? ORDER BY nextMs",
  );
  const findCron = db.prepare("SELECT name, path, args, schedule, nextMs FROM crons WHERE name = ?");
  const putCron = db.prepare(
    "INSERT OR REPLACE INTO crons (name, path, args, schedule, nextMs, isRunning) VALUES (?, ?, ?, ?, ?, 0)",
  );
  const moveCron = db.prepare("UPDATE crons SET nextMs = ?, isRunning = ? WHERE name = ?");
  const pullCron = db.prepare("UPDATE crons SET nextMs = ? WHERE name = ?");
  const dropCron = db.prepare("DELETE FROM crons WHERE name = ?");
  const runningCrons = db.prepare("SELECT name FROM crons WHERE isRunning = 1");
  const stopCron = db.prepare("UPDATE crons SET isRunning = 0 WHERE name = ?");
  return {
    add: (job: JobRow) => void add.run(job.id, job.path, job.args, job.kind, job.atMs),
    state: (id: Uint8Array) => (state.get(id) as { state: JobState } | undefined)?.state,
    move: (id: Uint8Array, to: JobState, atMs: number) => void move.run(to, atMs, id),
    due: (nowMs: number, limit: number) => due.all(nowMs, limit) as unknown as JobRow[],
    inState: (wanted: JobState, beforeMs: number, limit: number) => inState.all(wanted, beforeMs, limit) as unknown as JobRow[],
    drop: (id: Uint8Array) => void drop.run(id),
    nextMs: () => (next.get() as { atMs: number | null }).atMs ?? undefined,
    crons: () => crons.all() as unknown as CronRow[],
    dueCrons: (nowMs: number) => dueCrons.all(nowMs) as unknown as CronRow[],
    findCron: (name: string) => findCron.get(name) as unknown as CronRow | undefined,
    putCron: (cron: CronRow) => void putCron.run(cron.name, cron.path, cron.args, cron.schedule, cron.nextMs),
    moveCron: (name: string, nextMs: number, isRunning: boolean) => void moveCron.run(nextMs, isRunning ? 1 : 0, name),
    /** Runs or not: only its next time changes. */
    pullCron: (name: string, nextMs: number) => void pullCron.run(nextMs, name),
    dropCron: (name: string) => void dropCron.run(name),
    runningCrons: () => runningCrons.all() as { name: string }[],
    stopCron: (name: string) => void stopCron.run(name),
  };
}
