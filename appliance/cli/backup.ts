/** `nika backup` and `nika restore`: the control plane's state into one file, and back. */
import { join, resolve } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import { backupState, restoreState } from "../backup.ts";
import type { Config } from "../config.ts";
import { findRun } from "./running.ts";
import type { Terminal } from "./terminal.ts";

export type BackupOptions = { readonly file: string; readonly json: boolean };

/** While Nika runs or not: the copy is one snapshot either way. */
export async function runBackup(terminal: Terminal, config: Config, { file, json }: BackupOptions): Promise<void> {
  const saved = await backupState(engineDirOf(config), resolve(file));
  if (json) terminal.json({ file: resolve(file), ...saved });
  else terminal.line(`Saved to ${file}: ${inMiB(saved.sizeBytes)}, ${filesOf(saved.files)}.`);
}

/** Only while Nika is stopped. */
export async function runRestore(terminal: Terminal, config: Config, { file, json }: BackupOptions): Promise<void> {
  if (findRun(config.dataDir)) throw new NikaError("conflict", "Nika is running; stop it first with `nika stop`.");
  const restored = await restoreState(engineDirOf(config), resolve(file));
  if (json) return terminal.json({ file: resolve(file), ...restored });
  terminal.line(`Restored from ${file}: ${inMiB(restored.sizeBytes)}, ${filesOf(restored.files)}.`);
  if (restored.replaced !== undefined)
    terminal.line(`What was there before is kept in ${restored.replaced}; delete it when you do not need it.`);
}

function engineDirOf({ dataDir, state }: Config): string {
  if (state.type === "convex")
    throw new NikaError("invalid", "The state lies in a Convex backend of its own; back it up with `npx convex export`.");
  return join(dataDir, "engine");
}

function inMiB(sizeBytes: number): string {
  return `${(sizeBytes / (1024 * 1024)).toFixed(1)} MiB`;
}

function filesOf(count: number): string {
  return count === 1 ? "1 stored file" : `${count} stored files`;
}
