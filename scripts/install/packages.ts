/** The packages an installation runs on: which ones, and npm to fetch them. */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { InstallFailure } from "./failure.ts";

type LockEntry = {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
  readonly libc?: string | readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};
export type Lock = { readonly packages: Readonly<Record<string, LockEntry>> };
export type Manifest = { readonly optionalDependencies?: Readonly<Record<string, string>> };
/** What this machine is, in npm's words. */
export type Machine = { readonly os: string; readonly cpu: string; readonly libc: string };

export type PackagePlan = { readonly manifest: Manifest; readonly lock: Lock; readonly count: number };

/**
 * What npm is given to install. Node itself is left out, because the installer has put its own in place; and each package gets the
 * address of its tarball, which spares npm a question to the registry per package.
 */
export function planPackages(manifest: Manifest, lock: Lock, on: { registry: string; machine: Machine }): PackagePlan {
  const packages: Record<string, LockEntry> = {};
  let count = 0;
  for (const [path, entry] of Object.entries(lock.packages)) {
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    if (path === "") packages[path] = withoutNode(entry);
    else if (!isNode(name)) {
      packages[path] =
        entry.integrity === undefined ? entry : { ...entry, resolved: tarballUrl(on.registry, name, entry.version) };
      if (entry.dev !== true && fits(entry, on.machine)) count += 1;
    }
  }
  return { manifest: withoutNode(manifest), lock: { ...lock, packages }, count };
}

function isNode(name: string): boolean {
  return name.startsWith("node-linux-");
}

function withoutNode<T extends Manifest>(holder: T): T {
  if (holder.optionalDependencies === undefined) return holder;
  const kept = Object.entries(holder.optionalDependencies).filter(([name]) => !isNode(name));
  return { ...holder, optionalDependencies: Object.fromEntries(kept) };
}

function tarballUrl(registry: string, name: string, version = ""): string {
  return `${registry}/${name}/-/${name.slice(name.indexOf("/") + 1)}-${version}.tgz`;
}

function fits(entry: LockEntry, machine: Machine): boolean {
  return (["os", "cpu", "libc"] as const).every((key) => {
    const allowed = entry[key];
    return allowed === undefined || [allowed].flat().includes(machine[key]);
  });
}

type NpmOptions = {
  /** The launcher on the PATH, or the script of npm's own package. */
  readonly npm: string;
  readonly dir: string;
  readonly registry: string;
  readonly isOffline: boolean;
  /** Called with how many packages are there and how many there will be. */
  readonly onProgress: (done: number, total: number) => void;
};

/** Installs what the lock in `dir` pins, without development tools and without running any package's scripts. */
export async function installPackages(options: NpmOptions): Promise<void> {
  const manifestFile = join(options.dir, "package.json");
  const lockFile = join(options.dir, "package-lock.json");
  const [manifest, lock] = [manifestFile, lockFile].map((file) => readFileSync(file, "utf8")) as [string, string];
  const machine = { os: process.platform, cpu: process.arch, libc: "glibc" };
  const plan = planPackages(JSON.parse(manifest) as Manifest, JSON.parse(lock) as Lock, { registry: options.registry, machine });
  writeFileSync(manifestFile, JSON.stringify(plan.manifest, null, 2));
  writeFileSync(lockFile, JSON.stringify(plan.lock, null, 2));
  let code = await runNpm(options, plan.count);
  if (code === "E404") {
    // Some registries keep tarballs elsewhere; then npm asks for each address itself.
    writeFileSync(lockFile, JSON.stringify(withoutAddresses(plan.lock), null, 2));
    code = await runNpm(options, plan.count);
  }
  if (code !== undefined) throw npmFailure(code, options);
}

function withoutAddresses(lock: Lock): Lock {
  const packages = structuredClone(lock.packages) as Record<string, { resolved?: string }>;
  for (const entry of Object.values(packages)) delete entry.resolved;
  return { ...lock, packages };
}

/** Resolves with npm's error code, or undefined when all went well. */
function runNpm(options: NpmOptions, total: number): Promise<string | undefined> {
  const flags = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--no-update-notifier"];
  const patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"];
  const reach = options.isOffline ? "--offline" : "--prefer-offline";
  const args = ["ci", ...flags, ...patience, reach, "--loglevel=http"];
  const isScript = options.npm.endsWith(".js");
  const child = spawn(isScript ? process.execPath : options.npm, isScript ? [options.npm, ...args] : args, {
    cwd: options.dir,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const seen = new Set<string>();
  let errorCode: string | undefined;
  createInterface({ input: child.stderr }).on("line", (line) => {
    const tarball = /^npm http (?:cache|fetch) .*?([^/\s]+-\d[^/\s]*\.tgz)/.exec(line)?.[1];
    if (tarball !== undefined && !seen.has(tarball)) options.onProgress(Math.min(seen.add(tarball).size, total), total);
    errorCode ??= /^npm (?:error|ERR!) code (\S+)/.exec(line)?.[1];
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status === 0 ? undefined : (errorCode ?? `exit ${status ?? "by signal"}`)));
  });
}

function npmFailure(code: string, { registry, isOffline }: NpmOptions): InstallFailure {
  if (isOffline && (code === "ENOTCACHED" || code === "E404"))
    return new InstallFailure("network", "npm's cache does not hold all packages, and --offline forbids fetching them.");
  if (/^(ENOTFOUND|ECONN|ETIMEDOUT|EAI_|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET|E4|E5|ENOTCACHED|FETCH)/.test(code))
    return new InstallFailure("network", `the packages could not be fetched from ${registry} (${code}); is this machine online?`);
  if (code === "EINTEGRITY")
    return new InstallFailure("checksum", "a package is not what package-lock.json pins; nothing was installed.");
  if (code === "ENOSPC" || code === "EDQUOT") return new InstallFailure("disk", "the disk is full.");
  return new InstallFailure("step", `npm could not install the packages (${code}).`);
}
