/** A release: a folder that holds everything a version needs, made in a staging folder and put in place by renaming. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { InstallFailure } from "./failure.ts";

/** Copies the files listed in `listFile` (names relative to `source`, separated by NUL). */
export function copySources(source: string, listFile: string, dir: string): void {
  for (const name of readFileSync(listFile, "utf8").split("\0").filter(Boolean)) {
    const target = join(dir, name);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(source, name), target);
    chmodSync(target, 0o644);
  }
}

/** Builds the page of the release in `dir`. */
export async function buildPage(dir: string): Promise<void> {
  const child = spawn(process.execPath, [join("node_modules", "vite", "bin", "vite.js"), "build", "appliance/web"], {
    cwd: dir,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => said.push(chunk));
  const status = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (status === 0) return;
  const text = Buffer.concat(said).toString();
  if (text.includes("ENOSPC")) throw new InstallFailure("disk", "the disk is full.");
  throw new InstallFailure("step", `the page could not be built (${firstReason(text)}).`);
}

/** The builder's first line that says something. */
function firstReason(text: string): string {
  const lines = stripVTControlCharacters(text)
    .split("\n")
    .map((line) => line.trim());
  return lines.find((line) => line !== "" && !/^(✗|error during build|Build failed)/.test(line)) ?? "no reason was given";
}

/** The release that `PREFIX/app` points to, or undefined. */
export function currentRelease(prefix: string): string | undefined {
  try {
    return basename(readlinkSync(join(prefix, "app")));
  } catch {
    return undefined;
  }
}

type Place = {
  readonly prefix: string;
  readonly release: string;
  readonly nodeVersion: string;
  /** Where the release was made, and Node too when it is a new one: below PREFIX/.staging, so on the same disk. */
  readonly staging: string;
};

/** Puts a finished release, and its Node, beside the others. Nothing points to it yet. */
export function placeRelease({ prefix, release, nodeVersion, staging }: Place): void {
  const made = join(staging, "app");
  symlinkSync(join("..", "..", "node", nodeVersion), join(made, "node"));
  const record = { release, node: nodeVersion, installedAt: new Date().toISOString() };
  writeFileSync(join(made, "installed.json"), `${JSON.stringify(record, null, 2)}\n`);
  for (const shelf of ["node", "releases", "bin"]) mkdirSync(join(prefix, shelf), { recursive: true });
  if (existsSync(join(staging, "node"))) replace(join(staging, "node"), join(prefix, "node", nodeVersion));
  replace(made, join(prefix, "releases", release));
}

/** Left-overs of an installation that was killed may be in the way. */
function replace(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  renameSync(from, to);
}

/** From here on `PREFIX/bin/nika` runs this release: one rename, so there is no moment without a working one. */
export function switchTo(prefix: string, release: string): void {
  const link = join(prefix, ".app-next");
  rmSync(link, { force: true });
  symlinkSync(join("releases", release), link);
  renameSync(link, join(prefix, "app"));
}

/** Forgets every release but the named ones, and every Node that no release left uses. */
export function pruneReleases(prefix: string, keep: readonly (string | undefined)[]): void {
  const nodes = new Set<string>();
  for (const release of readdirSync(join(prefix, "releases"))) {
    const dir = join(prefix, "releases", release);
    if (keep.includes(release)) nodes.add(basename(readlinkSync(join(dir, "node"))));
    else rmSync(dir, { recursive: true, force: true });
  }
  for (const version of readdirSync(join(prefix, "node")))
    if (!nodes.has(version)) rmSync(join(prefix, "node", version), { recursive: true, force: true });
}
