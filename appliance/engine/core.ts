/**
 * The engine's core as the main thread sees it: functions run, transactions commit, everything durable. Sockets, sessions and
 * subscriptions are built on top and know nothing of threads or SQLite; the core knows nothing of sockets.
 */

import type { AdminWork } from "./admin/work.ts";
import type { DeploymentChanges } from "./deploy/deployable.ts";

/** Who asks. `user` carries what `ctx.auth.getUserIdentity()` returns; `admin` may reach internal functions. */
export type Identity =
  | { readonly type: "none" }
  | { readonly type: "user"; readonly attributes: Readonly<Record<string, unknown>> }
  | { readonly type: "admin"; readonly actingAs?: Readonly<Record<string, unknown>> };

/** What is known of the request that a function was called by. */
export type RequestClient = {
  readonly ip: string | null;
  readonly userAgent: string | null;
  /** The signed token that it came with, as it was. */
  readonly authToken: string | null;
};

/** One call. Values cross every border as JSON text in Convex's encoding, so no realm ever sees another realm's objects. */
export type CallRequest = {
  /** `dir/mod:fn`, in any of Convex's spellings. */
  readonly path: string;
  /** JSON text of the arguments object. */
  readonly args: string;
  readonly identity: Identity;
  /** 16 hex digits, for logs and error messages. */
  readonly requestId: string;
  /** Who had it called, for the log; a client when left out. */
  readonly caller?: RunNote["caller"];
  /** Left out of calls that no client made. */
  readonly client?: RequestClient | undefined;
  /** The scheduled function that this is, or that had it called. */
  readonly scheduledId?: string | undefined;
};

/** JSON text of the value, or what the client is told. `data` is the JSON text of a ConvexError's payload. */
export type Result =
  | { readonly ok: true; readonly value: string }
  | {
      readonly ok: false;
      readonly message: string;
      readonly data?: string;
      /** There was no room on the disk; nothing was changed, and later it may work. */
      readonly isFull?: true;
    };

/** Half-open range of keys in one index, compared as bytes. A point is [key, key + 0x00). Pseudo-indexes carry config reads. */
export type ReadRange = { readonly index: string; readonly lower: Uint8Array; readonly upper: Uint8Array };

export type QueryRun = {
  readonly result: Result;
  /** The snapshot it read, nanoseconds. */
  readonly ts: bigint;
  readonly journal: string | null;
  readonly logLines: readonly string[];
  readonly reads: readonly ReadRange[];
  /** True when the result depends on who asked. */
  readonly usedIdentity: boolean;
  /** True when the run looked at the clock. */
  readonly usedTime: boolean;
  /** It took its thread down. Its reads are then at least what it read; with a `ts` of 0 it read nothing that is known. */
  readonly isFatal?: true;
};

export type MutationRun = {
  readonly result: Result;
  /** Commit time; null when it failed. */ readonly ts: bigint | null;
  readonly logLines: readonly string[];
};
export type ActionRun = { readonly result: Result; readonly logLines: readonly string[] };

/** One run that is over. Its arguments and its value are not in it: what a log keeps, somebody reads. */
export type RunNote = {
  readonly path: string;
  readonly kind: "query" | "mutation" | "action" | "httpAction";
  readonly caller: "Client" | "Action" | "Scheduler" | "Cron";
  readonly requestId: string;
  /** How long it ran, without waiting for its turn. */
  readonly ms: number;
  readonly logLines: readonly string[];
  /** It did not run: the answer was known, and still true. */
  readonly isCached?: true;
  /** Why it failed, with a mapped stack; undefined when it did well. */
  readonly error?: string | undefined;
};

/** What one durable commit changed: the old and new key of every index entry touched. Published in ts order. */
export type Commit = {
  readonly ts: bigint;
  readonly writes: readonly { readonly index: string; readonly key: Uint8Array }[];
  /** What was written up to `ts` is not known, because the thread that saved it died: anything may have changed. */
  readonly isGap?: true;
};

export type StoredFile = {
  readonly storageId: string;
  readonly uuid: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly contentType: string | null;
};

/** A due job of `ctx.scheduler` or of crons.ts, claimed durably before it is handed out. */
export type DueJob = { readonly id: string; readonly path: string; readonly args: string; readonly kind: "mutation" | "action" };

export type HttpRoute = { readonly path: string; readonly method: string };

export type Deployment = {
  readonly functions: readonly {
    readonly path: string;
    readonly kind: "query" | "mutation" | "action";
    readonly visibility: "public" | "internal";
  }[];
  /** auth.config.ts, evaluated. */
  readonly authProviders: readonly Readonly<Record<string, unknown>>[];
  /** Exact paths, and prefixes that end in `*`. */
  readonly httpRoutes: readonly HttpRoute[];
  /** The same for apps that offer the same, whatever their functions do. */
  readonly fingerprint?: string;
};

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
