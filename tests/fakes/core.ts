/**
 * A true small implementation of the engine's core: functions over one ordered map, with read ranges, commits, sessions and files.
 * A test can hold queries back to see what the shell does meanwhile.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Core } from "../../appliance/engine/core.ts";
import type { CallRequest, Identity, Result } from "../../appliance/engine/model/call.ts";
import type { Commit, ReadRange } from "../../appliance/engine/model/commit.ts";
import type { Deployment } from "../../appliance/engine/model/deployment.ts";
import type { StoredFile } from "../../appliance/engine/model/file.ts";
import type { DueJob } from "../../appliance/engine/model/job.ts";
import type { MutationRun, QueryRun } from "../../appliance/engine/model/run.ts";

type Json = unknown;
type Args = Readonly<Record<string, Json>>;
export type Reader = {
  get(key: string): Json;
  /** All with this prefix, in order of key. */
  list(prefix: string): Json[];
  /** Who asks, as a function that looks at `ctx.auth`. */
  who(): string | null;
  /** As a function that looks at the clock. */
  now(): number;
};
export type Writer = Reader & { put(key: string, value: Json): void };
export type FakeFunctions = Readonly<
  Record<
    string,
    | { readonly kind: "query"; readonly run: (db: Reader, args: Args) => Json }
    | { readonly kind: "mutation"; readonly run: (db: Writer, args: Args) => Json }
    | { readonly kind: "action"; readonly run: (args: Args) => Promise<Json> }
  >
>;

/** Thrown by a function, like ConvexError: `data` reaches the client. */
export class FakeError extends Error {
  readonly data: Json;
  constructor(data: Json) {
    super("Uncaught ConvexError");
    this.data = data;
  }
}

export type FakeCore = Core & {
  /** While held, query batches wait after taking their snapshot. Returns how to let them go. */
  holdQueries(): () => void;
  /** Each query's path, in order of running. */
  readonly ran: string[];
  /** Makes a job due; mutations run in `runDue`, actions are handed out. */
  schedule(job: Omit<DueJob, "id"> & { dueMs: number }): string;
  readonly settled: Map<string, boolean>;
};

export type FakeCoreOptions = {
  readonly functions: FakeFunctions;
  readonly dir?: string;
  readonly authProviders?: Deployment["authProviders"];
  readonly http?: (request: Request, identity: Identity) => Promise<Response>;
  readonly httpRoutes?: Deployment["httpRoutes"];
};

const uploadToken = "permit";

export function fakeCore(options: FakeCoreOptions): FakeCore {
  const { functions, dir = "/nowhere" } = options;
  const data = new Map<string, string>();
  const listeners = new Set<(commit: Commit) => void>();
  const scheduleListeners = new Set<() => void>();
  const sessions = new Map<string, MutationRun>();
  const files = new Map<string, StoredFile>();
  const jobs = new Map<string, DueJob & { dueMs: number }>();
  const settled = new Map<string, boolean>();
  const ran: string[] = [];
  let ts = BigInt(Date.now()) * 1_000_000n;
  let held: Promise<void> | undefined;

  const runMutation = ({ path, args, identity }: CallRequest): MutationRun => {
    const found = functions[path];
    const writes = new Map<string, Json>();
    const reader = readerOf(data, identity, []);
    const result = attempt(() => {
      if (found?.kind !== "mutation") throw new Error(`Could not find public function for '${path}'.`);
      return found.run({ ...reader, put: (key, value) => writes.set(key, value) }, JSON.parse(args) as Args);
    });
    if (!result.ok) return { result, ts: null, logLines: [] };
    const now = BigInt(Date.now()) * 1_000_000n;
    ts = now > ts ? now : ts + 1n;
    for (const [key, value] of writes) data.set(key, JSON.stringify(value));
    const commit = { ts, writes: [...writes.keys()].map((key) => ({ index: "main", key: bytesOf(key) })) };
    for (const listener of listeners) listener(commit);
    return { result, ts, logLines: [] };
  };

  return {
    ran,
    settled,
    deployment: {
      functions: Object.entries(functions).map(([path, { kind }]) => ({ path, kind, visibility: "public" })),
      authProviders: options.authProviders ?? [],
      httpRoutes: options.httpRoutes ?? [],
    },
    ts: () => ts,
    observe(seen) {
      if (seen > ts) ts = seen;
    },
    async queries(requests) {
      const snapshot = new Map(data);
      const at = ts;
      const runs = requests.map(({ path, args, identity, journal }): QueryRun => {
        ran.push(path);
        const reads: ReadRange[] = [];
        const used = { identity: false, time: false };
        const found = functions[path];
        const result = attempt(() => {
          if (found?.kind !== "query") throw new Error(`Could not find public function for '${path}'.`);
          return found.run(readerOf(snapshot, identity, reads, used), JSON.parse(args) as Args);
        });
        return { result, ts: at, journal, logLines: [], reads, usedIdentity: used.identity, usedTime: used.time };
      });
      await held;
      await new Promise((resolve) => setImmediate(resolve));
      return runs;
    },
    async mutation(request) {
      await new Promise((resolve) => setImmediate(resolve));
      const key = request.session && `${request.session.id} ${request.session.requestId}`;
      const known = key === undefined ? undefined : sessions.get(key);
      if (known) return known;
      const run = runMutation(request);
      if (key !== undefined && run.result.ok) sessions.set(key, run);
      return run;
    },
    async action({ path, args }) {
      const found = functions[path];
      try {
        if (found?.kind !== "action") throw new Error(`Could not find public function for '${path}'.`);
        const value = await found.run(JSON.parse(args) as Args);
        return { result: { ok: true, value: JSON.stringify(value ?? null) }, logLines: [] };
      } catch (error) {
        return { result: toFailure(error), logLines: [] };
      }
    },
    http: async (request, _route, identity) => {
      if (!options.http) throw new Error("no http");
      return options.http(request, identity);
    },
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async touch(index) {
      const now = BigInt(Date.now()) * 1_000_000n;
      ts = now > ts ? now : ts + 1n;
      const commit = { ts, writes: [{ index, key: new Uint8Array(0) }] };
      for (const listener of listeners) listener(commit);
    },
    async storeFile(file) {
      const uuid = randomUUID();
      const stored = { ...file, uuid, storageId: `storage${files.size}` };
      files.set(uuid, stored);
      return stored;
    },
    findFile: async (uuid) => files.get(uuid) ?? [...files.values()].find(({ storageId }) => storageId === uuid),
    filePath: (sha256) => join(dir, "files", sha256.slice(0, 2), sha256),
    isUploadToken: (token) => token === uploadToken,
    async nextDueMs() {
      const times = [...jobs.values()].map(({ dueMs }) => dueMs);
      return times.length === 0 ? undefined : Math.min(...times);
    },
    async runDue(nowMs) {
      const due = [...jobs.values()].filter(({ dueMs }) => dueMs <= nowMs);
      for (const { id } of due) jobs.delete(id);
      for (const job of due.filter(({ kind }) => kind === "mutation"))
        runMutation({ ...job, identity: { type: "none" }, requestId: "0" });
      return due.filter(({ kind }) => kind === "action");
    },
    async settleJob(id, outcome) {
      settled.set(id, outcome.ok);
    },
    onSchedule(listener) {
      scheduleListeners.add(listener);
      return () => scheduleListeners.delete(listener);
    },
    close: async () => undefined,
    holdQueries() {
      let release: () => void = () => undefined;
      held = new Promise((resolve) => (release = resolve));
      return () => {
        held = undefined;
        release();
      };
    },
    schedule(job) {
      const id = randomUUID();
      jobs.set(id, { ...job, id });
      for (const listener of scheduleListeners) listener();
      return id;
    },
  };
}

function readerOf(
  data: ReadonlyMap<string, string>,
  identity: Identity,
  reads: ReadRange[],
  used = { identity: false, time: false },
): Reader {
  return {
    get(key) {
      reads.push({ index: "main", lower: bytesOf(key), upper: bytesOf(`${key}\0`) });
      return JSON.parse(data.get(key) ?? "null") as Json;
    },
    list(prefix) {
      reads.push({ index: "main", lower: bytesOf(prefix), upper: Buffer.concat([bytesOf(prefix), Buffer.from([0xff])]) });
      return [...data.keys()]
        .filter((key) => key.startsWith(prefix))
        .toSorted()
        .map((key) => JSON.parse(data.get(key) ?? "null") as Json);
    },
    who() {
      used.identity = true;
      const attributes =
        identity.type === "user" ? identity.attributes : identity.type === "admin" ? identity.actingAs : undefined;
      return (attributes?.["subject"] as string | undefined) ?? null;
    },
    now() {
      used.time = true;
      return Date.now();
    },
  };
}

function attempt(run: () => Json): Result {
  try {
    return { ok: true, value: JSON.stringify(run() ?? null) };
  } catch (error) {
    return toFailure(error);
  }
}

function toFailure(error: unknown): Result {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof FakeError ? { ok: false, message, data: JSON.stringify(error.data) } : { ok: false, message };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text);
}
