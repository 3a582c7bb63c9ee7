/**
 * Nika itself, for a machine that has nothing: what `nika worker --join` loads of this very version, packed once. The libraries are those that
 * the worker's own files name, with what they need; machine code is of this machine's make, so a machine of another one cannot use it. The same
 * installation always gives the same bytes.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { extname, join, posix } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, type ZstdCompress } from "node:zlib";
import { NikaError } from "../../convex/model/error.ts";

export type NikaParcelOptions = {
  /** The installation: sources, package.json, package-lock.json, node_modules. */
  readonly rootDir: string;
  readonly cacheDir: string;
};

/** Zstandard: a third of gzip's time, and a tenth less of it. Who unpacks it has our Node. */
export const archiveName = "nika.tar.zst";

/** Raised when the same installation is packed otherwise. */
const layout = 2;
const sources = ["appliance", "convex", "functions", "ml"];
/** The page is no part of a worker. */
const leftOut = "appliance/web/";
/** Where a worker begins. Commands of the command line load the rest when they run, and a worker runs one of them. */
const entries = ["appliance/cli/nika.ts", "appliance/cli/run.ts", "appliance/cli/program.ts", "appliance/cli/worker.ts"];
const commandLine = "appliance/cli/";
/** Libraries' own tools for building and checking, which they list among what they need. */
const tools = /^(?:@types\/|@typescript\/|@esbuild\/|esbuild$|prettier$|typescript$)/u;
/** For people, debuggers, and browsers. */
const unread = /\.(?:map|md|markdown|tsbuildinfo|d\.[cm]?ts)$|\/ort-wasm[^/]*\.wasm$/u;
const imports = /^(?:import|export)\s+(?!type\b)[^;]*?from "(\.[^"]+)"|^import "(\.[^"]+)"/gmu;
const lazyImports = /(?:import\(|new URL\()\s*"([^"]+\.[cm]?[jt]s)"/gu;

type Lock = { readonly packages: Readonly<Record<string, Locked>> };
type Locked = Readonly<Partial<Record<"dependencies" | "optionalDependencies" | "peerDependencies", Record<string, string>>>>;

/** A folder that holds the archive and nothing else, made once for each version. Fails with `unavailable` without tar. */
export async function packNika({ rootDir, cacheDir }: NikaParcelOptions): Promise<string> {
  const files = await sourceFiles(rootDir);
  const lockText = await readFile(join(rootDir, "package-lock.json"), "utf8");
  const hash = createHash("sha256").update(`${layout}\n${process.platform} ${process.arch}\n`);
  for (const file of files) hash.update(`\n${file}\n`).update(await readFile(join(rootDir, file)));
  const dir = join(cacheDir, hash.digest("hex").slice(0, 16));
  if (existsSync(dir)) return dir;
  // Of earlier versions.
  for (const name of existsSync(cacheDir) ? await readdir(cacheDir) : [])
    await rm(join(cacheDir, name), { recursive: true, force: true });
  const making = `${dir}.${process.pid}`;
  await mkdir(making, { recursive: true, mode: 0o700 });
  const libraries = await libraryFiles(rootDir, JSON.parse(lockText) as Lock, await namedBy(rootDir));
  await archive(rootDir, [...files, ...libraries], making);
  await rename(making, dir).catch(async (error: unknown) => {
    await rm(making, { recursive: true, force: true });
    // Another call made it in the meantime.
    if (!existsSync(dir)) throw error;
  });
  return dir;
}

async function archive(rootDir: string, files: readonly string[], into: string): Promise<void> {
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX", "--format=gnu"];
  const args = ["-cf", "-", ...same, "-C", rootDir, "--null", "--no-recursion", "-T", "-"];
  // Not polite to others: who is to be helped by the machine waits for it, and it takes seconds.
  const tar = spawn("tar", args, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(tar, "close") as Promise<[code: number | null]>;
  const compress = createZstdCompress({ chunkSize: 1 << 20 });
  try {
    const [[code]] = await Promise.all([
      ended,
      pipeline(Readable.from([files.toSorted().join("\0")]), tar.stdin),
      fill(compress, tar.stdout),
      pipeline(compress, createWriteStream(join(into, archiveName), { mode: 0o600 })),
    ]);
    if (code !== 0) throw new Error(`tar ended with ${code}`);
  } catch (cause) {
    tar.kill();
    throw new NikaError("unavailable", "Nika could not be packed for a machine elsewhere; tar has to be here.", { cause });
  }
}

/**
 * One piece after the other, and the end by itself. In a pipeline the last piece is compressed as the last one or not, by whether the end was known
 * when its turn came, and that makes other bytes.
 */
async function fill(compress: ZstdCompress, source: Readable): Promise<void> {
  for await (const piece of source as AsyncIterable<Buffer>)
    await new Promise<void>((done, fail) => compress.write(piece, (error) => (error ? fail(error) : done())));
  compress.end();
}

async function sourceFiles(rootDir: string): Promise<string[]> {
  const found = await Promise.all(sources.map((dir) => filesIn(rootDir, dir)));
  return ["package.json", "package-lock.json", ...found.flat().filter((file) => !file.startsWith(leftOut))].toSorted();
}

/** Of `dir` below the root, with "/" between their parts; links are not followed. */
async function filesIn(rootDir: string, dir: string): Promise<string[]> {
  const found = await readdir(join(rootDir, dir), { withFileTypes: true, recursive: true });
  const root = posix.normalize(rootDir);
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

/** The libraries that files of a worker name. */
async function namedBy(rootDir: string): Promise<string[]> {
  const { dependencies = {} } = JSON.parse(await readFile(join(rootDir, "package.json"), "utf8")) as Locked;
  const names = Object.keys(dependencies);
  const named = new Set<string>();
  const seen = new Set<string>();
  const waiting = [...entries];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file) || !existsSync(join(rootDir, file))) continue;
    seen.add(file);
    const text = await readFile(join(rootDir, file), "utf8");
    const base = posix.dirname(file);
    for (const [, from, alone] of text.matchAll(imports)) waiting.push(posix.join(base, from ?? alone ?? ""));
    if (!file.startsWith(commandLine))
      for (const [, path = ""] of text.matchAll(lazyImports)) waiting.push(posix.join(base, path));
    for (const name of names) {
      const [scope = "", rest] = name.split("/");
      // Some are named in part: which language is read is for the owner to say.
      const isNamed = [`"${name}"`, `"${name}/`, ...(rest === undefined ? [] : [`\`${scope}/$`])].some((one) =>
        text.includes(one),
      );
      if (isNamed) named.add(name);
    }
  }
  return [...named].toSorted();
}

/** With what they need themselves, as far as it is installed here. */
async function libraryFiles(rootDir: string, { packages }: Lock, names: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  const waiting = names.map((name) => ({ from: "", name }));
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const place = placeOf(next, packages);
    if (place === undefined || tools.test(next.name) || found.has(place) || !existsSync(join(rootDir, place))) continue;
    found.add(place);
    const { dependencies, optionalDependencies, peerDependencies } = packages[place] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
      waiting.push({ from: place, name });
  }
  const files = await Promise.all(
    [...found].map(async (place) => {
      const all = await filesIn(rootDir, place);
      // What lies in a library's own folder of libraries was found by itself, or nobody needs it.
      return all.filter((file) => !file.slice(place.length).includes("/node_modules/") && isUsed(file));
    }),
  );
  return files.flat();
}

/** As Node looks: in the folder of libraries of the one that needs it, then in those above. */
function placeOf({ from, name }: { from: string; name: string }, packages: Lock["packages"]): string | undefined {
  for (let at = from; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/"))))
    if (`${at}/node_modules/${name}` in packages) return `${at}/node_modules/${name}`;
  return `node_modules/${name}` in packages ? `node_modules/${name}` : undefined;
}

const systems = /\/(darwin|win32|linux)\/(?:(x64|arm64)\/)?/u;
/** Machine code of other systems is left out where a library brings it for all. */
function isUsed(file: string): boolean {
  if (unread.test(file)) return false;
  if (![".node", ".so", ".dll", ".dylib", ".lib", ".exe"].includes(extname(file)) && !/\.so\.[\d.]+$/u.test(file)) return true;
  const [, system = process.platform, arch = process.arch] = systems.exec(file) ?? [];
  return system === process.platform && arch === process.arch;
}
