/** What the main thread and the workers say to each other. Plain data only. */
import type { AdminWork } from "../admin/work.ts";
import type { CallRequest, Identity, RequestClient, Result } from "../model/call.ts";
import type { HttpRoute } from "../model/deployment.ts";
import type { StoredFile } from "../model/file.ts";
import type { DueJob } from "../model/job.ts";
import type { RunNote } from "../model/run.ts";
import type { CronDefinition } from "../deploy/schedule.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import type { PackedKeys } from "./packed.ts";
import type { Seen } from "./readLog.ts";

/** What every worker is born with. */
export type WorkerSetup = {
  readonly dir: string;
  readonly functions: readonly FunctionEntry[];
  readonly schema: string | null;
  /** Names change with the content of schema and indexes; an unchanged one was applied before. */
  readonly schemaHash: string;
  readonly crons: readonly CronDefinition[];
  /** Scripts and their source maps, as files. */
  readonly code: string;
  readonly map: string;
  readonly env: Readonly<Record<string, string>>;
  readonly httpRoutes?: readonly HttpRoute[];
  /** Settings to keep in the database when the deployment holds. */
  readonly meta?: readonly (readonly [string, string])[];
  /** See watch.ts. */
  readonly watch: SharedArrayBuffer;
  /** Jobs that are in the main thread's hands: a new transaction thread must not take them for interrupted ones. */
  readonly held?: readonly string[];
};

export type Task =
  | {
      readonly type: "mutation";
      readonly request: CallRequest;
      readonly session?: { readonly id: string; readonly requestId: number };
    }
  /** One syscall of an action, in a transaction of its own. */
  | {
      readonly type: "syscall";
      readonly op: string;
      readonly args: string;
      readonly identity: Identity;
      readonly requestId: string;
      readonly client?: RequestClient | undefined;
      readonly scheduledId?: string | undefined;
    }
  | {
      readonly type: "storeFile";
      readonly file: { readonly sha256: string; readonly sizeBytes: number; readonly contentType: string | null };
    }
  | { readonly type: "findFile"; readonly uuid: string }
  | { readonly type: "fileOfId"; readonly storageId: string }
  | { readonly type: "nextDue" }
  /** `condemned` are jobs that took the thread down with them. */
  | { readonly type: "runDue"; readonly nowMs: number; readonly condemned: readonly string[] }
  | {
      readonly type: "settleJob";
      readonly id: string;
      readonly outcome: { readonly ok: true } | { readonly ok: false; readonly message: string };
    }
  | { readonly type: "sweep" }
  | { readonly type: "observe"; readonly ts: bigint }
  | { readonly type: "touch"; readonly index: string }
  | { readonly type: "admin"; readonly work: AdminWork };

export type TaskMessage = { readonly id: number; readonly origin: string; readonly task: Task };

export type Reply =
  | {
      readonly type: "mutation";
      readonly result: Result;
      readonly ts: bigint | null;
      readonly logLines: readonly string[];
      /** How long it ran; undefined when it did not, or was ended before it could say. */
      readonly ms?: number;
    }
  | { readonly type: "value"; readonly value: string }
  | { readonly type: "file"; readonly file: StoredFile | undefined }
  | { readonly type: "due"; readonly atMs: number | undefined }
  | {
      readonly type: "jobs";
      readonly jobs: readonly DueJob[];
      readonly logs: readonly string[];
      readonly notes: readonly RunNote[];
    }
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly message: string; readonly data?: string; readonly isFull?: true };

/** What is said most, put briefly; see brief.ts. */
type BriefTask = readonly [
  id: number,
  origin: string,
  path: string,
  args: string,
  requestId: string,
  /** Null is nobody. */
  identity: CallRequest["identity"] | null,
  session: string,
  request: number,
  ip: string | null,
  userAgent: string | null,
  authToken: string | null,
];
type BriefReply = readonly [id: number, value: string, ts: bigint, ms: number];
export type IdentifiedReply = { readonly id: number; readonly reply: Reply };
export type PassedTask = TaskMessage | BriefTask;
export type PassedReply = IdentifiedReply | BriefReply;

/** One committed group: what it answers, and what it changed, in order of time. Nobody may hear of it before it is durable. */
export type GroupMessage = {
  readonly type: "group";
  /** It is durable already, and so is all before it. */
  readonly isSynced: boolean;
  readonly replies: readonly PassedReply[];
  readonly commits: readonly { readonly ts: bigint; readonly count: number }[];
  readonly writes: PackedKeys;
  readonly hasScheduled: boolean;
  /** Numbers and names of all tables, when they have changed. */
  readonly tables?: TableNames;
};
export type TableNames = readonly (readonly [number, string])[];
export type ReadyMessage = {
  readonly type: "ready";
  readonly ts: bigint;
  readonly secret: string;
  readonly tables: TableNames;
  readonly logs: readonly string[];
};
export type RefusedMessage = { readonly type: "refused"; readonly message: string };

export type QueryRequest = CallRequest & { readonly journal: string | null };
export type BatchMessage = { readonly id: number; readonly origin: string; readonly requests: readonly QueryRequest[] };
export type BatchRun = {
  readonly result: Result;
  readonly journal: string | null;
  readonly logLines: readonly string[];
  readonly reads: PackedKeys;
  readonly usedIdentity: boolean;
  readonly usedTime: boolean;
  /** How long the function itself ran; undefined when it was ended before it could say. */
  readonly ms?: number;
  /** It took its thread down. */
  readonly isFatal?: true;
  /** Its own snapshot, when that is not the batch's; 0 when it had none. */
  readonly ts?: bigint;
};
export type BatchReply =
  | { readonly id: number; readonly ts: bigint; readonly runs: readonly BatchRun[] }
  /** Its thread is gone; `seen` is what its one run had read. */
  | { readonly id: number; readonly fault: string; readonly seen?: Seen | undefined };
