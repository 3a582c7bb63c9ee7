/** Nika as a person has it: installed by the script into a folder of its own, used through its command. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type Said = { readonly code: number; readonly out: string; readonly err: string; readonly ms: number };

/** Runs a program to its end without a terminal. */
export async function run(program: string, args: readonly string[]): Promise<Said> {
  const begun = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  // "exit" and not "close": the appliance that `nika up` leaves behind must not keep us waiting.
  const [code] = (await once(child, "exit")) as [number | null];
  return { code: code ?? 1, out, err, ms: performance.now() - begun };
}

/** As run, but anything else than exit code 0 is a failure with what was said. */
export async function mustRun(program: string, args: readonly string[]): Promise<Said> {
  const said = await run(program, args);
  if (said.code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${said.code}\n${said.out}\n${said.err}`);
  return said;
}

/** The process that serves a prefix, while it runs. */
export function findPid(prefix: string): number | undefined {
  try {
    return (JSON.parse(readFileSync(join(prefix, "data", "run.json"), "utf8")) as { pid: number }).pid;
  } catch {
    return undefined;
  }
}
