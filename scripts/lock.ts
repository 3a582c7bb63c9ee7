/**
 * Completes package-lock.json after `npm install`: `node scripts/lock.ts`.
 *
 * npm leaves an optional package out of the lock when the registry it asked does not (yet) carry it, and then `npm ci` refuses
 * that same lock everywhere. The packages concerned are binaries for other systems, pinned to an exact version by their parent;
 * an entry with that version and its os/cpu/libc is enough for npm to skip them.
 */
import { readFileSync, writeFileSync } from "node:fs";

interface Entry {
  version?: string;
  dev?: true;
  optional?: true;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

const systems = ["android", "darwin", "freebsd", "netbsd", "openbsd", "sunos", "aix", "openharmony", "win32", "linux"];
const processors = ["arm64", "x64", "ia32", "riscv64", "ppc64", "s390x", "loong64", "mips64el", "arm"];

/** The entry that `name`, required from the package at `from`, resolves to: the nearest node_modules upwards. */
function resolved(packages: Record<string, Entry>, from: string, name: string): Entry | undefined {
  for (let dir = from; ; dir = dir.slice(0, Math.max(0, dir.lastIndexOf("/node_modules/")))) {
    const found = packages[`${dir === "" ? "" : `${dir}/`}node_modules/${name}`];
    if (found !== undefined || dir === "") return found;
  }
}

function skipped(name: string, version: string, parent: Entry): Entry {
  const os = systems.find((system) => name.includes(system));
  const cpu = processors.find((processor) => name.includes(processor));
  const libc = /-musl/.test(name) ? "musl" : os === "linux" && /-gnu/.test(name) ? "glibc" : undefined;
  if (os === undefined || cpu === undefined) throw new Error(`cannot tell the system of ${name} from its name`);
  return {
    version,
    cpu: [cpu],
    ...(parent.dev === undefined ? {} : { dev: parent.dev }),
    ...(libc === undefined ? {} : { libc: [libc] }),
    optional: true,
    os: [os],
  };
}

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, Entry> };
const depth = (path: string) => path.split("node_modules/").length;
const byDepth = Object.entries(lock.packages).sort(([a], [b]) => depth(a) - depth(b));
let added = 0;
for (const [path, entry] of byDepth) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (!/^\d/.test(version) || resolved(lock.packages, path, name)?.version === version) continue;
    // Two parents may want two versions: the one nearer the root has taken the top place, the other keeps its own beside it.
    const isTaken = lock.packages[`node_modules/${name}`] !== undefined;
    const home = isTaken ? path.slice(0, path.lastIndexOf("node_modules/")) : "";
    lock.packages[`${home}node_modules/${name}`] = skipped(name, version, entry);
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added} packages for other systems added.`);
