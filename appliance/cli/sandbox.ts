/** `nika sandbox`: what each runtime on this machine was seen to enforce. */
import { rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Attestation } from "../../functions/ports/sandboxes.ts";
import { attestationsFile, dockerSandboxes } from "../docker/sandboxes.ts";
import type { Check } from "./checkHost.ts";
import type { Terminal } from "./terminal.ts";

type Options = { readonly dataDir: string; readonly again: boolean; readonly json: boolean };

/** Tries what was not tried yet, or all again. Answers whether any runtime holds. */
export async function runSandbox(terminal: Terminal, { dataDir, again, json }: Options): Promise<boolean> {
  if (again) rmSync(join(dataDir, attestationsFile), { force: true });
  const verdicts = await dockerSandboxes({ dataDir, mountRoots: [] }).attestations();
  if (json) terminal.json(verdicts);
  else for (const verdict of verdicts) printVerdict(terminal, verdict);
  return verdicts.some(({ isSufficient }) => isSufficient);
}

function printVerdict(terminal: Terminal, { runtime, at, isSufficient, probes }: Attestation): void {
  const word = isSufficient ? terminal.style("green", "holds") : terminal.style("red", "does not hold");
  const when = new Date(at).toISOString().slice(0, 16).replace("T", " ");
  const chosen = isSufficient ? "" : "; nothing that nobody trusts is run in it";
  terminal.line(`${runtime} ${word}: ${probes.length} limits tried from inside at ${when} UTC${chosen}`);
  for (const { name, holds, detail } of probes)
    terminal.line(`  ${terminal.style(holds ? "green" : "red", holds ? "ok  " : "fail")}  ${name.padEnd(18)} ${detail}`);
}

/** For the doctor: what is known already. Trying takes half a minute, which is `nika sandbox`. */
export async function sandboxCheck(dataDir: string): Promise<Check> {
  const name = "Sandbox";
  let kept: Record<string, Attestation>;
  try {
    kept = JSON.parse(await readFile(join(dataDir, attestationsFile), "utf8")) as Record<string, Attestation>;
  } catch {
    return { name, level: "ok", text: "not tried yet; it is when the first code that nobody trusts runs, or by `nika sandbox`" };
  }
  const verdicts = Object.values(kept);
  const holding = verdicts
    .filter(({ isSufficient }) => isSufficient)
    .map(({ runtime, probes }) => `${runtime} (${probes.length} limits)`);
  if (holding.length > 0) return { name, level: "ok", text: `${holding.join(" and ")} held when last tried` };
  return {
    name,
    level: "warn",
    text: "no runtime held when last tried",
    advice: "`nika sandbox` says which limits are not kept.",
  };
}
