/** The `nika` command of an installation: PREFIX/bin/nika. */
import { spawn } from "node:child_process";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A word for a POSIX shell that means exactly `text`. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The launcher's text. What it sets, the caller's environment may override. */
export function launcher(prefix: string, port: number | undefined): string {
  const path = (...names: string[]) => quoted(join(prefix, ...names));
  return [
    "#!/bin/sh",
    "# Written by nika-install.sh; another run writes it again.",
    unlessSet("NIKA_DATA", path("data")),
    ...(port === undefined ? [] : [unlessSet("NIKA_PORT", String(port))]),
    `exec ${path("app", "node", "bin", "node")} ${path("app", "appliance", "cli", "nika.ts")} "$@"`,
    "",
  ].join("\n");
}

function unlessSet(name: string, word: string): string {
  return `[ -n "\${${name}:-}" ] || export ${name}=${word}`;
}

/** Writes PREFIX/bin/nika. Without a port the one chosen at an earlier installation stays. */
export function writeCommand(prefix: string, port: number | undefined): void {
  const file = join(prefix, "bin", "nika");
  const next = join(prefix, "bin", ".nika-next");
  writeFileSync(next, launcher(prefix, port ?? chosenPort(file)), { mode: 0o755 });
  renameSync(next, file);
}

function chosenPort(file: string): number | undefined {
  try {
    const text = /export NIKA_PORT=(\d+)/.exec(readFileSync(file, "utf8"))?.[1];
    return text === undefined ? undefined : Number(text);
  } catch {
    return undefined;
  }
}

/** Runs the installed command and resolves with its exit code. What it prints, the person sees unless `isQuiet`. */
export function runCommand(prefix: string, args: readonly string[], { isQuiet }: { isQuiet: boolean }): Promise<number> {
  const child = spawn(join(prefix, "bin", "nika"), args, { stdio: ["ignore", isQuiet ? "ignore" : "inherit", "inherit"] });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status) => resolve(status ?? 70));
  });
}
