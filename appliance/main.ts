/**
 * The story of a start-up, top to bottom: lock the data, listen, open state and vectors, join the functions to their ports, run.
 * Wiring by hand and in order; stopping is the same list backwards.
 */
import { rmSync, writeFileSync } from "node:fs";
import { createHmac } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { internal } from "../convex/_generated/api.js";
import { quoteOf } from "../convex/model/answer.ts";
import { toNikaError } from "../convex/model/error.ts";
import { ownerTenant } from "../convex/model/tenant.ts";
import type { Ports } from "../functions/define.ts";
import { jobFunctions } from "../functions/registry.ts";
import { runCall } from "../functions/runtime/call.ts";
import { startRuntime } from "../functions/runtime/runtime.ts";
import { askVault } from "../functions/vault/ask.ts";
import { addressesOf, openBackend } from "./backend.ts";
import { openBridge } from "./bridge/bridge.ts";
import { bridgeRoutes } from "./bridge/http.ts";
import { loadConfig, toPort, type Config } from "./config.ts";
import { hasEngine } from "./docker/client.ts";
import { dockerSandboxes } from "./docker/sandboxes.ts";
import { openEmbedder } from "./embedder/embedder.ts";
import { openReranker } from "./embedder/reranker.ts";
import { openVisual } from "./embedder/visual.ts";
import { openEyes } from "./eyes.ts";
import { storageFiles } from "./files.ts";
import { answerOf, openFunctions, routesOf } from "./functions.ts";
import { openRented } from "./gpu.ts";
import { openGenerations } from "./generations.ts";
import { openCrontab } from "./host/crontab.ts";
import { openHostSchedules, type HostSchedules } from "./host/hostSchedules.ts";
import { openRoom } from "./host/load.ts";
import { nikaRoutes } from "./http/routes.ts";
import { openServer } from "./http/server.ts";
import { machineWorkers } from "./join/machine.ts";
import { lockData } from "./lock.ts";
import { stderrLog, type Log } from "./log.ts";
import { questionsOf } from "./questions.ts";
import { qdrantPictures } from "./qdrant/pictures.ts";
import { qdrantVectors } from "./qdrant/vectors.ts";
import { openReader } from "./reader/reader.ts";
import { schedulesOf } from "./schedules.ts";
import { mediaOf } from "./media.ts";
import { openKeys } from "./secrets/keys.ts";
import { adoptServiceKeys } from "./secrets/serviceKeys.ts";
import { openSecrets } from "./secrets/store.ts";
import { isOwnerToken } from "./secrets/token.ts";
import { openState } from "./state.ts";
import { openStore } from "./store.ts";
import { openTelegram } from "./telegram/telegram.ts";
import { ownTools } from "./tools.ts";
import { writerOf } from "./languageModel/languageModel.ts";
import { openTrainer } from "./trainer/trainer.ts";
import { openTuning } from "./tuning.ts";
import { openUses } from "./uses.ts";
import { openWatch } from "./watch/watch.ts";
import { openWorkerDoor } from "./workerDoor.ts";

const rootDir = fileURLToPath(new URL("..", import.meta.url));
/** Work in progress gets this long to finish before its lease is handed back. */
const stopGraceMs = 5_000;
/** Looking for containers loads their client; whoever started Nika is to see the page first. */
const reapAfterMs = 2_000;

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

  const [engine, store, { openMcp }] = await Promise.all([
    openBackend({ config, keys, log, origin: () => server.origin }),
    openStore({ config: config.vectors, dir: join(config.dataDir, "vectors"), apiKey: keys.vectorsKey, log }),
    // The largest part of the program is loaded while the threads of the others start.
    import("./mcp/mcp.ts"),
  ]);
  opened.defer(() => engine?.close());
  opened.defer(() => store.close());
  const embedder = await openEmbedder({ modelsDir: config.models.dir, allowDownload: config.models.allowDownload, log });
  opened.defer(() => embedder.close());
  const reranker = await openReranker({ modelsDir: config.models.dir, log });
  opened.defer(() => reranker.close());
  const visual = await openVisual({ config: config.visual, modelsDir: config.models.dir, log });
  opened.defer(() => visual.close());
  const convex = addressesOf(config, server, keys);
  const state = openState({ ...convex, near: engine });
  opened.defer(() => state.close());
  const secrets = await openSecrets({
    ...config,
    tenantId: ownerTenant,
    now: () => Date.now(),
    changed: (credentials) =>
      void state.mutation(internal.credentials.report, { credentials: [...credentials] }).catch((error: unknown) => {
        log(`secrets: their names were not reported: ${String(error)}`);
      }),
  });
  await adoptServiceKeys(config.dataDir, secrets, log);
  const eyes = await openEyes({ config: config.eyes, secrets, log });
  opened.defer(() => eyes.close());
  const reader = openReader({ log, ocr: eyes.ocr, ...(eyes.converter && { converter: eyes.converter }) });
  opened.defer(() => reader.close());

  const generations = openGenerations({ state, modelsDir: config.models.dir, own: embedder, log });
  opened.defer(() => generations.close());
  const { record, embedders } = generations;
  const trainer = openTrainer({ modelsDir: config.models.dir, embedders, live: () => generations.live() });
  opened.defer(() => trainer.close());
  const languageModel = await writerOf({ config: config.languageModel, secrets });
  const tuner = openTuning({ ...config, modelsDir: config.models.dir, generations, log });
  opened.defer(() => tuner.close());
  const vault = qdrantVectors({ ...store, embedderId: embedder.id, record });

  const files = storageFiles({ convexUrl: convex.url, near: engine });
  const workers = machineWorkers({
    state,
    ownUrl: () => `http://127.0.0.1:${server.port}`,
    vault: store,
    convexUrl: engine ? undefined : convex.publicUrl,
    reach: (offer) => rented.reach(offer),
    parcel: () => rented.nika(),
  });
  const rented = await openRented({
    ...config,
    adminKey: keys.adminKey,
    searchPath: config.mcp.variables["PATH"],
    state,
    files,
    secrets,
    workers,
    port: server.port,
    vaultUrl: store.url,
    log,
  });
  opened.defer(() => rented.close());

  const ended = Promise.withResolvers<void>();
  const ports: Ports = {
    state,
    files,
    reader,
    embedder,
    reranker,
    embedders,
    vectors: vault,
    spaces: { ...vault.spaces, find: (wanted) => embedders.find(wanted) },
    visual,
    pictures: qdrantPictures({
      ...store,
      visualId: visual.id,
      captionId: embedder.id,
      captionDimensions: embedder.dimensions,
    }),
    clock: { now: () => Date.now() },
    get userFunctions() {
      return owned;
    },
    get servers() {
      return mcp.discover.port;
    },
    trainer,
    languageModel,
    tuner,
    gpu: rented.gpu,
    providers: rented.providers,
    boots: rented.boots,
    workers,
    answers: {
      ask: async (question, signal) =>
        quoteOf(await runCall(askVault, { args: { tenantId: ownerTenant, question, limit: 3 }, ports, signal })),
      call: (name, prompt, signal) => answerOf(name, prompt, { ports, signal }),
    },
  };
  const sandboxes = dockerSandboxes({ dataDir: config.dataDir, mountRoots: [join(config.dataDir, "cache")] });
  const owned = await openFunctions({ ...config, state, sandboxes, planner: () => schedulesOf(ports, hostOf(config)), log });
  opened.defer(() => owned.close());
  const telegram = await openTelegram({
    state,
    secrets,
    apiRoot: config.telegramUrl,
    upload: async (bytes, signal) => ports.files.write(await state.mutation(internal.sources.uploadUrl, {}), bytes, { signal }),
    log,
  });
  opened.defer(() => telegram.close());
  const bridge = openBridge(state);
  const uses = openUses(state, log);
  const mcp = openMcp({
    ...config.mcp,
    ...ownTools({ ports, schedules: schedulesOf(ports, hostOf(config)), bridge, uses, more: rented.tools(ports) }),
    dataDir: config.dataDir,
    version: config.version,
    state,
    // What their owner wrote into the configuration may be anywhere; what may not be mounted is decided there.
    sandboxes: sandboxes.within(["/"]),
    secrets,
    address: { origin: server.origin, port: server.port, publicUrl: config.publicUrl },
    cookieKey: createHmac("sha256", keys.session).update("oauth").digest("hex"),
    log,
  });
  opened.defer(() => mcp.close());
  const bridgeFind = bridgeRoutes({ bridge, state, version: config.version, log });
  const routes = nikaRoutes({
    version: config.version,
    adminKey: keys.adminKey,
    signing: keys.signing,
    sessionKey: keys.session,
    origin: server.origin,
    convexUrl: convex.publicUrl,
    ...questionsOf({ ports, uses, log }),
    media: mediaOf(ports),
    schedules: schedulesOf(ports, hostOf(config)),
    secrets,
    bridge: (path) => bridgeFind(path) ?? mcp.routes.find(path),
    functions: routesOf({ owned, ports, secrets, log }),
    gpu: rented.routes(ports),
    telegram,
    workers: openWorkerDoor({
      config,
      state,
      signing: keys.signing,
      // A worker may come by a way that only it knows: what is in this process is reached by the same.
      convexUrl: engine ? undefined : convex.publicUrl,
      embedder,
      vault,
      generations,
      log,
    }),
    stop: () => ended.resolve(),
    log,
    now: () => Date.now(),
  });
  const backend = {
    handle: (request: IncomingMessage, response: ServerResponse) => engine?.handle(request, response) ?? false,
    upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      mcp.routes.upgrade(request, socket, (token) => isOwnerToken(token, keys.signing, Date.now())) ||
      (engine?.upgrade(request, socket, head) ?? false),
  };
  const connectTo = `${convex.publicUrl} ${convex.publicUrl.replace(/^http/, "ws")}`;
  server.serve({ backend, routes, connectTo, isOurName: (host) => rented.isOurName(host) });

  await state.mutation(internal.appliance.report, {
    name: hostname(),
    version: config.version,
    mode: { state: config.state.type, vectors: config.vectors.type },
    embedder: { id: embedder.id, label: embedder.label, isBaseline: embedder.isBaseline },
    startedAt: Date.now(),
  });
  generations.follow();
  await state.mutation(internal.credentials.report, { credentials: await secrets.list() });
  const room = config.isPolite
    ? openRoom({
        slotsMax: config.slots,
        dataDir: config.dataDir,
        report: (told) => void state.mutation(internal.appliance.reportRoom, told).catch(() => undefined),
      })
    : undefined;
  opened.defer(() => room?.close());
  const runtime = startRuntime({
    state,
    ...(room && { room }),
    ports,
    functions: jobFunctions,
    // A name stands for one worker: on a shared backend each machine needs its own, here the next start takes over from the last.
    workerName: engine ? "appliance" : hostname(),
    slots: config.slots,
    about: { host: hostname(), version: config.version },
    log,
  });
  await runtime.start();
  opened.defer(() => runtime.stop({ graceMs: stopGraceMs }));
  const watch = openWatch({ state, convexUrl: convex.url, dataDir: config.dataDir, log });
  opened.defer(() => watch.close());
  const runFile = join(config.dataDir, "run.json");
  const run = { pid: process.pid, port: server.port, url: server.origin, version: config.version, startedAt: Date.now() };
  writeFileSync(runFile, JSON.stringify(run), { mode: 0o600 });
  opened.defer(() => rmSync(runFile, { force: true }));
  // Of an earlier life that ended too suddenly to take them along. Nobody waits for it.
  const reaping = setTimeout(() => hasEngine() && void sandboxes.reap().catch(() => undefined), reapAfterMs);
  opened.defer(() => clearTimeout(reaping));
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

/** Cron runs the same Nika on the same data; whose crontab it is may be chosen. */
function hostOf({ dataDir, cronUser }: Config): HostSchedules {
  return openHostSchedules({
    dataDir,
    crontab: openCrontab({ user: cronUser }),
    zone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
    now: () => Date.now(),
    nika: [process.execPath, join(rootDir, "appliance/cli/nika.ts"), "--data", dataDir],
  });
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
