/** One of the query pool: a read-only connection and a realm. A batch of queries sees one snapshot. */
import { parentPort, workerData } from "node:worker_threads";
import { isSystemPath, runSystemQuery } from "../admin/systemQueries.ts";
import { noSchema, parseSchema } from "../codec/schema.ts";
import type { ReadRange } from "../model/commit.ts";
import { openFiles } from "../store/files.ts";
import { openJobs } from "../store/jobs.ts";
import { Store } from "../store/store.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import { closeStreams, openRun, type Surroundings } from "../txn/syscalls.ts";
import { Transaction } from "../txn/transaction.ts";
import { clientMessage, type Guarded } from "./driver.ts";
import type { BatchMessage, BatchReply, BatchRun, QueryRequest, WorkerSetup } from "./message.ts";
import { packRanges } from "./packed.ts";
import { openReadLog } from "./readLog.ts";
import { giveWay } from "./politeness.ts";
import { openRunner } from "./runner.ts";
import { searchVectors, vectorSearch } from "../search/vectorQuery.ts";
import { watched } from "./watch.ts";

const holdBackMs = 2;

const port = parentPort;
if (!port) throw new Error("This file is a worker.");
const setup = workerData as WorkerSetup & { readonly secret: string; readonly reads: SharedArrayBuffer };
const watch = watched(setup.watch);
const readLog = openReadLog(setup.reads);
const store = new Store(setup.dir, "read");
store.useSchema(setup.schema === null ? noSchema : parseSchema(setup.schema));
const functions = new Map(setup.functions.map((one) => [one.path, one]));
const surroundings: Surroundings = {
  dir: setup.dir,
  functions,
  jobs: openJobs(store.db),
  files: openFiles(store.db, setup.dir),
  secret: setup.secret,
};
const runner = openRunner(setup);
const begin = store.db.prepare("BEGIN");
const end = store.db.prepare("COMMIT");
const readOnly: Guarded = {
  savepoint: () => {
    throw new Error("A query has nothing to undo.");
  },
};

/** Says what it reads as it reads it. */
class LoggedTransaction extends Transaction {
  override noteRead(range: ReadRange | undefined): void {
    if (range) readLog.note(range);
    super.noteRead(range);
  }
}

async function runOne(
  request: QueryRequest,
  options: { readonly ts: bigint; readonly origin: string; readonly batch: number },
): Promise<BatchRun> {
  const { ts, origin } = options;
  readLog.begin(ts);
  if (request.path === vectorSearch) {
    watch.begin(options.batch);
    const result = searchVectors(store, request.args);
    watch.end();
    return { result, journal: null, logLines: [], reads: packRanges([]), usedIdentity: false, usedTime: false };
  }
  const run = openRun({
    surroundings,
    txn: new LoggedTransaction(store, { ts, nowMs: Date.now(), isWritable: false }),
    noteSpan: readLog.note,
    identity: request.identity,
    requestId: request.requestId,
    origin,
    journal: request.journal,
    scheduledId: null,
    client: undefined,
  });
  watch.begin(options.batch);
  const { outcome, logLines, usedTime, ms } = isSystemPath(request.path)
    ? runSystemQuery(run, request.path, request.args, setup)
    : await runner.run(functions.get(request.path) as FunctionEntry, request.args, run, readOnly);
  watch.end();
  closeStreams(run);
  const result = outcome.ok ? outcome : { ...outcome, message: clientMessage(request.requestId, outcome.message) };
  return {
    result,
    journal: run.nextJournal,
    logLines,
    reads: packRanges(run.txn.reads()),
    usedIdentity: run.usedIdentity,
    usedTime,
    ms,
  };
}

async function runBatch({ id, origin, requests }: BatchMessage): Promise<BatchReply> {
  try {
    begin.run();
    const ts = store.snapshot();
    const runs: BatchRun[] = [];
    for (const request of requests) runs.push(await runOne(request, { ts, origin, batch: id }));
    return { id, ts, runs };
  } catch (error) {
    watch.end();
    return { id, fault: (error as Error).message };
  } finally {
    if (store.db.isTransaction) end.run();
  }
}

/** One parcel at a time; its answers go back together, so that the price of a message is paid once. */
port.on("message", (parcel: readonly BatchMessage[]) => {
  void (async () => {
    let replies: BatchReply[] = [];
    let since = performance.now();
    for (const batch of parcel) {
      replies.push(await runBatch(batch));
      // A slow query must not hold back the answers of quick ones before it.
      if (performance.now() - since < holdBackMs && replies.length < parcel.length) continue;
      port.postMessage(replies);
      replies = [];
      since = performance.now();
    }
    if (replies.length > 0) port.postMessage(replies);
    watch.published();
    // Nothing may be left unanswered in silence: the thread ends, and the main thread takes it from there.
  })().catch((error: unknown) =>
    setImmediate(() => {
      throw error;
    }),
  );
});
runner.warm();
giveWay();
