/**
 * The embedded engine: a Convex-compatible deployment inside this process. Joins the core (functions, transactions, storage) with the
 * sockets and routes that Convex's own clients speak to.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { openAuthenticator, type Authenticator } from "./auth/authenticator.ts";
import type { Core, CoreOptions } from "./core.ts";
import type { Identity, Result } from "./model/call.ts";
import type { Deployment } from "./model/deployment.ts";
import type { QueryRun, RunNote } from "./model/run.ts";
import { originRule } from "./http/cors.ts";
import { openRouter } from "./http/router.ts";
import { keep, sweepUploads, type KeepOptions, type UploadSource } from "./http/upload.ts";
import { withLiveStatistics } from "./logs/liveStatistics.ts";
import { openRunLog, type RunLog } from "./logs/runLog.ts";
import { openScheduler } from "./scheduler/scheduler.ts";
import type { Question } from "./subscriptions/computations.ts";
import { openLiveQueries } from "./subscriptions/liveQueries.ts";
import { openSockets } from "./sync/sockets.ts";
import { canonicalPath } from "./txn/functions.ts";

export type EngineOptions = CoreOptions & {
  readonly adminKey: string;
  /** Origins whose pages may use the API, besides our own. Left out: every origin, as the original does. */
  readonly allowedOrigins?: readonly string[];
  /** The clock that tokens and timers go by; the real one when left out. */
  readonly nowMs?: () => number;
  /** Who may see how functions do, besides admins; nobody when left out. */
  readonly isOperator?: (identity: Identity) => boolean;
};

export type EngineStats = {
  readonly sockets: number;
  readonly subscriptions: number;
  /** Distinct results held, watched or kept for the next who asks. */
  readonly computations: number;
  /** Query runs since the start. */
  readonly runs: number;
};

export type Engine = {
  readonly deployment: Deployment;
  /** Answers when the path is the engine's: /api/*, /http/*, /version, /instance_name. False otherwise. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** Takes the socket over when the path is that of the sync protocol. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  /**
   * Runs a mutation for the embedding program itself, with an administrator's authority and without a socket between; `args` and the value
   * are JSON text in Convex's encoding. Resolved when it is durable.
   */
  mutate(path: string, args: string): Promise<Result>;
  /** Runs a query in the same way, on what is durable now. */
  query(path: string, args: string): Promise<Result>;
  /** Where the bytes lie that a storage URL ending in `uuid` leads to: for the embedding program, which only reads them. */
  findFile(uuid: string): Promise<{ readonly path: string; readonly sizeBytes: number } | undefined>;
  /** Keeps bytes as an upload does, for the embedding program; resolves with their storage id once they are on the disk. */
  keepFile(source: UploadSource, options?: KeepOptions): Promise<string>;
  stats(): EngineStats;
  close(): Promise<void>;
};

/** Around a core that is open already; `close` closes it too. `runs` is what that core tells its runs to. */
export async function engineAround(
  bare: Core,
  options: Omit<EngineOptions, "functionsDir" | "env">,
  runs?: RunLog,
): Promise<Engine> {
  const { log, adminKey, origin } = options;
  const nowMs = options.nowMs ?? Date.now;
  const isOperator = options.isOperator ?? (() => false);
  const core = runs ? withLiveStatistics({ core: bare, runs, isOperator, nowMs }) : bare;
  const requestId = openRequestIds();
  const uploadsDir = join(options.dir, "uploads");
  await sweepUploads(uploadsDir);
  const authenticator = () => openAuthenticator({ adminKey, providers: core.deployment.authProviders, nowMs });
  let currentAuth = authenticator();
  core.changes?.onChange(() => (currentAuth = authenticator()));
  // Asked anew each time, because a push may bring other providers.
  const auth: Authenticator = {
    identify: (credential) => currentAuth.identify(credential),
    identifyHeader: (header) => currentAuth.identifyHeader(header),
  };
  const onKnown = ({ path }: Question): void => {
    if (!path.startsWith("_system/")) runs?.add(knownAnswer(path, requestId()));
  };
  const queries = openLiveQueries({ core, requestId, onKnown });
  const isAllowedOrigin = originRule(options.allowedOrigins, origin);
  const parts = { core, queries, auth, requestId, log, nowMs, isAllowedOrigin };
  const sockets = openSockets(parts);
  const router = openRouter({ ...parts, origin, uploadsDir, runs, dir: options.dir });
  const scheduler = openScheduler({ core, nowMs, log });
  let closing: Promise<void> | undefined;
  return {
    get deployment() {
      return core.deployment;
    },
    handle: router,
    upgrade: (request, socket, head) => sockets.upgrade(request, socket, head),
    mutate: async (path, args) =>
      (await core.mutation({ path, args, identity: { type: "admin" }, requestId: requestId() })).result,
    query: async (path, args) => {
      const [run] = await core.queries([{ path, args, identity: { type: "admin" }, requestId: requestId(), journal: null }]);
      return (run as QueryRun).result;
    },
    findFile: async (uuid) => {
      const file = await core.findFile(uuid);
      return file && { path: core.filePath(file.sha256), sizeBytes: file.sizeBytes };
    },
    keepFile: async (source, of) => (await keep({ core, dir: uploadsDir }, source, of)).storageId,
    stats: () => ({ sockets: sockets.count(), ...queries.stats() }),
    close: () =>
      (closing ??= (async () => {
        await scheduler.close();
        await sockets.close();
        queries.close();
        await core.close();
      })()),
  };
}

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const [{ openCore }, { openDeployable }] = await Promise.all([import("./openCore.ts"), import("./deploy/deployable.ts")]);
  const runs = openRunLog(options.nowMs ?? Date.now);
  const core = await openDeployable({ ...options, onRun: runs.add }, openCore);
  try {
    return await engineAround(core, options, runs);
  } catch (error) {
    await core.close();
    throw error;
  }
}

function knownAnswer(path: string, requestId: string): RunNote {
  return { path: canonicalPath(path), kind: "query", caller: "Client", requestId, ms: 0, logLines: [], isCached: true };
}

const idsAtOnce = 512;

/** Sixteen hex digits each time, drawn many at once: asking the system for each costs more than all else that is done with it. */
function openRequestIds(): () => string {
  let drawn = "";
  let at = 0;
  return () => {
    if (at === drawn.length) {
      drawn = randomBytes(8 * idsAtOnce).toString("hex");
      at = 0;
    }
    at += 16;
    return drawn.slice(at - 16, at);
  };
}
