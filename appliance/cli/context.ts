/** What all commands share: what they get, where Nika is, and the flags that mean the same everywhere. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { loadConfig, type Config } from "../config.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";

/** What a command gets besides its own flags. */
export type Context = {
  readonly terminal: Terminal;
  /** Fires at the first Ctrl-C. Whoever reads this promises to heed it; commands that do not are ended at once. */
  readonly signal: AbortSignal;
  /** Ends the command with this exit code although nothing was thrown. */
  exit(code: number): void;
};

type GlobalFlags = { readonly data?: string };
export type JsonFlag = { readonly json?: true };

/** The settings that hold for this command, with its `--data` and, when given, its port. Fails with `invalid` on bad ones. */
export function configOf(command: Command, port?: number): Config {
  return loadConfig({ dataDir: command.optsWithGlobals<GlobalFlags>().data, port });
}

/** A connection to the Nika that runs. Fails with `unavailable` when none does. */
export async function clientOf(command: Command): Promise<Client> {
  const { openClient } = await import("./client.ts");
  return openClient(configOf(command));
}

export function jsonFlag(): Option {
  return new Option("--json", "print one JSON document");
}

/** The flag may stand before or after the subcommand. */
export function isJson(command: Command): boolean {
  return command.optsWithGlobals<JsonFlag>().json === true;
}

/** Reads a flag that counts, from 1 to `max`. */
export function countFlag(max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || count < 1 || count > max)
      throw new InvalidArgumentError(`It must be a number from 1${max < Number.MAX_SAFE_INTEGER ? ` to ${max}` : ""}.`);
    return count;
  };
}
