/** Runs the command as a person would, in a process of its own, and hands back what it wrote. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string };
type RunOptions = { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string };

export const entry = fileURLToPath(new URL("../../../appliance/cli/nika.ts", import.meta.url));

/** stdin, stdout and stderr are pipes, so this is the command as scripts see it. */
export function nika(words: readonly string[], { env = {}, cwd }: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    // Nothing of the owner's own environment: a set NIKA_DATA must not decide a test.
    const child = spawn(process.execPath, [entry, ...words], {
      env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", ...env },
      ...(cwd !== undefined && { cwd }),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
