/** Machines to let that are containers of the engine here. What is in them is the owner's work, not a stranger's, and is held to its share all the same. */
import type Docker from "dockerode";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import type { MachineContainer, MachineContainers, MachineContainerSpec } from "../../functions/ports/machineContainers.ts";
import { engineSocket, hasEngine, openDocker } from "./client.ts";
import { dockerContainers } from "./docker.ts";
import { statusOf, toContainerError, unlessMissing } from "./errors.ts";
import { openImages } from "./image.ts";

/** What scripts take for granted, beside Node and Python. */
const tools = (
  "sh bash env cat cp mv rm ls ln mkdir rmdir mktemp touch chmod stat du df find xargs head tail tee wc sort uniq cut tr seq date sleep " +
  "printf echo test true false grep sed awk tar gzip sha256sum basename dirname realpath readlink pwd nproc timeout kill nice uname id"
).split(" ");

/** Talks to the engine only when asked something. */
export function dockerMachines({ socketPath = engineSocket }: { readonly socketPath?: string } = {}): MachineContainers {
  const docker = openDocker(socketPath);
  const containers = dockerContainers({ socketPath });
  const images = openImages(docker, { programs: {}, prefix: "nika-machine-", tools });

  const told = async <T>(call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      throw toContainerError(error);
    }
  };
  const ownImage = (): Promise<string> =>
    images.need("python").catch((error: unknown) => {
      if (isNikaError(error) && error.code === "missing") return images.need("node");
      throw error;
    });
  const find = async (name: string): Promise<MachineContainer | undefined> => {
    const found = await unlessMissing(docker.getContainer(name).inspect());
    if (!found) return undefined;
    const { Running, ExitCode } = found.State;
    return {
      name,
      labels: found.Config.Labels,
      isRunning: Running,
      ...(!Running && { exitCode: ExitCode }),
      createdAt: Date.parse(found.Created),
    };
  };

  return {
    async isThere(signal) {
      if (socketPath === engineSocket && !hasEngine()) return false;
      const asked = docker.ping().then(
        () => true,
        () => false,
      );
      return Promise.race([asked, new Promise<boolean>((resolve) => signal.addEventListener("abort", () => resolve(false)))]);
    },

    hasGpus: async () => {
      const { Runtimes = {} } = (await told(docker.info())) as { Runtimes?: Record<string, unknown> };
      return "nvidia" in Runtimes;
    },

    async create(spec, signal) {
      await containers.needImage(spec.image, signal);
      const create = async (): Promise<MachineContainer> => {
        await docker.createContainer(toOptions(spec)).catch((error: unknown) => {
          // Asked for before: it is the one.
          if (statusOf(error) !== 409) throw error;
        });
        await docker
          .getContainer(spec.name)
          .start()
          .catch((error: unknown) => {
            // 304: it runs.
            if (statusOf(error) !== 304) throw error;
          });
        const made = await find(spec.name);
        if (!made) throw new NikaError("unavailable", "The container that was just made is gone.");
        return made;
      };
      return told(create());
    },

    find: (name) => told(find(name)),

    list: (label) =>
      told(
        docker.listContainers({ all: true, filters: { label: [label] } }).then((found) =>
          found.map(({ Names, Labels, State, Created }) => ({
            name: (Names[0] ?? "").replace(/^\//, ""),
            labels: Labels,
            isRunning: State === "running",
            createdAt: Created * 1000,
          })),
        ),
      ),

    remove: (name) => told(unlessMissing(docker.getContainer(name).remove({ force: true, v: true })).then(() => undefined)),

    lastOutput: async (name, lines) => (await told(containers.lastLines(name, lines))).join("\n"),

    async ownImage() {
      const name = await told(ownImage());
      if (await told(unlessMissing(docker.getImage(name).inspect()))) return name;
      // Somebody cleared it away since it was made.
      images.forget("python");
      images.forget("node");
      return told(ownImage());
    },
  };
}

function toOptions(spec: MachineContainerSpec): Docker.ContainerCreateOptions {
  const [entry = "", ...rest] = spec.command;
  return {
    name: spec.name,
    Image: spec.image,
    Entrypoint: [entry],
    Cmd: rest,
    Env: Object.entries(spec.environment).map(([key, value]) => `${key}=${value}`),
    Labels: { ...spec.labels },
    User: spec.user,
    WorkingDir: "/",
    NetworkDisabled: !spec.hasNetwork,
    HostConfig: {
      // The agent inside is the first program; it ends the machine by ending.
      Init: true,
      AutoRemove: false,
      RestartPolicy: { Name: "no" },
      NetworkMode: spec.hasNetwork ? "bridge" : "none",
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true"],
      Memory: spec.memoryBytes,
      MemorySwap: spec.memoryBytes,
      NanoCpus: Math.round(spec.cpus * 1e9),
      PidsLimit: spec.processesMax,
      // What trains shares tensors between processes by memory.
      ShmSize: Math.round(spec.memoryBytes / 2),
      OomScoreAdj: 500,
      Mounts: spec.mounts.map(({ from, to, isWritable }) => ({ Type: "bind", Source: from, Target: to, ReadOnly: !isWritable })),
      Ulimits: [{ Name: "core", Soft: 0, Hard: 0 }],
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "1" } },
      ...(spec.gpus > 0 && { DeviceRequests: [{ Driver: "nvidia", Count: spec.gpus, Capabilities: [["gpu"]] }] }),
    },
  };
}
