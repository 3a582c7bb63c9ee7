/**
 * The story of a worker on another machine: join an appliance, open what this machine can do, say so, run. It keeps nothing: what is true stands
 * at the appliance, and everything here may be lost at any moment.
 */
import { hostname } from "node:os";
import { ownerTenant } from "../convex/model/tenant.ts";
import { joinedKinds, versionProblem } from "../convex/model/joined.ts";
import type { JobKind } from "../convex/model/kinds.ts";
import { NikaError } from "../convex/model/error.ts";
import type { Ports } from "../functions/define.ts";
import { jobFunctions } from "../functions/registry.ts";
import type { Embedder } from "../functions/ports/embedder.ts";
import type { Secrets } from "../functions/ports/secrets.ts";
import type { State } from "../functions/ports/state.ts";
import { startRuntime } from "../functions/runtime/runtime.ts";
import type { AnyJobFunction } from "../functions/runtime/registry.ts";
import type { Config } from "./config.ts";
import { openVisual } from "./embedder/visual.ts";
import { openEyes } from "./eyes.ts";
import { storageFiles } from "./files.ts";
import { openRoom } from "./host/load.ts";
import { openJoined } from "./join/joined.ts";
import type { Log } from "./log.ts";
import { qdrantPictures } from "./qdrant/pictures.ts";
import { qdrantVectors } from "./qdrant/vectors.ts";
import { openReader } from "./reader/reader.ts";
import { followSpaces, followingVault } from "./workerSpaces.ts";

export type WorkerOptions = {
  readonly url: string;
  readonly secret: string;
  readonly config: Pick<Config, "version" | "slots" | "isPolite" | "models" | "visual" | "vectors" | "eyes">;
  readonly log: Log;
  /** Further functions, for those who try what a run does; the kinds of the appliance come with them. */
  readonly functions?: readonly AnyJobFunction[];
};

export type Worker = {
  readonly name: string;
  /** What it takes, and in a sentence what it does not and why. */
  readonly kinds: readonly JobKind[];
  readonly without: string | undefined;
  /** Fails when the appliance sent it away. */
  readonly ended: Promise<void>;
  /** Takes nothing more, lets what runs end within `graceMs` and gives the rest back. */
  stop(graceMs: number): Promise<void>;
};

/** Joins and works until it is stopped. Fails with `denied`, `unavailable`, or `conflict` when the versions differ. */
export async function startWorker({ url, secret, config, log, functions = jobFunctions }: WorkerOptions): Promise<Worker> {
  await using opened = new AsyncDisposableStack();
  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => undefined);
  const joined = await openJoined({ url, secret, log, onDenied: (error) => ended.reject(error) });
  opened.defer(() => joined.close());
  const { ticket } = joined;
  const problem = versionProblem(config.version, ticket.version);
  if (problem !== undefined) throw new NikaError("conflict", problem);

  const equipped = await openPorts({ config, embedderId: ticket.embedderId, state: joined.state, url, secret, log }, opened);
  const base = { clock: { now: () => Date.now() }, files: storageFiles({ convexUrl: ticket.convexUrl }), ...equipped.ports };
  const canDo = functions.filter(({ kind, needs }) => joinedKinds.includes(kind) && needs.every((need) => isThere(need, base)));
  const kinds = canDo.map(({ kind }) => kind as JobKind);
  const room = config.isPolite ? openRoom({ slotsMax: config.slots, report: () => undefined }) : undefined;
  opened.defer(() => room?.close());
  const runtime = startRuntime({
    state: joined.state,
    // What a run may reach follows from the job it holds. What it does not need is not here.
    ports: (held) => ({ ...base, state: joined.stateOf(held) }) as Ports,
    functions: canDo,
    workerName: ticket.name,
    slots: config.slots,
    ...(room && { room }),
    about: { host: hostname(), version: config.version, kinds },
    log,
  });
  await Promise.race([runtime.start(), ended.promise]);
  log(`joined ${url} as ${ticket.name}: ${kinds.join(", ")}${equipped.without === undefined ? "" : `; ${equipped.without}`}`);
  const closing = opened.move();
  let stopped: Promise<void> | undefined;
  const stop = async (graceMs: number): Promise<void> => {
    await runtime.stop({ graceMs });
    await closing.disposeAsync();
    ended.resolve();
  };
  return {
    name: ticket.name,
    kinds,
    without: equipped.without,
    ended: ended.promise,
    stop: (graceMs) => (stopped ??= stop(graceMs)),
  };
}

/** Pictures are kept without where they cannot be looked for. */
const optional = new Set<keyof Ports>(["visual", "pictures", "reranker", "embedders"]);
const isThere = (need: unknown, ports: object): boolean =>
  need === "state" || optional.has(need as keyof Ports) || (need as string) in ports;

const kept = (): never => {
  throw new NikaError("denied", "A worker on another machine keeps no secrets.");
};
const noSecrets: Secrets = {
  find: async () => undefined,
  list: async () => [],
  set: async () => kept(),
  remove: async () => kept(),
  renew: async () => kept(),
};

type Equipped = { readonly ports: Partial<Ports>; readonly without?: string };
type Equipping = {
  readonly config: WorkerOptions["config"];
  /** What the appliance compares themes and captions by. */
  readonly embedderId: string;
  readonly state: State;
} & Pick<WorkerOptions, "url" | "secret" | "log">;

/** Reading documents needs the vault within reach and the models that its spaces are made by; a vault in the appliance's process is not. */
async function openPorts({ config, embedderId, ...more }: Equipping, opened: AsyncDisposableStack): Promise<Equipped> {
  const { vectors } = config;
  const { log } = more;
  if (vectors.type !== "qdrant" || !("url" in vectors))
    return { ports: {}, without: "no documents are read here, because NIKA_QDRANT_URL does not say where the vault is" };
  const { url, apiKey } = vectors;
  const at = { url, ...(apiKey !== undefined && { apiKey }) };
  const spaces = followSpaces({ modelsDir: config.models.dir, embedderId, ...more });
  opened.defer(() => spaces.close());
  const noDocuments = (error: unknown, because: string): Equipped => {
    log(`no documents: ${String(error)}`);
    return { ports: {}, without: `no documents are read here, because ${because}` };
  };
  let embedder: Embedder;
  try {
    embedder = await spaces.embedder(embedderId);
  } catch (error) {
    return noDocuments(error, `the model ${embedderId} cannot be had`);
  }
  const vault = followingVault(qdrantVectors({ ...at, embedderId, record: spaces.record }));
  try {
    await vault.count({ tenantId: ownerTenant });
  } catch (error) {
    return noDocuments(error, `the vault does not answer at ${url}`);
  }
  const visual = await openVisual({ config: config.visual, modelsDir: config.models.dir, log });
  opened.defer(() => visual.close());
  // Keys of services that read pictures come from this machine's environment: the appliance's secrets stay there.
  const eyes = await openEyes({ config: config.eyes, secrets: noSecrets, log });
  opened.defer(() => eyes.close());
  const reader = openReader({ log, ocr: eyes.ocr, ...(eyes.converter && { converter: eyes.converter }) });
  opened.defer(() => reader.close());
  const { dimensions: captionDimensions } = embedder;
  const pictures = qdrantPictures({ ...at, visualId: visual.id, captionId: embedder.id, captionDimensions });
  return { ports: { reader, embedder, embedders: spaces.embedders, vectors: vault, visual, pictures } };
}
