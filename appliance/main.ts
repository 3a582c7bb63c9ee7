/**
 * The story of a start-up, top to bottom: lock the data, listen, open state and vectors, join the functions to their ports, run.
 * Wiring by hand and in order; stopping is the same list backwards.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { internal } from "../convex/_generated/api.js";
import type { Answer } from "../convex/model/answer.ts";
import { toNikaError } from "../convex/model/error.ts";
import type { Ports } from "../functions/define.ts";
import { jobFunctions } from "../functions/registry.ts";
import { runCall } from "../functions/runtime/call.ts";
import { startRuntime } from "../functions/runtime/runtime.ts";
import { askVault } from "../functions/vault/ask.ts";
import { loadConfig, toPort, type Config } from "./config.ts";
import { deployFunctions } from "./deploy.ts";
import { openEmbedder } from "./embedder/embedder.ts";
import { openEngine } from "./engine/engine.ts";
import { storageFiles } from "./files.ts";
import { nikaRoutes } from "./http/routes.ts";
import { openServer } from "./http/server.ts";
import { lockData } from "./lock.ts";
import { stderrLog, type Log } from "./log.ts";
import { qdrantVectors } from "./qdrant/vectors.ts";
import { openReader } from "./reader/reader.ts";
import { openKeys, type Keys } from "./secrets/keys.ts";
import { openState } from "./state.ts";
import { startVectors } from "./vectors/vectors.ts";

const rootDir = fileURLToPath(new URL("..", import.meta.url));
/** Work in progress gets this long to finish before its lease is handed back. */
const stopGraceMs = 5_000;

export type Appliance = {
  readonly url: string;
  readonly port: number;
  /** Resolves when the appliance has stopped, whoever asked for it. */
  readonly stopped: Promise<void>;
  stop(): Promise<void>;
};

/** Starts everything and resolves once it is healthy. On failure whatever was opened is closed again, and a NikaError says why. */
export async function startAppliance(config: Config, log: Log): Promise<Appliance> {
  await using opened = new AsyncDisposableStack();
  opened.use(lockData(config.dataDir));
  const keys = openKeys(config.dataDir);
  const server = await openServer({ ...config, webDir: join(rootDir, "appliance/web/dist") });
  opened.defer(() => server.close());

  const [backend, store] = await Promise.all([
    openBackend({ config, keys, log, origin: () => server.origin }, opened),
    openStore(config, keys, log, opened),
  ]);
  const embedder = await openEmbedder({ modelsDir: config.models.dir, allowDownload: config.models.allowDownload, log });
  opened.defer(() => embedder.close());
  const reader = openReader({ log });
  opened.defer(() => reader.close());

  const ended = Promise.withResolvers<void>();
  const convexUrl = config.state.type === "convex" ? config.state.url : `http://127.0.0.1:${server.port}`;
  const ports: Ports = {
    state: backend.connect(convexUrl, opened),
    files: storageFiles({ convexUrl }),
    reader,
    embedder,
    vectors: qdrantVectors({ ...store, tenantId: "owner", embedderId: embedder.id }),
  };
  const routes = nikaRoutes({
    version: config.version,
    adminKey: keys.adminKey,
    signing: keys.signing,
    sessionKey: keys.session,
    origin: () => server.origin,
    convexUrl: () => (config.state.type === "convex" ? config.state.publicUrl : server.origin),
    ask: (args, signal) => ask(args, ports, signal),
    stop: () => ended.resolve(),
    log,
    now: () => Date.now(),
  });
  server.serve({ backend: backend.engine, routes, connectTo: connectable(config, server.origin) });

  await ports.state.mutation(internal.appliance.report, {
    name: hostname(),
    version: config.version,
    mode: { state: config.state.type, vectors: config.vectors.type },
    embedder: { id: embedder.id, label: embedder.label, isBaseline: embedder.isBaseline },
    startedAt: Date.now(),
  });
  const runtime = startRuntime({
    state: ports.state,
    ports,
    functions: jobFunctions,
    workerName: "appliance",
    slots: config.slots,
    log,
  });
  await runtime.start();
  opened.defer(() => runtime.stop({ graceMs: stopGraceMs }));
  const runFile = join(config.dataDir, "run.json");
  const run = { pid: process.pid, port: server.port, url: server.origin, version: config.version, startedAt: Date.now() };
  writeFileSync(runFile, JSON.stringify(run), { mode: 0o600 });
  opened.defer(() => rmSync(runFile, { force: true }));
  log(`ready: ${server.origin} (state ${config.state.type}, vectors ${config.vectors.type}, embedder ${embedder.id})`);

  const closing = opened.move();
  const stopped = ended.promise.then(() => closing.disposeAsync()).then(() => log("stopped"));
  return {
    url: server.origin,
    port: server.port,
    stopped,
    stop() {
      ended.resolve();
      return stopped;
    },
  };
}

type BackendOptions = { readonly config: Config; readonly keys: Keys; readonly log: Log; readonly origin: () => string };

/** The control plane: our engine in this process, or a Convex backend that was configured. Decided once and shown as `mode`. */
async function openBackend({ config, keys, log, origin }: BackendOptions, opened: AsyncDisposableStack) {
  const env = { NIKA_JWKS: keys.jwksUrl };
  if (config.state.type === "convex") {
    const { url, adminKey, deploys } = config.state;
    if (deploys) await deployFunctions({ rootDir, url, adminKey, variables: env, log });
    return { engine: undefined, connect: connectWith(adminKey) };
  }
  const dir = join(config.dataDir, "engine");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const engine = await openEngine({ dir, functionsDir: join(rootDir, "convex"), env, adminKey: keys.adminKey, origin, log });
  opened.defer(() => engine.close());
  return { engine, connect: connectWith(keys.adminKey) };
}

function connectWith(adminKey: string) {
  return (url: string, opened: AsyncDisposableStack): Ports["state"] => {
    const state = openState({ url, adminKey });
    opened.defer(() => state.close());
    return state;
  };
}

/** Where the vectors are: our store in this process, or a Qdrant that was configured. */
async function openStore(
  config: Config,
  keys: Keys,
  log: Log,
  opened: AsyncDisposableStack,
): Promise<{ url: string; apiKey?: string }> {
  if (config.vectors.type === "qdrant")
    return { url: config.vectors.url, ...(config.vectors.apiKey && { apiKey: config.vectors.apiKey }) };
  const dir = join(config.dataDir, "vectors");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const store = await startVectors({ dir, apiKey: keys.vectorsKey, host: "127.0.0.1", log });
  opened.defer(() => store.close());
  return { url: store.url, apiKey: keys.vectorsKey };
}

/** Answers, then leaves one event behind; a failing event does not take the answer away. */
async function ask(args: { question: string; limit: number }, ports: Ports, signal: AbortSignal): Promise<Answer> {
  return runCall(askVault, { args, ports, signal });
}

/** What the page's policy must let it connect to: the control plane, also when the page was opened under another name of this machine. */
function connectable(config: Config, origin: string): string {
  const url = config.state.type === "convex" ? new URL(config.state.publicUrl).origin : origin;
  return `${url} ${url.replace(/^http/, "ws")}`;
}

/** Runs in this process until it is stopped. Says `ready` or `failed` to a parent that listens. */
export async function runAppliance(config: Config): Promise<void> {
  const log = stderrLog();
  try {
    const appliance = await startAppliance(config, log);
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void appliance.stop());
    process.send?.({ type: "ready", url: appliance.url, port: appliance.port, pid: process.pid });
    await appliance.stopped;
  } catch (thrown) {
    const error = toNikaError(thrown);
    log(`failed: ${error.message}${causeOf(error)}`);
    process.send?.({ type: "failed", code: error.code, message: error.message });
    process.exitCode = 1;
  }
}

/** What the log needs and nobody else may see. */
function causeOf({ cause }: Error): string {
  return cause instanceof Error ? `\n${cause.stack ?? cause.message}` : "";
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { data: { type: "string" }, port: { type: "string" } } });
  await runAppliance(loadConfig({ dataDir: values.data, port: toPort(values.port, "--port") }));
  process.exit();
}
