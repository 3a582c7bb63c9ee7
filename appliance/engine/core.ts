/**
 * The engine's core as the main thread sees it: functions run, transactions commit, everything durable. Sockets, sessions and
 * subscriptions are built on top and know nothing of threads or SQLite; the core knows nothing of sockets.
 */

import type { AdminWork } from "./admin/work.ts";
import type { CallRequest, Identity, RequestClient } from "./model/call.ts";
import type { Commit } from "./model/commit.ts";
import type { Deployment, DeploymentChanges, HttpRoute } from "./model/deployment.ts";
import type { StoredFile } from "./model/file.ts";
import type { DueJob } from "./model/job.ts";
import type { ActionRun, MutationRun, QueryRun, RunNote } from "./model/run.ts";

export type CoreOptions = {
  /** Holds the database and the files; made when absent. */
  readonly dir: string;
  /** Folder of the app's functions. Left out: the app is what was last pushed with `npx convex deploy`. */
  readonly functionsDir?: string | undefined;
  /** An app to put in force with this opening, in the form `deploy/push.ts` gives; kept in the database when it holds. */
  readonly push?: string | undefined;
  /** The deployment's environment variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Public origin of the API, for storage URLs and CONVEX_CLOUD_URL; called late, when the port is known. */
  readonly origin: () => string;
  readonly log: (line: string) => void;
  /** Told of every run of a function, nested ones excepted. Must be quick and must not throw. */
  readonly onRun?: (note: RunNote) => void;
};

export type Core = {
  readonly deployment: Deployment;
  /** What only administrators may ask; see admin/work.ts. */
  administer?(work: AdminWork): Promise<string>;
  /** Changes of the deployment itself; see deploy/deployable.ts. */
  readonly changes?: DeploymentChanges;
  /** Latest published commit, or start, in nanoseconds. Never goes backwards, over restarts and clock steps too. */
  ts(): bigint;
  /** A client has seen this time; later commits come after it. Ignored when more than an hour ahead of the clock. */
  observe(ts: bigint): void;
  /** Runs all at one snapshot, in order. */
  queries(requests: readonly (CallRequest & { readonly journal: string | null })[]): Promise<readonly QueryRun[]>;
  /** Serial and durable: resolved after fsync. `session` makes it exactly-once over reconnects. */
  mutation(
    request: CallRequest & { readonly session?: { readonly id: string; readonly requestId: number } },
  ): Promise<MutationRun>;
  action(request: CallRequest): Promise<ActionRun>;
  http(request: Request, route: HttpRoute, identity: Identity, client?: RequestClient): Promise<Response>;
  /** Called on every commit before the mutations in it resolve. Returns how to stop listening. */
  onCommit(listener: (commit: Commit) => void): () => void;

  /** Publishes a commit that changes no row: what was read from this pseudo-index is no longer true. */
  touch(index: string): Promise<void>;

  /** Makes a file known: the bytes already lie, fsynced, at `filePath(sha256)`. */
  storeFile(file: {
    readonly sha256: string;
    readonly sizeBytes: number;
    readonly contentType: string | null;
  }): Promise<StoredFile>;
  findFile(uuid: string): Promise<StoredFile | undefined>;
  /** Where bytes of this hash (hex) lie. */
  filePath(sha256: string): string;
  /** Checks an upload permit made by `generateUploadUrl`. */
  isUploadToken(token: string): boolean;

  /** When the next scheduled job or cron is due, ms since the epoch; undefined when none waits. */
  nextDueMs(): Promise<number | undefined>;
  /**
   * Runs due mutation jobs (exactly once, each in a transaction of its own) and claims due actions, which the caller must run and settle.
   * May leave some for the next call. Intervals that lie further ahead than their period, because the clock was set back, are brought back.
   */
  runDue(nowMs: number): Promise<readonly DueJob[]>;
  settleJob(id: string, outcome: { readonly ok: true } | { readonly ok: false; readonly message: string }): Promise<void>;
  /** Something was scheduled or cancelled; look at `nextDueMs` again. */
  onSchedule(listener: () => void): () => void;

  close(): Promise<void>;
};
