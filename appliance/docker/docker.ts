/** Containers by the Docker Engine on this machine. Nobody else in Nika knows its client. */
import { createHash } from "node:crypto";
import type Docker from "dockerode";
import { NikaError } from "../../convex/model/error.ts";
import type { Containers, ContainerSpec } from "../../functions/ports/containers.ts";
import { engineSocket, openDocker } from "./client.ts";
import { isUnreachable, statusOf, toContainerError, unlessMissing } from "./errors.ts";

export type DockerOptions = {
  /** Of the engine; its usual place when absent. */
  readonly socketPath?: string;
};

// What a container was made from, so that a change of it is noticed.
const specLabel = "nika.spec";
const stopSeconds = 30;

/** Talks to the engine only when asked something. */
export function dockerContainers({ socketPath = engineSocket }: DockerOptions = {}): Containers {
  const docker = openDocker(socketPath);

  const inspect = (name: string) => unlessMissing(docker.getContainer(name).inspect());

  async function remove(name: string): Promise<void> {
    await stop(name);
    await unlessMissing(docker.getContainer(name).remove({ force: true }));
  }

  async function stop(name: string): Promise<void> {
    await unlessMissing(docker.getContainer(name).stop({ t: stopSeconds })).catch((error: unknown) => {
      // 304: it does not run.
      if (statusOf(error) !== 304) throw error;
    });
  }

  const calls: Containers = {
    async needImage(image, signal) {
      if (await unlessMissing(docker.getImage(image).inspect())) return;
      await pull(docker, image, signal);
    },

    async run(spec) {
      const mark = markOf(spec);
      const found = await inspect(spec.name);
      if (found && found.Config.Labels[specLabel] === mark) {
        if (!found.State.Running) await docker.getContainer(spec.name).start();
        return;
      }
      if (found) await remove(spec.name);
      const container = await docker.createContainer(toOptions(spec, mark));
      await container.start();
    },

    async find(name) {
      const found = await inspect(name);
      if (!found) return undefined;
      const { Running, Restarting, ExitCode, FinishedAt } = found.State;
      // Between two tries of a program that keeps ending it counts as running for the engine, and not for us.
      const isRunning = Running && !Restarting;
      const hasEnded = !isRunning && !FinishedAt.startsWith("0001");
      return { name, image: found.Config.Image, isRunning, ...(hasEnded && { exitCode: ExitCode }) };
    },

    async lastLines(name, count) {
      const bytes = await unlessMissing(docker.getContainer(name).logs({ stdout: true, stderr: true, tail: count }));
      return bytes ? toLines(bytes) : [];
    },

    stop,
    remove,

    async removeVolume(name) {
      await unlessMissing(docker.getVolume(name).remove());
    },
  };
  return explained(calls);
}

/** Everything that is not said goes by the least: no capabilities, no new privileges, loopback, a log that does not grow for ever. */
function toOptions(spec: ContainerSpec, mark: string): Docker.ContainerCreateOptions {
  const { name, image, environment, ports, volumes, memoryBytes, cpus, processesMax } = spec;
  return {
    name,
    Image: image,
    Env: Object.entries(environment).map(([key, value]) => `${key}=${value}`),
    Labels: { [specLabel]: mark },
    ExposedPorts: Object.fromEntries(ports.map(({ inside }) => [`${inside}/tcp`, {}])),
    HostConfig: {
      PortBindings: Object.fromEntries(
        ports.map(({ inside, outside }) => [`${inside}/tcp`, [{ HostIp: "127.0.0.1", HostPort: String(outside) }]]),
      ),
      Binds: volumes.map((volume) => `${volume.name}:${volume.path}`),
      Memory: memoryBytes,
      NanoCpus: Math.round(cpus * 1e9),
      PidsLimit: processesMax,
      ReadonlyRootfs: true,
      Tmpfs: { "/tmp": "" },
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true"],
      RestartPolicy: { Name: "unless-stopped" },
      Init: true,
      LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } },
    },
  };
}

const markOf = (spec: ContainerSpec): string => createHash("sha256").update(JSON.stringify(spec)).digest("hex");

async function pull(docker: Docker, image: string, signal: AbortSignal): Promise<void> {
  const cannot = (cause: unknown) =>
    new NikaError(
      "missing",
      `The image ${image} is not on this machine and cannot be fetched; load it with "docker load", or go online.`,
      { cause },
    );
  let stream: NodeJS.ReadableStream;
  try {
    stream = await docker.pull(image, { abortSignal: signal });
  } catch (error) {
    if (signal.aborted || isUnreachable(error)) throw error;
    throw cannot(error);
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  docker.modem.followProgress(stream, (error, output: readonly { error?: string }[]) => {
    const failed = error ?? output.find((line) => line.error !== undefined)?.error;
    if (failed) reject(signal.aborted ? signal.reason : cannot(failed));
    else resolve();
  });
  await promise;
}

/** The engine's log, which puts eight bytes before each piece: the stream, three zeros, the length. */
function toLines(bytes: Buffer): string[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = bytes.readUInt32BE(at + 4);
    pieces.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(pieces)
    .toString("utf8")
    .split("\n")
    .filter((line) => line.trim() !== "");
}

/** Every call with the engine's errors in our words. */
function explained(calls: Containers): Containers {
  const explain =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      try {
        return await call(...args);
      } catch (error) {
        throw toContainerError(error);
      }
    };
  return {
    needImage: explain(calls.needImage),
    run: explain(calls.run),
    find: explain(calls.find),
    lastLines: explain(calls.lastLines),
    stop: explain(calls.stop),
    remove: explain(calls.remove),
    removeVolume: explain(calls.removeVolume),
  };
}
