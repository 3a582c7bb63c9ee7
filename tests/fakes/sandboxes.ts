/**
 * Sandboxes that hold nothing: plain processes of this machine, for tests of what uses sandboxes. Names, pipes, ends and refusals are
 * true; limits, mounts and egress are not there, and what asks for a mount or a way out inside will not find it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { NikaError } from "../../convex/model/error.ts";
import type { Sandbox, SandboxEnd, Sandboxes, SandboxSpec } from "../../functions/ports/sandboxes.ts";
import { checkSpec } from "../../appliance/docker/limits.ts";
import { toMounts } from "../../appliance/docker/mounts.ts";
import { toAllowed } from "../../appliance/egress/addresses.ts";

const errorsMax = 256 * 1024;

export function fakeSandboxes({ mountRoots = [] }: { readonly mountRoots?: readonly string[] } = {}): Sandboxes {
  const running = new Set<string>();

  async function open(spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox> {
    checkSpec(spec);
    toAllowed(spec.egress);
    signal.throwIfAborted();
    await toMounts(spec.mounts, { roots: mountRoots, dataDir: "/nonexistent" });
    if (running.has(spec.name)) throw new NikaError("conflict", `A sandbox named ${spec.name} is there already; stop it first.`);
    const [word = "", ...rest] = spec.command;
    const child = spawn(word === "node" ? process.execPath : word, rest, {
      env: { PATH: "/usr/bin:/bin", HOME: "/tmp", ...spec.environment, ...spec.secrets },
      cwd: "/tmp",
      stdio: ["pipe", "pipe", "pipe"],
    });
    await once(child, "spawn").catch((error: unknown) => {
      throw new NikaError("missing", `The sandbox ${spec.name} has no program "${word}".`, { cause: error });
    });
    running.add(spec.name);
    return held(child, spec, () => running.delete(spec.name));
  }

  return {
    open,
    attestations: async () => [
      { runtime: "runc", at: 0, isSufficient: false, probes: [{ name: "start", holds: false, detail: "a fake holds nothing" }] },
    ],
    connections: () => () => undefined,
    reap: async () => 0,
  };
}

type Piped = ChildProcess & {
  readonly stdin: NonNullable<ChildProcess["stdin"]>;
  readonly stdout: NonNullable<ChildProcess["stdout"]>;
};

function held(process: ChildProcess, { timeLimitMs }: SandboxSpec, over: () => void): Sandbox {
  const child = process as Piped;
  let cause: "stopped" | "time" | undefined;
  const ended = once(child, "exit").then(([code]): SandboxEnd => {
    clearTimeout(timer);
    over();
    return { code: (code as number | null) ?? undefined, reason: cause ?? "exit" };
  });
  const end = async (why: "stopped" | "time"): Promise<void> => {
    cause ??= why;
    child.kill("SIGKILL");
    await ended;
  };
  const timer = timeLimitMs === undefined ? undefined : setTimeout(() => void end("time"), timeLimitMs);
  const errors = new PassThrough({ highWaterMark: errorsMax });
  child.stderr?.on("data", (piece: Buffer) => void (errors.readableLength + piece.length <= errorsMax && errors.write(piece)));
  child.stderr?.once("end", () => errors.end());
  child.stdin.on("error", () => undefined);
  return {
    input: child.stdin,
    output: child.stdout,
    errors,
    ended,
    pause: async () => void child.kill("SIGSTOP"),
    resume: async () => void child.kill("SIGCONT"),
    stop: () => end("stopped"),
  };
}
