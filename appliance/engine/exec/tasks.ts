/** What the transaction thread does for each kind of task. Every one that writes does so in a savepoint of its own. */
import { administer } from "../admin/work.ts";
import { decodeId } from "../codec/id.ts";
import { DeveloperError, type JsonObject } from "../codec/value.ts";
import type { Identity, RequestClient } from "../model/call.ts";
import type { DueJob } from "../model/job.ts";
import type { RunNote } from "../model/run.ts";
import { applyDeployment } from "../deploy/apply.ts";
import { nextRunMs, type CronSchedule } from "../deploy/schedule.ts";
import { encodeId } from "../codec/id.ts";
import { systemTables } from "../store/catalog.ts";
import { openAnswers } from "../store/answers.ts";
import { openFiles, type FileRow } from "../store/files.ts";
import { fullDiskMessage, isDiskFull } from "../store/full.ts";
import { openJobs, type CronRow, type JobRow } from "../store/jobs.ts";
import { Store } from "../store/store.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import { addFile, answer, closeStreams, endJob, openRun, type Run, type Surroundings } from "../txn/syscalls.ts";
import { Transaction, type Write } from "../txn/transaction.ts";
import { clientMessage, type Guarded, type Outcome } from "./driver.ts";
import type { ReadyMessage, Reply, TableNames, Task, TaskMessage, WorkerSetup } from "./message.ts";
import { openRunner, type Runner } from "./runner.ts";
import { openSavepoints } from "./savepoints.ts";
import type { watched } from "./watch.ts";

export type Committed = { readonly ts: bigint; readonly writes: readonly Write[] };
export type Performed = { readonly reply: Reply; readonly commits: readonly Committed[]; readonly hasScheduled: boolean };

const jobsPerCall = 100; // So that clients' mutations get a turn between them.
const jobsMsPerCall = 100; // The same, for jobs that take long.
const sweptPerCall = 500;
const pagesGivenBack = 4000; // 16 MB a sweep, so that no mutation waits long for it.
const sessionsKeptMs = 14 * 24 * 3600 * 1000;
const jobsKeptMs = 7 * 24 * 3600 * 1000;
const blobsKeptMs = 10 * 60 * 1000;
const nobody: Identity = { type: "none" };

/** What tests put in place of the thread's own: a database in memory, and a runner for functions that were never bundled. */
export type TaskParts = {
  readonly store: Store;
  readonly runner: Runner;
  readonly functions: ReadonlyMap<string, FunctionEntry>;
};

export function openTasks(setup: Omit<WorkerSetup, "watch">, watch: ReturnType<typeof watched>, parts: Partial<TaskParts> = {}) {
  const store = parts.store ?? new Store(setup.dir, "write");
  const { db } = store;
  const jobs = openJobs(db);
  const files = openFiles(db, setup.dir);
  const logs: string[] = [];
  const secret = applyDeployment({ store, jobs, setup, log: (line) => logs.push(line) });
  const functions = parts.functions ?? new Map(setup.functions.map((one) => [one.path, one]));
  let reader: Store | undefined;
  const openSnapshot = () => {
    const opened = (reader ??= new Store(setup.dir, "read"));
    opened.db.exec("BEGIN");
    return { store: opened, close: () => opened.db.exec("COMMIT") };
  };
  const surroundings: Surroundings = { dir: setup.dir, functions, jobs, files, secret, ...(parts.store ? {} : { openSnapshot }) };
  const runner = parts.runner ?? openRunner(setup);
  const openSavepoint = openSavepoints(db);
  const answers = openAnswers(db);
  const giveBack = db.prepare(`PRAGMA incremental_vacuum(${pagesGivenBack})`);
  const ready: ReadyMessage = {
    type: "ready",
    ts: store.snapshot(),
    secret,
    tables: tableNames(store),
    logs,
  };

  const newRun = (options: {
    readonly origin: string;
    readonly identity?: Identity;
    readonly requestId?: string;
    readonly scheduledId?: string | undefined;
    readonly client?: RequestClient | undefined;
  }): Run => {
    const nowMs = Date.now();
    return openRun({
      surroundings,
      txn: new Transaction(store, { ts: store.nextTs(nowMs), nowMs, isWritable: true }),
      identity: options.identity ?? nobody,
      requestId: options.requestId ?? "",
      origin: options.origin,
      journal: null,
      scheduledId: options.scheduledId ?? null,
      client: options.client,
    });
  };

  const guardedBy = (run: Run): Guarded => ({
    savepoint: () => {
      const savepoint = openSavepoint();
      const mark = run.txn.mark();
      return {
        keep: savepoint.keep,
        undo: () => {
          savepoint.undo();
          run.txn.rewind(mark);
        },
      };
    },
  });

  const committed = (run: Run): readonly Committed[] =>
    run.txn.writes.length > 0 ? [{ ts: run.txn.ts, writes: run.txn.writes }] : [];

  /** Does `work` in a savepoint; what it throws undoes it. */
  const atomically = <T>(run: Run, work: () => T): T => {
    const savepoint = guardedBy(run).savepoint();
    try {
      const result = work();
      savepoint.keep();
      return result;
    } catch (error) {
      savepoint.undo();
      throw error;
    }
  };

  /** The same for a function of the app, which fails by its outcome. `after` runs in the savepoint of a success. */
  const runAtomically = async (
    options: { readonly run: Run; readonly entry: FunctionEntry; readonly args: string; readonly isJob?: true },
    after: (value: string, logLines: readonly string[]) => void,
  ): Promise<{ readonly outcome: Outcome; readonly logLines: readonly string[]; readonly ms: number }> => {
    const { run, entry, args } = options;
    const guarded = guardedBy(run);
    const savepoint = guarded.savepoint();
    try {
      const { outcome, logLines, ms } = await runner.run(entry, args, run, guarded);
      closeStreams(run);
      if (outcome.ok) {
        after(outcome.value, logLines);
        savepoint.keep();
      } else savepoint.undo();
      return { outcome, logLines, ms };
    } catch (error) {
      savepoint.undo();
      if (!db.isTransaction) throw error;
      // A client is told that the disk is full; a job waits for room.
      if (options.isJob && isDiskFull(error)) throw error;
      return { outcome: { ok: false, message: faultMessage(error), ...fullness(error) }, logLines: [], ms: 0 };
    }
  };

  const mutation = async ({ id, origin }: TaskMessage, { request, session }: Task & { type: "mutation" }): Promise<Performed> => {
    const stored = session && answers.find(session);
    if (stored) {
      const reply: Reply = {
        type: "mutation",
        result: { ok: true, value: stored.value },
        ts: stored.ts,
        logLines: JSON.parse(stored.logLines) as string[],
      };
      return { reply, commits: [], hasScheduled: false };
    }
    const entry = functions.get(request.path) as FunctionEntry;
    const run = newRun({ ...request, origin });
    watch.begin(id);
    const { outcome, logLines, ms } = await runAtomically({ run, entry, args: request.args }, (value, lines) => {
      if (session) answers.add(session, { ts: run.txn.ts, value, logLines: JSON.stringify(lines) }, run.txn.nowMs);
    });
    watch.end();
    if (!outcome.ok) {
      const result = { ...outcome, message: clientMessage(request.requestId, outcome.message) };
      return { reply: { type: "mutation", result, ts: null, logLines, ms }, commits: [], hasScheduled: false };
    }
    // A mutation that wrote nothing still has its place in time: its session's row, if nothing else, was committed at it.
    const commits = [{ ts: run.txn.ts, writes: run.txn.writes }];
    return {
      reply: { type: "mutation", result: outcome, ts: run.txn.ts, logLines, ms },
      commits,
      hasScheduled: run.hasScheduled,
    };
  };

  const syscall = ({ origin }: TaskMessage, task: Task & { type: "syscall" }): Performed => {
    const run = newRun({ ...task, origin });
    try {
      const value = atomically(run, () => answer(run, task.op, task.args, { path: "", kind: "mutation" }));
      return { reply: { type: "value", value }, commits: committed(run), hasScheduled: run.hasScheduled };
    } catch (error) {
      return { reply: refusalOrThrow(error), commits: [], hasScheduled: false };
    }
  };

  const storeFile = ({ origin }: TaskMessage, task: Task & { type: "storeFile" }): Performed => {
    const run = newRun({ origin });
    const file = atomically(run, () => addFile(run, task.file));
    return { reply: { type: "file", file }, commits: committed(run), hasScheduled: false };
  };

  /** One due mutation: it sees itself in progress, and its success is part of its own transaction. */
  const runJob = async (
    message: TaskMessage,
    job: JobRow,
    isCondemned: boolean,
  ): Promise<{ commits: readonly Committed[]; log?: string; note?: RunNote }> => {
    const id = encodeId(systemTables._scheduled_functions, job.id);
    const entry = functions.get(job.path);
    const run = newRun({ origin: message.origin, scheduledId: id });
    let failure = isCondemned ? timeoutMessage : entry ? undefined : `Couldn't find ${job.path}.`;
    let ran: Noted = { logLines: [], ms: 0 };
    if (entry && failure === undefined) {
      watch.begin(message.id, id);
      const guard = guardedBy(run).savepoint();
      setState(run, job, "running", { kind: "inProgress" });
      const { outcome, logLines, ms } = await runAtomically({ run, entry, args: job.args, isJob: true }, () => {
        endJob(run, documentOf(run, job), { kind: "success" });
      });
      ran = { logLines, ms };
      watch.end();
      if (outcome.ok) guard.keep();
      else {
        guard.undo();
        failure = outcome.message;
      }
    }
    const note = noteOf(job.path, "Scheduler", { ...ran, error: failure });
    if (failure === undefined) return { commits: committed(run), note };
    const reason = failure;
    atomically(run, () => endJob(run, documentOf(run, job), { kind: "failed", error: reason }));
    return { commits: committed(run), log: `scheduled ${job.path} failed: ${reason}`, note };
  };

  const documentOf = (run: Run, job: { readonly id: Uint8Array }): JsonObject => {
    const table = run.txn.tableNamed("_scheduled_functions");
    const json = table && run.txn.get(table, job.id);
    if (!json) throw new Error("A scheduled job has lost its row.");
    return JSON.parse(json) as JsonObject;
  };

  const setState = (run: Run, job: JobRow, state: "running", shown: JsonObject): void => {
    const table = run.txn.tableNamed("_scheduled_functions");
    const document = documentOf(run, job);
    const { _id, _creationTime, ...fields } = document;
    if (table) run.txn.replace(table, job.id, document, { ...fields, state: shown });
    jobs.move(job.id, state, job.atMs);
  };

  const claimJob = (message: TaskMessage, job: JobRow): readonly Committed[] => {
    const run = newRun({ origin: message.origin });
    atomically(run, () => setState(run, job, "running", { kind: "inProgress" }));
    return committed(run);
  };

  /** A cron's turn: a mutation runs now, together with the choice of its next time; an action is handed out. */
  const runCron = async (
    message: TaskMessage,
    cron: CronRow,
    options: { readonly nowMs: number; readonly isCondemned: boolean },
  ) => {
    const entry = functions.get(cron.path);
    const nextMs = nextRunMs(JSON.parse(cron.schedule) as CronSchedule, cron.nextMs, options.nowMs);
    const run = newRun({ origin: message.origin });
    if (entry?.kind === "action") {
      atomically(run, () => jobs.moveCron(cron.name, nextMs, true));
      return {
        commits: [],
        log: undefined,
        note: undefined,
        job: { id: cronId(cron.name), path: cron.path, args: cron.args, kind: "action" as const },
      };
    }
    let failure = options.isCondemned ? timeoutMessage : entry ? undefined : `Couldn't find ${cron.path}.`;
    let ran: Noted = { logLines: [], ms: 0 };
    if (entry && failure === undefined) {
      watch.begin(message.id, cronId(cron.name));
      const { outcome, logLines, ms } = await runAtomically({ run, entry, args: cron.args, isJob: true }, () =>
        jobs.moveCron(cron.name, nextMs, false),
      );
      ran = { logLines, ms };
      watch.end();
      if (!outcome.ok) failure = outcome.message;
    }
    if (failure !== undefined) atomically(run, () => jobs.moveCron(cron.name, nextMs, false));
    return {
      commits: committed(run),
      log: failure === undefined ? undefined : `cron "${cron.name}" failed: ${failure}`,
      note: noteOf(cron.path, "Cron", { ...ran, error: failure }),
      job: undefined,
    };
  };

  /** All that was due, or, when the engine fails in the middle, nothing: it will be due again. */
  const runDue = async (message: TaskMessage, task: Task & { type: "runDue" }): Promise<Performed> => {
    const savepoint = openSavepoint();
    try {
      const performed = await runDueInside(message, task);
      savepoint.keep();
      return performed;
    } catch (error) {
      savepoint.undo();
      store.noteCatalogChange();
      throw error;
    }
  };

  const runDueInside = async (message: TaskMessage, task: Task & { type: "runDue" }): Promise<Performed> => {
    for (const cron of jobs.crons()) {
      const schedule = JSON.parse(cron.schedule) as CronSchedule;
      // Never further away than its period, whatever the clock was when its time was chosen.
      const latestMs = schedule.type === "interval" ? nextRunMs(schedule, task.nowMs, task.nowMs) : Infinity;
      if (cron.nextMs > latestMs) jobs.pullCron(cron.name, latestMs);
    }
    const commits: Committed[] = [];
    const claimed: DueJob[] = [];
    const lines: string[] = [];
    const notes: RunNote[] = [];
    for (const cron of jobs.dueCrons(task.nowMs)) {
      const isCondemned = task.condemned.includes(cronId(cron.name));
      const { commits: made, log, note, job } = await runCron(message, cron, { nowMs: task.nowMs, isCondemned });
      commits.push(...made);
      if (log !== undefined) lines.push(log);
      if (note) notes.push(note);
      if (job) claimed.push(job);
    }
    const since = performance.now();
    let begun = 0;
    for (const job of jobs.due(task.nowMs, jobsPerCall)) {
      const id = encodeId(systemTables._scheduled_functions, job.id);
      // One at least, so that every call brings it on.
      if (begun++ > 0 && performance.now() - since > jobsMsPerCall) break;
      // An earlier one of this batch may have cancelled it.
      if (jobs.state(job.id) !== "pending") continue;
      if (job.kind === "action") {
        commits.push(...claimJob(message, job));
        claimed.push({ id, path: job.path, args: job.args, kind: "action" });
        continue;
      }
      const { commits: made, log, note } = await runJob(message, job, task.condemned.includes(id));
      commits.push(...made);
      if (log !== undefined) lines.push(log);
      if (note) notes.push(note);
    }
    return { reply: { type: "jobs", jobs: claimed, logs: lines, notes }, commits, hasScheduled: commits.length > 0 };
  };

  const settleJob = ({ origin }: TaskMessage, task: Task & { type: "settleJob" }): Performed => {
    const run = newRun({ origin });
    const name = cronName(task.id);
    const decoded = name === undefined ? decodeId(task.id) : undefined;
    atomically(run, () => {
      if (name !== undefined) {
        const cron = jobs.findCron(name);
        if (cron)
          jobs.moveCron(
            name,
            cron.nextMs > run.txn.nowMs
              ? cron.nextMs
              : nextRunMs(JSON.parse(cron.schedule) as CronSchedule, cron.nextMs, run.txn.nowMs),
            false,
          );
      } else if (decoded && jobs.state(decoded.id) === "running")
        endJob(
          run,
          documentOf(run, decoded),
          task.outcome.ok ? { kind: "success" } : { kind: "failed", error: task.outcome.message },
        );
    });
    return { reply: { type: "done" }, commits: committed(run), hasScheduled: true };
  };

  /** Old answers, ended jobs and bytes that nobody names any more. */
  const sweep = ({ origin }: TaskMessage): Performed => {
    const run = newRun({ origin });
    const { nowMs } = run.txn;
    atomically(run, () => {
      answers.sweep(nowMs - sessionsKeptMs);
      files.sweep(nowMs - blobsKeptMs);
      for (const job of jobs.inState("done", nowMs - jobsKeptMs, sweptPerCall)) {
        const table = run.txn.tableNamed("_scheduled_functions");
        const json = table && store.rows.get(table.id, job.id);
        if (json) run.txn.remove(table, job.id, JSON.parse(json) as JsonObject);
        jobs.drop(job.id);
      }
      // Pages that nothing uses go back to the file system, some at a time.
      giveBack.all();
    });
    return { reply: { type: "done" }, commits: committed(run), hasScheduled: false };
  };

  const administered = ({ origin }: TaskMessage, task: Task & { type: "admin" }): Performed => {
    const run = newRun({ origin });
    try {
      const value = atomically(run, () => administer(run, task.work));
      return { reply: { type: "value", value }, commits: committed(run), hasScheduled: false };
    } catch (error) {
      return { reply: refusalOrThrow(error), commits: [], hasScheduled: false };
    }
  };

  const fileOfId = (storageId: string): Reply => {
    const decoded = decodeId(storageId);
    const row = decoded?.table === systemTables._storage ? files.find(decoded.id) : files.findByUuid(storageId);
    return { type: "file", file: row && toStoredFile(row) };
  };

  const quietly = (reply: Reply): Performed => ({ reply, commits: [], hasScheduled: false });

  const perform = async (message: TaskMessage): Promise<Performed> => {
    const { task } = message;
    switch (task.type) {
      case "mutation":
        return mutation(message, task);
      case "syscall":
        return syscall(message, task);
      case "storeFile":
        return storeFile(message, task);
      case "findFile": {
        const row = files.findByUuid(task.uuid);
        return quietly({ type: "file", file: row && toStoredFile(row) });
      }
      case "fileOfId":
        return quietly(fileOfId(task.storageId));
      case "nextDue":
        return quietly({ type: "due", atMs: jobs.nextMs() });
      case "runDue":
        return runDue(message, task);
      case "settleJob":
        return settleJob(message, task);
      case "sweep":
        return sweep(message);
      case "observe":
        store.observe(task.ts);
        return quietly({ type: "done" });
      case "admin":
        return administered(message, task);
      case "touch": {
        const { ts } = newRun({ origin: message.origin }).txn;
        const writes = [{ index: task.index, key: new Uint8Array(0) }];
        return { reply: { type: "done" }, commits: [{ ts, writes }], hasScheduled: false };
      }
    }
  };

  return {
    store,
    surroundings,
    ready,
    warm: () => runner.warm(),
    close: () => {
      reader?.close();
      store.close();
    },
    /** What fails without the transaction being lost fails alone; the rest is the group's. */
    perform: async (message: TaskMessage): Promise<Performed> => {
      try {
        return await perform(message);
      } catch (error) {
        if (!db.isTransaction) throw error;
        return quietly(faultReply(error)(message.task));
      }
    },
    faultReply,
  };
}

export function tableNames(store: Store): TableNames {
  return [...store.catalog.tables()].map(({ number, name }) => [number, name] as const);
}

function refusalOrThrow(error: unknown): Reply {
  if (!(error instanceof DeveloperError)) throw error;
  return error.data === undefined
    ? { type: "failed", message: error.message }
    : { type: "failed", message: error.message, data: JSON.stringify(error.data) };
}

const timeoutMessage = "Function execution timed out: it used more than its time.";

/** For when the engine and not the app is at fault. */
function faultReply(error: unknown): (task: Task) => Reply {
  const message = faultMessage(error);
  return (task) =>
    task.type === "mutation"
      ? {
          type: "mutation",
          result: { ok: false, message: clientMessage(task.request.requestId, message), ...fullness(error) },
          ts: null,
          logLines: [],
        }
      : { type: "failed", message, ...fullness(error) };
}

function fullness(error: unknown): { readonly isFull?: true } {
  return isDiskFull(error) ? { isFull: true } : {};
}

function faultMessage(error: unknown): string {
  const { errcode } = error as { errcode?: number };
  const text = error instanceof Error ? error.message : String(error);
  if (isDiskFull(error)) return fullDiskMessage;
  if (errcode !== undefined) return `The database could not be written: ${text}. Nothing was changed.`;
  return `Internal error: ${text}`;
}

type Noted = Pick<RunNote, "logLines" | "ms">;

/** A scheduled run has no request of its own. */
function noteOf(path: string, caller: RunNote["caller"], rest: Noted & Pick<RunNote, "error">): RunNote {
  return { path, kind: "mutation", caller, requestId: "", ...rest };
}

function toStoredFile(row: FileRow) {
  const { uuid, sha256, sizeBytes, contentType } = row;
  return { storageId: encodeId(systemTables._storage, row.id), uuid, sha256, sizeBytes, contentType };
}

const cronPrefix = "cron:";

function cronId(name: string): string {
  return cronPrefix + name;
}

function cronName(id: string): string | undefined {
  return id.startsWith(cronPrefix) ? id.slice(cronPrefix.length) : undefined;
}
