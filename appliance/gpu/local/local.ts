/**
 * This machine, let to itself: a container for each piece of work where a Docker engine answers, else processes in a session of their own. What
 * was started goes on when the appliance is killed, and is found again by its name.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, rm, statfs } from "node:fs/promises";
import { availableParallelism, setPriority, totalmem } from "node:os";
import { join } from "node:path";
import {
  parseMachineName,
  type AccountCheck,
  type Capability,
  type CreateResult,
  type Failure,
  type MachineIntent,
  type Need,
  type Observed,
  type Offer,
} from "../../../convex/model/gpu.ts";
import { isNikaError } from "../../../convex/model/error.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import type { MachineContainer, MachineContainers } from "../../../functions/ports/machineContainers.ts";
import type { Shipment } from "../agent/ship.ts";
import { findGpus, shortName } from "./gpus.ts";
import { killMarked, mark, markedProcesses } from "./marked.ts";
import { nextFate, simulated } from "./scenario.ts";
import { readLocalSetting, type LocalSetting } from "./setting.ts";

export type LocalOptions = {
  readonly dataDir: string;
  /** Absent: processes only. */
  readonly containers?: MachineContainers;
  readonly shipment: () => Promise<Shipment>;
  /** The folder with the door's socket, and the socket as it is called from this machine. */
  readonly door: { readonly folder: string; readonly socket: string };
  readonly now: () => number;
  /** Where processes find programs; the system's usual folders when absent. */
  readonly searchPath?: string | undefined;
  readonly log?: (line: string) => void;
};

const installLabel = "nika.gpu.install";
const machineLabel = "nika.gpu.machine";
const folderLabel = "nika.gpu.folder";
const here = "here";
/** Written by the machine's guard before a scenario takes it away. */
const takenFile = "taken";
/** Left to the machine itself and what else runs on it. */
const memoryShare = 0.7;
const processesMax = 4_096;
const secondMs = 1_000;
/** One step below the appliance's own helpers: answers come first. */
const politeness = 10;
const askMs = 3_000;
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const capability: Capability = {
  form: ["container", "host"],
  createIs: "onceByName",
  hasTags: true,
  // None but in a scenario, which says so itself.
  hasSpot: false,
  shutdownEndsBill: "yes",
  hasTtl: false,
  deletesItself: "process",
  listLagMs: 0,
  noticeMs: 0,
  bootBytesMax: 0,
};

export function localProvider({
  dataDir,
  containers,
  shipment,
  door,
  now,
  searchPath,
  log = () => undefined,
}: LocalOptions): Provider {
  const machinesDir = join(dataDir, "gpu", "machines");
  const folderOf = (name: string): string => join(machinesDir, name);

  async function backend(setting: LocalSetting, signal: AbortSignal): Promise<"container" | "process"> {
    if (setting.backend !== undefined) return setting.backend;
    const soon = AbortSignal.any([signal, AbortSignal.timeout(askMs)]);
    return containers && (await containers.isThere(soon)) ? "container" : "process";
  }

  async function gpuOffered(setting: LocalSetting): Promise<Offer["gpu"]> {
    if (setting.simulatedGpu) return { ...setting.simulatedGpu, isSimulated: true };
    const found = await findGpus();
    const [first] = found;
    if (!first) return undefined;
    return { name: shortName(first), count: found.length, memoryMb: Math.min(...found.map(({ memoryMb }) => memoryMb)) };
  }

  /** What is there, or was and has not been cleared away. */
  async function all(): Promise<Observed[]> {
    const running = markedProcesses();
    const inContainers =
      containers && (await containers.isThere(AbortSignal.timeout(askMs))) ? await containers.list(machineLabel) : [];
    // Several data folders may share an engine; what is told of is this folder's and strangers'.
    const names = new Set(await readdir(machinesDir).catch((): string[] => []));
    const found = inContainers
      .filter(({ labels, name }) => labels[folderLabel] === machinesDir || !names.has(name))
      .map((one) => ofContainer(one));
    for (const { ref } of found) names.delete(ref.id);
    for (const name of names) found.push(ofProcesses(name, running.has(name)));
    return found;
  }

  function ofContainer({ name, labels, isRunning, createdAt }: MachineContainer): Observed {
    return observed(name, isRunning, {
      ...noted(name),
      createdAt,
      installId: labels[installLabel],
      machineId: labels[machineLabel],
    });
  }

  const ofProcesses = (name: string, isRunning: boolean): Observed => observed(name, isRunning, noted(name));

  function noted(name: string): Partial<Known> {
    try {
      return JSON.parse(readFileSync(join(folderOf(name), "machine.json"), "utf8")) as Partial<Known>;
    } catch {
      return {};
    }
  }

  function observed(name: string, isRunning: boolean, known: Partial<Known>): Observed {
    const parsed = parseMachineName(name);
    const { installId = parsed?.installId, machineId = parsed?.machineId, createdAt, bootMs = 0 } = known;
    const isBooting = now() < (createdAt ?? 0) + bootMs;
    const wentBy = existsSync(join(folderOf(name), takenFile)) ? ("preemption" as const) : ("itself" as const);
    return {
      ref: { provider: "local", region: here, id: name },
      name,
      ...(installId !== undefined && { installId }),
      ...(machineId !== undefined && { machineId }),
      ...(parsed && { deadline: parsed.deadline }),
      state: !isRunning ? "stopped" : isBooting ? "booting" : "running",
      ...(!isRunning && { wentBy }),
      isBilled: isRunning,
      satellites: [],
      ...(createdAt !== undefined && { createdAt }),
    };
  }

  async function create(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult> {
    const setting = readLocalSetting(dataDir);
    const { name, installId, machineId, offer, container: wanted } = intent;
    const live = (await all()).filter(({ isBilled }) => isBilled);
    const twin = live.find((one) => one.name === name);
    if (twin) return { type: "created", observed: twin };
    if (live.length >= setting.slots)
      return failed("noCapacity", `This machine is set to do ${setting.slots} pieces of work at a time.`);
    const fate = setting.scenario && nextFate(dataDir, setting.scenario);
    if (fate?.isRefused) return failed("noCapacity", `${simulated} no machine is to be had.`);
    const folder = folderOf(name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const createdAt = now();
    const known: Known = { installId, machineId, createdAt, ...(fate && { bootMs: fate.bootMs }) };
    writeFileSync(join(folder, "machine.json"), JSON.stringify(known), { mode: 0o600 });
    const { dir, node, agent } = await shipment();
    const told = {
      ...wanted?.environment,
      [mark]: name,
      NIKA_GPU_LIFE_MS: String(Math.max(secondMs, intent.deadline - createdAt)),
      ...(setting.simulatedGpu && { NIKA_GPU_SIMULATED: JSON.stringify(setting.simulatedGpu) }),
      ...(fate && { NIKA_GPU_BOOT_MS: String(fate.bootMs) }),
      ...(fate?.taken && offer.isSpot && { NIKA_GPU_TAKEN: JSON.stringify(fate.taken) }),
    };
    const lost: Failure = { kind: "transient", scope: "type", says: `${simulated} the answer was lost.` };
    const made = (observed: Observed): CreateResult =>
      fate?.isAnswerLost ? { type: "unknown", failure: lost } : { type: "created", observed };
    if (offer.form === "container") {
      if (!containers) return failed("invalid", "No Docker engine answers on this machine any more.");
      const image = wanted?.image || (await containers.ownImage());
      const container = await containers.create(
        {
          name,
          labels: { [installLabel]: installId, [machineLabel]: machineId, [folderLabel]: machinesDir },
          image,
          command: [...node("/nika/agent"), agent("/nika/agent")],
          environment: {
            HOME: "/nika/machine",
            TMPDIR: "/nika/machine",
            ...told,
            NIKA_GPU_DOOR: "unix:/nika/door/door.sock",
            NIKA_GPU_FOLDER: "/nika/machine",
            NIKA_GPU_NODE: JSON.stringify(node("/nika/agent")),
          },
          mounts: [
            { from: dir, to: "/nika/agent", isWritable: false },
            { from: door.folder, to: "/nika/door", isWritable: false },
            { from: folder, to: "/nika/machine", isWritable: true },
          ],
          user: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
          memoryBytes: offer.memoryMb * 1_000_000,
          cpus: offer.cpus,
          processesMax,
          hasNetwork: setting.hasNetwork,
          gpus: offer.gpu && offer.gpu.isSimulated !== true ? offer.gpu.count : 0,
        },
        signal,
      );
      return made(ofContainer(container));
    }
    const child = spawn(process.execPath, [agent(dir)], {
      cwd: folder,
      // A session of its own: what ends the appliance does not end it.
      detached: true,
      stdio: "ignore",
      env: {
        PATH: searchPath ?? usualPath,
        LANG: "C.UTF-8",
        HOME: folder,
        TMPDIR: folder,
        ...told,
        NIKA_GPU_DOOR: `unix:${door.socket}`,
        NIKA_GPU_FOLDER: folder,
      },
    });
    await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    child.unref();
    restrain(child.pid);
    return made(observed(name, true, known));
  }

  async function remove(name: string): Promise<void> {
    if (containers && (await containers.isThere(AbortSignal.timeout(askMs)))) await containers.remove(name);
    await killMarked(name);
    await rm(folderOf(name), { recursive: true, force: true, maxRetries: 3 });
  }

  return {
    id: "local",
    capability,

    async offers(need, signal) {
      const setting = readLocalSetting(dataDir);
      const form = (await backend(setting, signal)) === "container" ? ("container" as const) : ("host" as const);
      const gpu = need.gpu || setting.simulatedGpu ? await gpuOffered(setting) : undefined;
      const { bavail, bsize } = await statfs(dataDir);
      const memoryMb = Math.round((totalmem() / 1e6) * memoryShare);
      const offer: Offer = {
        provider: "local",
        id: `${form === "container" ? "container" : "process"}/${gpu ? `${gpu.name}x${gpu.count}` : "cpu"}`,
        form,
        type: form === "container" ? "a container here" : "processes here",
        ...(setting.scenario && { isSimulated: true }),
        region: here,
        // It does not leave the house.
        isInEu: true,
        ...(gpu && { gpu }),
        cpus: availableParallelism(),
        memoryMb: need.memoryMb === undefined ? memoryMb : Math.min(memoryMb, need.memoryMb),
        diskMb: Math.round((bavail * bsize) / 1e6),
        isSpot: need.maySpot === true && setting.scenario?.taken !== undefined,
        hourly: setting.hourly,
        quantumMs: secondMs,
        minimumMs: 0,
        stock: (await all()).filter(({ isBilled }) => isBilled).length < setting.slots ? "high" : "none",
        pricedAt: now(),
        priceSource: `${setting.hourly.micros === 0 ? "this machine is yours" : "gpu/local.json"}${setting.scenario ? "; a simulated scenario is played" : ""}`,
      };
      return fits(offer, need) ? [offer] : [];
    },

    async create(intent, signal) {
      try {
        return await create(intent, signal);
      } catch (error) {
        log(`gpu: ${intent.name} could not be started here: ${String(error instanceof Error ? error.stack : error)}`);
        const says = isNikaError(error) ? error.message : "This machine could not start the work; see the log of Nika.";
        // What was half made is cleared away by its name.
        await remove(intent.name).catch(() => undefined);
        return { type: "failed", failure: { kind: isNikaError(error) ? "invalid" : "transient", scope: "type", says } };
      }
    },

    describe: async (ref) => (await all()).find((one) => one.ref.id === ref.id),

    async *list() {
      try {
        yield* await all();
      } catch (cause) {
        throw new ProviderError(
          { kind: "transient", scope: "provider", says: "The Docker engine here did not answer." },
          { cause },
        );
      }
    },

    async terminate(ref) {
      if (!parseMachineName(ref.id)) return "gone";
      try {
        await remove(ref.id);
      } catch (cause) {
        throw new ProviderError(
          { kind: "transient", scope: "type", says: `${ref.id} could not be cleared away yet.` },
          { cause },
        );
      }
      return (await all()).some(({ name }) => name === ref.id) ? "accepted" : "gone";
    },

    async check(signal): Promise<readonly AccountCheck[]> {
      const setting = readLocalSetting(dataDir);
      const form = await backend(setting, signal);
      const gpu = await gpuOffered(setting);
      const { bavail, bsize } = await statfs(dataDir);
      const freeGb = Math.round((bavail * bsize) / 1e9);
      const canPass =
        gpu === undefined || gpu.isSimulated === true || form === "process" || (await containers?.hasGpus()) === true;
      return [
        {
          name: "isolation",
          passed: true,
          says:
            form === "container"
              ? "A Docker engine answers, so each piece of work gets a container of its own."
              : "No Docker engine is used, so work runs as processes of this machine, with the rights of who runs Nika.",
        },
        { name: "gpu", passed: canPass, says: saysGpu(gpu, canPass) },
        ...(setting.scenario
          ? [
              {
                name: "scenario",
                passed: true,
                says: "gpu/local.json plays a simulated scenario: what goes wrong here is made up.",
              },
            ]
          : []),
        { name: "disk", passed: freeGb >= 5, says: `${freeGb} GB are free for work and its results; 5 are wanted.` },
      ];
    },

    async output(ref) {
      const file = await readFile(join(folderOf(ref.id), "agent.log"), "utf8").catch(() => "");
      const said = await containers?.lastOutput(ref.id, 100).catch(() => "");
      return { text: `${said ?? ""}${file}` };
    },
  };
}

type Known = {
  readonly installId?: string | undefined;
  readonly machineId?: string | undefined;
  readonly createdAt?: number;
  /** In a scenario: how long it takes to start. */
  readonly bootMs?: number;
};

function failed(kind: Failure["kind"], says: string): CreateResult {
  return { type: "failed", failure: { kind, scope: "provider", says } };
}

function saysGpu(gpu: Offer["gpu"], canPass: boolean): string {
  if (!gpu) return "There is no NVIDIA GPU here (nvidia-smi does not answer); work runs on the processor.";
  const what = `${gpu.count} x ${gpu.name} with ${Math.round(gpu.memoryMb / 1000)} GB each`;
  if (gpu.isSimulated === true) return `${what}: a simulated GPU, made up by gpu/local.json.`;
  if (!canPass)
    return `${what}, which containers cannot use yet: install the NVIDIA container toolkit, or set "backend": "process" in gpu/local.json.`;
  return what + ".";
}

function fits({ gpu, cpus, memoryMb, diskMb }: Offer, need: Need): boolean {
  if (need.gpu) {
    const { count, memoryMb: each, names } = need.gpu;
    if (!gpu || gpu.count < count || gpu.memoryMb < each || (names && !names.includes(gpu.name))) return false;
  }
  return cpus >= (need.cpus ?? 0) && memoryMb >= (need.memoryMb ?? 0) && diskMb >= (need.diskMb ?? 0);
}

/** Polite to what else runs here, and first to go when memory is out. */
function restrain(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, politeness);
    writeFileSync(`/proc/${pid}/oom_score_adj`, "500");
  } catch {
    // Not Linux, or not allowed: the work runs all the same.
  }
}
