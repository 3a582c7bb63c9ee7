/**
 * A function without a sandbox, where the owner allowed that by name: a process of ours under Node's permission model, which keeps it
 * from files, other programs and machine code, and has no environment. It does not keep it from the network, nor from the processor.
 */
import { spawn } from "node:child_process";
import { NikaError } from "../../convex/model/error.ts";
import type { Sandbox, SandboxEnd } from "../../functions/ports/sandboxes.ts";

export type BareSpec = {
  readonly language: "node" | "python";
  readonly runner: string;
  /** Its folder, and the file in it. */
  readonly dir: string;
  readonly entry: string;
  readonly memoryMiB: number;
};

/** Fails with `denied` for Python, which has no such permissions. */
export function openBare({ language, runner, dir, entry, memoryMiB }: BareSpec): Sandbox {
  if (language !== "node")
    throw new NikaError("denied", "Python runs in a sandbox only; install Docker, or write it in TypeScript.");
  const flags = [
    `--max-old-space-size=${memoryMiB}`,
    "--permission",
    `--allow-fs-read=${dir}/`,
    `--allow-fs-read=${runner}`,
    "--disable-warning=ExperimentalWarning",
  ];
  const child = spawn(process.execPath, [...flags, runner, `${dir}/${entry}`], {
    cwd: dir,
    env: {},
    stdio: ["pipe", "pipe", "pipe"],
  });
  let isStopped = false;
  const ended = new Promise<SandboxEnd>((resolve) => {
    child.once("error", () => resolve({ code: undefined, reason: "lost" }));
    child.once("close", (code) =>
      resolve(
        isStopped ? { code: undefined, reason: "stopped" } : { code: code ?? undefined, reason: code === null ? "lost" : "exit" },
      ),
    );
  });
  return {
    input: child.stdin,
    output: child.stdout,
    errors: child.stderr,
    ended,
    pause: async () => void child.kill("SIGSTOP"),
    resume: async () => void child.kill("SIGCONT"),
    async stop() {
      isStopped = true;
      child.kill("SIGKILL");
      await ended;
    },
  };
}
