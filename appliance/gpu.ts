/** Rented machines and work for them, joined to what they need: containers of this machine, the door that agents dial, accounts at providers. */
import { execFile } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { internal } from "../convex/_generated/api.js";
import { isNikaError, NikaError } from "../convex/model/error.ts";
import type { Ports } from "../functions/define.ts";
import { quoteGpuJob } from "../functions/machines/quote.ts";
import { weigh } from "../functions/machines/offers.ts";
import { sweepAll } from "../functions/machines/sweep.ts";
import type { Offer } from "../convex/model/gpu.ts";
import type { Boots, Gpu, Providers } from "../functions/ports/gpu.ts";
import type { Files } from "../functions/ports/files.ts";
import type { Secrets } from "../functions/ports/secrets.ts";
import type { State } from "../functions/ports/state.ts";
import { runCall } from "../functions/runtime/call.ts";
import { dockerMachines } from "./docker/machines.ts";
import { openBoots, unreachable } from "./gpu/agent/boot.ts";
import { shipmentIn } from "./gpu/agent/ship.ts";
import { openGpuDoor } from "./gpu/door/door.ts";
import { openOffice, type OfficeOptions } from "./gpu/door/office.ts";
import { openPasses } from "./gpu/door/passes.ts";
import { openShelf } from "./gpu/door/shelf.ts";
import { installIdIn } from "./gpu/install.ts";
import { kinds } from "./gpu/kinds.ts";
import { localProvider } from "./gpu/local/local.ts";
import { openMachineKeys } from "./gpu/ssh/machineKeys.ts";
import { openProviders } from "./gpu/providers.ts";
import { proofAsk, prove } from "./gpu/prove.ts";
import { openHomeward } from "./gpu/homeward.ts";
import { meshFields, openOwnerMesh } from "./gpu/ownerMesh.ts";
import { ofThisHouse, openReach, type Reached } from "./gpu/reach.ts";
import { gpuRoutes, type GpuActs, type GpuRoute } from "./gpu/routes.ts";
import { askFor, openGpu } from "./gpu/run.ts";
import { addHost } from "./gpu/ssh/add.ts";
import { readHosts, sshKeyIn } from "./gpu/ssh/hosts.ts";
import { consoleOf } from "./gpu/console.ts";
import { signInTo } from "./gpu/ssh/signIn.ts";
import { sshProvider } from "./gpu/ssh/ssh.ts";
import { gpuTools } from "./gpu/tools.ts";
import { packNika } from "./join/parcel.ts";
import type { Tool } from "./mcp/server.ts";

export type GpuOptions = {
  readonly dataDir: string;
  readonly adminKey: string;
  readonly publicUrl: string | undefined;
  /** Where programs are found that run as processes of this machine. */
  readonly searchPath: string | undefined;
  readonly state: State;
  readonly files: Files;
  readonly secrets: Secrets;
  /** What machines do that are rented to work for the appliance itself. */
  readonly workers: NonNullable<OfficeOptions["workers"]>;
  /** Of this appliance on its own loopback, and of the vault as this machine reaches it: what ways home lead to. */
  readonly port: number;
  readonly vaultUrl: string;
  readonly log: (line: string) => void;
};

export type Rented = {
  readonly gpu: Gpu;
  readonly providers: Providers;
  readonly boots: Boots;
  /** Where this appliance and its vault are for what runs there. */
  reach(place: Pick<Offer, "provider" | "form">): Reached | undefined;
  /** The parcel with Nika itself in it, packed when it is asked for first. */
  nika(): Promise<string>;
  /** Whether a request under this name is meant for us, because the owner's mesh knows us by it. */
  isOurName(host: string): boolean;
  /** For agents. */
  tools(ports: Ports): readonly Tool[];
  /** Undefined for paths that are none of theirs. */
  routes(ports: Ports): (path: string) => GpuRoute | undefined;
  close(): Promise<void>;
};

const run = promisify(execFile);
/** The kernel takes no longer names of sockets. */
const socketCharsMax = 100;
const rootDir = join(import.meta.dirname, "..");
const keptMs = 30 * 24 * 3_600_000;

export async function openRented(options: GpuOptions): Promise<Rented> {
  const { dataDir, adminKey, publicUrl, searchPath, state, files, secrets, workers, port, vaultUrl, log } = options;
  const now = (): number => Date.now();
  const dir = join(dataDir, "gpu");
  const shelf = openShelf({ dir });
  const passes = openPasses(createHmac("sha256", adminKey).update("machines").digest());
  const office = openOffice({ state, files, shelf, dir: join(dir, "known"), now, workers, log });
  const shipment = () => shipmentIn(join(dataDir, "cache", "agent"));
  const program = async (): Promise<string> => {
    const { dir: from } = await shipment();
    const file = `${from}.tgz`;
    if (!existsSync(file)) {
      await run("tar", ["-czf", `${file}.${process.pid}`, "-C", from, "."]);
      await rename(`${file}.${process.pid}`, file);
    }
    return file;
  };
  const door = openGpuDoor({ passes, shelf, state: office, program, log });
  const folder = socketFolder(dir);
  await door.listen(folder);
  const local = localProvider({
    dataDir,
    containers: dockerMachines(),
    shipment,
    door: { folder, socket: join(folder, "door.sock") },
    now,
    searchPath,
    log,
  });
  const installId = installIdIn(dataDir);
  const mesh = await openOwnerMesh({ secrets, installId, now });
  const doorSocket = join(folder, "door.sock");
  const reach = openReach({ publicUrl, meshUrl: () => mesh.url(), vaultUrl, port, doorSocket });
  const ssh = sshProvider({
    hosts: () => readHosts(dataDir),
    privateKey: async () => (await sshKeyIn(dataDir)).privateKey,
    socket: doorSocket,
    now,
    log,
  });
  const providers = openProviders({
    installId,
    secrets,
    now,
    own: { local: async () => local, ssh: async () => ssh },
    kinds,
    isReached: (offer) => reach.of(offer) !== undefined,
  });
  await providers.refresh();
  /** Their accounts are looked through from now on, whoever forgets what is there. What is of this house costs nothing and has no account. */
  const watchAccounts = async (): Promise<void> => {
    const rented = providers.list().filter((id) => !ofThisHouse.includes(id));
    await state.mutation(internal.gpuSweeps.setUp, { providers: rented });
  };
  await watchAccounts();
  const keys = openMachineKeys(secrets, now);
  const bootsOf = openBoots({
    passes,
    reach,
    keysOf: (key, until) => keys.of(key, until),
    meshKeyOf: (key, deadline) => mesh.pass(key, deadline),
    now,
  });
  const homeward = openHomeward({ state, providers, reach, keys, ssh, mesh, log });
  const boots: Boots = {
    of(machine) {
      if (machine.offer.provider !== "local") homeward.soon();
      return bootsOf.of(machine);
    },
  };
  let packed: Promise<string> | undefined;
  const nika = async (): Promise<string> => {
    packed ??= packNika({ rootDir, cacheDir: join(dataDir, "cache", "nika") }).then(
      async (from) => (await shelf.pack(from)).name,
    );
    packed.catch(() => (packed = undefined));
    return packed;
  };
  const pruning = Promise.all([shelf.prune(keptMs), office.prune()]).catch((error: unknown) => log(`gpu: ${String(error)}`));

  const acts = (ports: Ports): GpuActs => ({
    async quote(wish, by, signal) {
      const { providers: _only, deadlineAt, ...payload } = wish;
      const only = wish.providers;
      // Before anything is packed.
      if (only && only.length > 0 && !only.some((id) => reach.reaches(id))) throw new NikaError("invalid", unreachable.says);
      const ask = {
        ...(await askFor(payload, shelf)),
        ...(only && { providers: only }),
        ...(deadlineAt !== undefined && { deadlineAt }),
      };
      const hasUnreachable = providers.list().some((id) => !reach.reaches(id));
      return runCall(quoteGpuJob, { args: { ask, by }, ports, signal }).catch((error: unknown) => {
        if (!hasUnreachable || !isNikaError(error) || error.code !== "unavailable") throw error;
        throw new NikaError("unavailable", `${error.message} ${unreachable.says}`);
      });
    },
    results(jobId) {
      const found = shelf.results(jobId);
      if (found === undefined) throw new NikaError("missing", "There are no results of this job here.");
      return found;
    },
    async offers(wish, signal) {
      const { choices, refused, says, failures } = await weigh(wish, { state, providers, now: now(), signal });
      return { choices, refused, says, failures };
    },
    console: async (machine, signal) =>
      consoleOf(machine, { machines: await state.query(internal.machines.all, {}), providers, signal }),
    signIn: async (machine, signal) =>
      signInTo(machine, { machines: await state.query(internal.machines.all, {}), providers, keys, signal }),
    sweep: (isDryRun, signal) => sweepAll(providers, { clock: { now }, signal, isDryRun }),
    check: async (id, signal) => (await providers.open(id)).check(signal),
    async connect(id, credentials, signal) {
      if (Object.keys(credentials).length > 0 || !(await providers.isSetUp(id))) await providers.keep(id, credentials);
      await watchAccounts();
      return (await providers.open(id)).check(signal);
    },
    async disconnect(id) {
      if (ofThisHouse.includes(id)) throw new NikaError("invalid", `${id} is not kept under a key; there is nothing to forget.`);
      const left = (await state.query(internal.machines.all, {})).filter(({ provider }) => provider === id).length;
      // Without its key nobody could end them.
      if (left > 0)
        throw new NikaError(
          "conflict",
          `${id} may still have ${left} of our machines; \`nika gpu list\` shows them. End them first.`,
        );
      await providers.forget(id);
      await watchAccounts();
    },
    listProviders: async () =>
      Promise.all(
        (["local", "ssh", "runpod", "aws", "google", "azure", "scaleway", "contabo"] as const).map(async (id) => ({
          id,
          isSetUp: await providers.isSetUp(id),
          wants: providers.wants(id),
          isReached: reach.reaches(id),
        })),
      ),
    async quoteProof(id, signal) {
      if (!reach.reaches(id)) throw new NikaError("invalid", unreachable.says);
      const provider = await providers.open(id);
      const hasGpu = (await provider.offers({ gpu: { count: 1, memoryMb: 0 } }, signal)).length > 0;
      return runCall(quoteGpuJob, { args: { ask: proofAsk(id, hasGpu), by: "owner" }, ports, signal });
    },
    mesh: () => ({ isSetUp: mesh.url() !== undefined, address: mesh.url(), wants: meshFields, way: reach.ofRented() }),
    connectMesh: (fields, signal) => mesh.connect(fields, signal),
    disconnectMesh: () => mesh.disconnect(),
    addHost: (wish) => addHost(dataDir, wish),
    prove: (quoteId, signal) => prove(quoteId, { state, providers, mute: (machineId) => door.mute(machineId), signal }),
  });

  return {
    gpu: openGpu({ state, shelf, dataDir }),
    providers,
    boots,
    reach: (place) => reach.of(place),
    nika,
    isOurName: (host) => host === new URL(mesh.url() ?? "https://none.invalid").host,
    tools: (ports) => gpuTools(acts(ports), state),
    routes(ports) {
      const owners = gpuRoutes(acts(ports));
      return (path) =>
        path.startsWith("/nika/gpu/agent/")
          ? async (request: IncomingMessage, response: ServerResponse) => void door.handle(path, request, response)
          : owners(path);
    },
    async close() {
      homeward.close();
      ssh.close();
      await door.close();
      await pruning;
    },
  };
}

/** Beside the data, or, where its path is too long for a socket, in a folder of its name among temporary ones. */
function socketFolder(dir: string): string {
  const usual = join(dir, "door");
  if (join(usual, "door.sock").length <= socketCharsMax) return usual;
  return join(tmpdir(), `nika-${createHash("sha256").update(dir).digest("hex").slice(0, 16)}`);
}
