/**
 * Sandboxes by the Docker Engine: create, attach, start over its API. The command line of Docker is not used: it costs a process a
 * sandbox, and killing it leaves the container running.
 */
import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import type {
  Attestation,
  Sandbox,
  SandboxEnd,
  SandboxConnection,
  Sandboxes,
  SandboxSpec,
} from "../../functions/ports/sandboxes.ts";
import { openGate, type EgressLimits, type Gate } from "../egress/gate.ts";
import { openAttestations, type Found } from "./attest.ts";
import { attached } from "./attached.ts";
import { engineSocket, openDocker } from "./client.ts";
import { statusOf, toContainerError, unlessMissing } from "./errors.ts";
import { openEvents } from "./events.ts";
import { firstUser, openImages, relayUser, storingUsers, users } from "./image.ts";
import { checkSpec, hasSecrets, openUsers, toCreateOptions, type Runtime } from "./limits.ts";
import { toMounts, toStorage } from "./mounts.ts";
import { watchStorage } from "./storage.ts";

export type SandboxesOptions = {
  /** Whose sandboxes these are: containers of another data folder are never touched. */
  readonly dataDir: string;
  /** Folders from which may be mounted. */
  readonly mountRoots: readonly string[];
  /** What a sandbox with a way out may send and receive; generous when absent. */
  readonly egressLimits?: Partial<EgressLimits>;
  /** Of the engine; its usual place when absent. */
  readonly socketPath?: string;
};

// Of this process, not of one who opens sandboxes: several of them share a data folder and must not reap each other's.
const boot = randomUUID();
const free = openUsers(users - storingUsers);
/** Those of storages are not handed out, and are none too many: each is its storage's own. */
const giveBack = (user: number): void => {
  if (user < firstUser + users - storingUsers) free.give(user);
};
/** What one of them wrote the next must be able to change, so a storage has one user for good; of two storages it may be the same. */
const userOf = (storage: string): number =>
  firstUser + users - 1 - (createHash("sha256").update(storage).digest().readUInt32BE() % storingUsers);
/** Where verdicts are kept in a data folder. */
export const attestationsFile = "sandbox/attestations.json";
const ownerLabel = "nika.sandbox.owner";
const bootLabel = "nika.sandbox.boot";
/** What the kernel's SIGKILL looks like from outside, and V8's own end for want of heap. */
const killedCode = 137;
const abortedCode = 134;
/** The kernel's word about memory may come this much after that of the end. */
const oomGraceMs = 1_500;

/** What stands in every image beside the language. */
const guestPrograms = {
  ...Object.fromEntries(
    ["frames.ts", "relay.ts", "wait.ts"].map((name) => [name, new URL(`../egress/guest/${name}`, import.meta.url)]),
  ),
  "enter.ts": new URL("guest/enter.ts", import.meta.url),
};

/** `within`: the same sandboxes for somebody who may mount from other folders, and only from those. */
export type DockerSandboxes = Sandboxes & { within(mountRoots: readonly string[]): Sandboxes };

/** Talks to the engine only when asked something. */
export function dockerSandboxes({
  dataDir,
  mountRoots,
  egressLimits,
  socketPath = engineSocket,
}: SandboxesOptions): DockerSandboxes {
  const docker = openDocker(socketPath);
  const owner = createHash("sha256").update(dataDir).digest("hex").slice(0, 16);
  const events = openEvents(docker, `${bootLabel}=${boot}`);
  const images = openImages(docker, { programs: guestPrograms });
  const listeners = new Set<(connection: SandboxConnection) => void>();

  const attestations = openAttestations({
    docker,
    file: join(dataDir, attestationsFile),
    image: () => images.need("node"),
    open: (spec, found, signal) => launch(spec, found, { roots: mountRoots, signal }),
  });

  async function open(spec: SandboxSpec, by: Opener): Promise<Sandbox> {
    checkSpec(spec);
    by.signal.throwIfAborted();
    const found = await runtimeFor(spec).catch((error: unknown) => {
      throw toContainerError(error);
    });
    return launch(spec, found, by);
  }

  /** Starts it under that runtime, whatever is known of it. */
  async function launch(spec: SandboxSpec, found: Found, { roots, signal }: Opener): Promise<Sandbox> {
    const { storage } = spec;
    const mounts = await toMounts(spec.mounts, { roots, dataDir });
    if (storage) mounts.push(await toStorage(storage.from, dataDir));
    const user = storage ? userOf(storage.from) : free.take();
    try {
      return await start({ spec, mounts, ...found, user, signal });
    } catch (error) {
      giveBack(user);
      throw error;
    }
  }

  /** The one that was asked for, or the strongest that was seen to hold. Kata is never chosen unasked: nobody has tried it with Nika. */
  async function runtimeFor({ name, runtime }: SandboxSpec): Promise<Found> {
    const found = await attestations.found();
    for (const wanted of runtime === "auto" ? (["gvisor", "runc"] as const) : [runtime]) {
      const one = found.find((each) => each.runtime === wanted);
      if (!one) {
        if (runtime === "auto") continue;
        throw new NikaError(
          "unavailable",
          `The sandbox ${name} wants ${runtime}, which the container engine on this machine does not have.`,
        );
      }
      const { isSufficient, probes } = await attestations.of(one);
      if (isSufficient) return one;
      if (runtime === "auto") continue;
      const broken = probes.filter(({ holds }) => !holds).map((probe) => probe.name);
      throw new NikaError(
        "denied",
        `The sandbox ${name} is not started: ${runtime} does not hold here (${broken.join(", ")}); see nika sandbox.`,
      );
    }
    throw new NikaError(
      "denied",
      `The sandbox ${name} is not started: no runtime on this machine holds all limits; see nika sandbox.`,
    );
  }

  /** Whoever wants one: from where he may mount, and until when he waits. */
  type Opener = { readonly roots: readonly string[]; readonly signal: AbortSignal };
  type Opening = {
    readonly spec: SandboxSpec;
    readonly mounts: Docker.MountSettings[];
    readonly runtime: Runtime;
    readonly runtimeName: string;
    readonly user: number;
    readonly signal: AbortSignal;
  };

  async function create({ spec, mounts, runtime, runtimeName, user }: Opening): Promise<Docker.Container> {
    for (let isSecond = false; ; isSecond = true) {
      const image = await images.need(spec.language);
      const labels = { [ownerLabel]: owner, [bootLabel]: boot };
      const options = toCreateOptions({ spec, image, mounts, runtime, runtimeName, user, labels });
      try {
        return await docker.createContainer(options);
      } catch (error) {
        // Somebody took the image away since it was made.
        if (statusOf(error) !== 404 || isSecond) throw named(spec, error);
        images.forget(spec.language);
      }
    }
  }

  async function start(opening: Opening): Promise<Sandbox> {
    const { spec, user, signal } = opening;
    const gate = spec.egress.length > 0 ? gateFor(spec) : undefined;
    const container = await create(opening);
    const end = followed(container, spec);
    void end.ended.then(() => {
      giveBack(user);
      gate?.close();
    });
    try {
      signal.throwIfAborted();
      const connection = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
      const pipes = attached(connection as Duplex);
      end.hears(pipes);
      await container.start();
      if (hasSecrets(spec)) pipes.input.write(`${JSON.stringify(spec.secrets)}\n`);
      if (gate) await openWayOut(container, gate);
      signal.throwIfAborted();
      end.started();
      const { input, output, errors } = pipes;
      return {
        input,
        output,
        errors,
        ended: end.ended,
        pause: () => quietly(container.pause()),
        resume: () => quietly(container.unpause()),
        stop: () => end.stop("stopped"),
      };
    } catch (error) {
      await end.stop("stopped").catch(() => undefined);
      throw named(spec, error);
    }
  }

  const gateFor = ({ name, egress }: SandboxSpec): Gate =>
    openGate({
      sandbox: name,
      allowed: egress,
      report(connection) {
        for (const listener of listeners) listener(connection);
      },
      ...(egressLimits && { limits: egressLimits }),
    });

  /** A second stream into the container, with our relay at its inner end and the gate at ours. */
  async function openWayOut(container: Docker.Container, gate: Gate): Promise<void> {
    const exec = await container.exec({
      Cmd: ["/usr/local/bin/node", "--max-old-space-size=32", "/nika/relay.ts"],
      User: `${relayUser}:${relayUser}`,
      WorkingDir: "/",
      Env: ["PATH=/usr/local/bin", "HOME=/"],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: false,
    });
    const { input, output, errors } = attached(await exec.start({ hijack: true, stdin: true }));
    errors.resume();
    gate.serve(output, input);
  }

  /** Follows a container to its end, whoever brings it about. */
  function followed(container: Docker.Container, { timeLimitMs, storage }: SandboxSpec) {
    const { promise: ended, resolve } = Promise.withResolvers<SandboxEnd>();
    const oom = Promise.withResolvers<true>();
    let code: number | undefined;
    let hasDied = false;
    let isKilledByOthers = false;
    let broughtAbout: "stopped" | "time" | "storage" | undefined;
    let timer: NodeJS.Timeout | undefined;
    let unweigh = (): void => undefined;
    let words = (): string => "";
    let cut = (): void => undefined;

    const unwatch = events.watch(container.id, (event) => {
      if (event.type === "oom") oom.resolve(true);
      else if (event.type === "killed") isKilledByOthers = broughtAbout === undefined && !hasDied;
      else if (event.type === "died") [hasDied, code] = [true, event.code];
      else if (event.type === "gone") void finish(hasDied);
      else void finish(false);
    });

    async function finish(isKnown: boolean): Promise<void> {
      clearTimeout(timer);
      unweigh();
      const reason = await reasonOf(isKnown);
      unwatch();
      if (reason !== "exit" && reason !== "memory") cut();
      resolve({ code: isKnown ? code : undefined, reason });
    }

    async function reasonOf(isKnown: boolean): Promise<SandboxEnd["reason"]> {
      if (broughtAbout) return broughtAbout;
      if (!isKnown || isKilledByOthers) return "lost";
      if (code === abortedCode && /heap out of memory|heap limit/i.test(words())) return "memory";
      if (code !== killedCode) return "exit";
      const late = new Promise<false>((settle) => setTimeout(settle, oomGraceMs, false));
      return (await Promise.race([oom.promise, late])) ? "memory" : "exit";
    }

    async function stop(reason: "stopped" | "time" | "storage"): Promise<void> {
      if (hasDied) return void (await ended);
      broughtAbout ??= reason;
      // Output that nobody reads would hold up the engine, and with it the end.
      cut();
      // One that never ran is not removed by its end; of one that runs, this is the end.
      await unlessMissing(container.remove({ force: true })).catch((error: unknown) => {
        // Its removal is under way already.
        if (statusOf(error) !== 409) throw toContainerError(error);
      });
      await ended;
    }

    return {
      ended,
      stop,
      hears(pipes: { lastWords(): string; cut(): void }) {
        ({ lastWords: words, cut } = pipes);
      },
      started() {
        if (storage) unweigh = watchStorage(storage.from, storage.bytesMax, () => void stop("storage").catch(() => undefined));
        if (timeLimitMs !== undefined) timer = setTimeout(() => void stop("time").catch(() => undefined), timeLimitMs);
      },
    };
  }

  const sandboxes: Sandboxes = {
    open: (spec, signal) => open(spec, { roots: mountRoots, signal }),
    async attestations() {
      try {
        const all: Attestation[] = [];
        // One after the other: a probe of the processor wants the machine to itself.
        for (const one of await attestations.found()) all.push(await attestations.of(one));
        return all;
      } catch (error) {
        throw toContainerError(error);
      }
    },
    connections(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async reap() {
      try {
        const filters = { label: [`${ownerLabel}=${owner}`] };
        const old = (await docker.listContainers({ all: true, filters })).filter(({ Labels }) => Labels[bootLabel] !== boot);
        await Promise.all(old.map(({ Id }) => unlessMissing(docker.getContainer(Id).remove({ force: true }))));
        await images.prune();
        return old.length;
      } catch (error) {
        throw toContainerError(error);
      }
    },
  };
  return { ...sandboxes, within: (roots) => ({ ...sandboxes, open: (spec, signal) => open(spec, { roots, signal }) }) };
}

/** Pausing what is paused, and resuming what runs or is gone, is no error. */
async function quietly(call: Promise<unknown>): Promise<void> {
  try {
    await unlessMissing(call);
  } catch (error) {
    if (statusOf(error) === 409 || /is not paused|already paused|not running/.test(String(error))) return;
    throw toContainerError(error);
  }
}

function named({ name, command }: SandboxSpec, error: unknown): unknown {
  if (isNikaError(error)) return error;
  if (statusOf(error) === 409)
    return new NikaError("conflict", `A sandbox named ${name} is there already; stop it first.`, { cause: error });
  if (/executable file not found|no such file or directory/.test(String(error)))
    return new NikaError("missing", `The sandbox ${name} has no program "${command[0] ?? ""}".`, { cause: error });
  return toContainerError(error);
}
