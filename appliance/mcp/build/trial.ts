/** A made server's contract tests, run where they can do no harm: in a sandbox without network, or as a process that may only read its own folder. */
import { spawn } from "node:child_process";
import { realpathSync } from "node:fs";
import type { Readable } from "node:stream";
import { isNikaError } from "../../../convex/model/error.ts";
import type { Sandboxes } from "../../../functions/ports/sandboxes.ts";

export type Trial = {
  readonly isGood: boolean;
  readonly passed: number;
  readonly failed: number;
  readonly way: "sandbox" | "process";
  /** What failed, and the end of what was said; empty when all is well. */
  readonly said: string;
};

const timeLimitMs = 120_000;
const saidCharsMax = 6_000;
const mebibyte = 1024 * 1024;

/** Whatever goes wrong is an answer; only being told to stop is an error. */
export async function tryOut(dir: string, sandboxes: Sandboxes | undefined, signal: AbortSignal): Promise<Trial> {
  const sandboxed = sandboxes && (await inSandbox(dir, sandboxes, signal));
  return sandboxed ?? (await asProcess(dir, signal));
}

/** Undefined when there is no engine. */
async function inSandbox(dir: string, sandboxes: Sandboxes, signal: AbortSignal): Promise<Trial | undefined> {
  const opening = sandboxes.open(
    {
      name: `nika-mcp-build-${process.pid}-${Date.now()}`,
      language: "node",
      runtime: "auto",
      command: ["/usr/local/bin/node", "--test-reporter=tap", "/srv/app/tests/contract.ts"],
      environment: {},
      mounts: [{ from: dir, to: "/srv/app" }],
      egress: [],
      memoryBytes: 512 * mebibyte,
      cpus: 1,
      processesMax: 64,
      tmpBytes: 16 * mebibyte,
      timeLimitMs,
    },
    signal,
  );
  const sandbox = await opening.catch((error: unknown) => {
    if (isNikaError(error) && error.code === "unavailable") return undefined;
    throw error;
  });
  if (!sandbox) return undefined;
  const stop = (): void => void sandbox.stop();
  signal.addEventListener("abort", stop, { once: true });
  const [output, errors, { code, reason }] = await Promise.all([tailOf(sandbox.output), tailOf(sandbox.errors), sandbox.ended]);
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
  return toTrial("sandbox", reason === "exit" && code === 0, output + errors);
}

async function asProcess(dir: string, signal: AbortSignal): Promise<Trial> {
  const own = realpathSync(dir);
  const flags = ["--permission", `--allow-fs-read=${own}/*`, "--test-reporter=tap"];
  // No variable of ours: nothing to read there.
  const child = spawn(process.execPath, [...flags, `${own}/tests/contract.ts`], {
    cwd: own,
    env: {},
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = (): void => void child.kill("SIGKILL");
  const timer = setTimeout(stop, timeLimitMs);
  signal.addEventListener("abort", stop, { once: true });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
    child.once("error", () => resolve(null));
  });
  const [output, errors, code] = await Promise.all([tailOf(child.stdout), tailOf(child.stderr), ended]);
  clearTimeout(timer);
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
  return toTrial("process", code === 0, output + errors);
}

async function tailOf(stream: Readable): Promise<string> {
  let text = "";
  for await (const chunk of stream as AsyncIterable<Buffer | string>) text = (text + chunk.toString()).slice(-4 * mebibyte);
  return text;
}

function toTrial(way: Trial["way"], isGood: boolean, output: string): Trial {
  const count = (word: string): number => Number(new RegExp(`^# ${word} (\\d+)$`, "mu").exec(output)?.[1] ?? 0);
  const failures = output.split("\n").filter((line) => /^\s*not ok |^\s+(?:error|code|failureType): /u.test(line));
  const passed = count("pass");
  return {
    way,
    // A run that tried nothing shows nothing.
    isGood: isGood && passed > 0,
    passed,
    failed: count("fail"),
    said: isGood ? "" : (failures.length > 0 ? failures.join("\n") : output).slice(-saidCharsMax),
  };
}
