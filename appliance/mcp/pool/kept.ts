/** What the pool remembers on disk: the catalog (what servers offer) and the lock (what the owner approved). Small JSON files, whole or not at all. */
import { hash } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { Entry } from "../../../convex/model/entry.ts";
import type { InstallWish } from "../../../convex/model/install.ts";
import type { ServerConfig } from "../../../convex/model/server.ts";
import type { ToolDefinition } from "../../../convex/model/tool.ts";

export type Era = "legacy" | "modern";
export type Prompt = { readonly name: string; readonly description?: string } & Readonly<Record<string, unknown>>;
export type Resource = { readonly uri: string; readonly name: string } & Readonly<Record<string, unknown>>;
export type Template = { readonly uriTemplate: string; readonly name: string } & Readonly<Record<string, unknown>>;

/** What one server offered when it was last listed. */
export type Listing = {
  /** Of the configuration it was listed with. */
  readonly hash: string;
  /** That configuration, as far as the hash goes, so that it can go on after a restart while a new one is tried. Names of secrets, not their values. */
  readonly form?: Form;
  readonly listedAt: number;
  readonly era: Era;
  readonly eraAt: number;
  readonly serverInfo: { readonly name: string; readonly version: string };
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly instructions?: string;
  readonly tools: readonly ToolDefinition[];
  readonly prompts: readonly Prompt[];
  readonly resources: readonly Resource[];
  readonly templates: readonly Template[];
  /** It was seen to offer other things to a conversation than to others; and what it offered to some alone. */
  readonly varies?: true;
  readonly sometimes?: { readonly tools: readonly ToolDefinition[]; readonly prompts: readonly Prompt[] };
};
export type Catalog = Record<string, Listing>;
/** What of a configuration makes it another process or connection. */
export type Form = Pick<ServerConfig, "transport" | "sandbox">;

export type Pin = { readonly sha256: string; readonly definition: ToolDefinition; readonly at: number };
/** A package as it was fetched, verified and placed: what is started is this, byte for byte. */
export type PackagePin = {
  readonly type: "npm" | "pypi";
  readonly name: string;
  readonly version: string;
  /** What its registry says its file is: `sha512-…`, or SHA-256 in hex. */
  readonly integrity: string;
  /** SHA-256 over the folder it was placed in. */
  readonly tree: string;
  readonly publisher?: string;
  readonly at: number;
};
/** Where a server came from, when it came from a registry. */
export type InstalledWish = Pick<InstallWish, "values" | "args" | "env" | "secrets" | "egress" | "mounts" | "storage">;
export type Installed = {
  /** The registry's name; `npm` or `pypi` when the package itself was named. */
  readonly source: string;
  readonly entry: Entry;
  readonly at: number;
  /** What the owner gave it; absent for those of before this was kept. */
  readonly wish?: InstalledWish;
  /** Absent for one that runs elsewhere. */
  readonly package?: PackagePin;
  /** What it was before, which may still be running, and can be gone back to. */
  readonly previous?: PackagePin;
};
export type ServerLock = {
  readonly tools: Readonly<Record<string, Pin>>;
  /** Prompts are pinned the same way, their arguments in the place of a schema. */
  readonly prompts: Readonly<Record<string, Pin>>;
  readonly instructions?: { readonly sha256: string };
  /** The owner let this form go when it answered otherwise: it is not tried again. */
  readonly refused?: { readonly hash: string; readonly at: number };
  /** The owner lets this very command run without a sandbox. */
  readonly bare?: { readonly sha256: string; readonly at: number };
  readonly installed?: Installed;
};
export type Lock = Record<string, ServerLock>;

export const sha256 = (text: string): string => hash("sha256", text);

export type Kept<T> = { value: T; save(): void };

/** Reads the file, or begins with an empty object; one that cannot be read is put aside rather than written over. */
export function keep<T extends object>(file: string, log: (line: string) => void): Kept<T> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const kept: Kept<T> = {
    value: load(file, log) as T,
    save: () => replaceFile(file, `${JSON.stringify(kept.value, undefined, 1)}\n`, { isSynced: true }),
  };
  return kept;
}

function load(file: string, log: (line: string) => void): object {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return {};
  }
  try {
    return JSON.parse(text) as object;
  } catch {
    renameSync(file, `${file}.broken`);
    log(`mcp: ${file} could not be read and was put aside as ${file}.broken`);
    return {};
  }
}

/** Whole or not at all, whenever the process ends; when `isSynced`, also when the power does. */
export function replaceFile(file: string, text: string, { isSynced }: { readonly isSynced: boolean }): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const handle = openSync(temporary, "w", 0o600);
  try {
    writeSync(handle, text);
    if (isSynced) fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
}
