/**
 * The agent as it is shipped: plain JavaScript in one folder, and a Node to run it with that asks nothing of the image or system it lands on: the
 * program, the libraries that it loads, and their loader, all of this machine. Only a machine of the same make of processor can use it.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, link, mkdir, readdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { basename, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const guest = join(import.meta.dirname, "guest");
/** By name. Lines keep their place, so that a stack on a machine far away can be read beside the source. */
async function agentTexts(): Promise<Map<string, string>> {
  const names = (await readdir(guest)).filter((name) => name.endsWith(".ts")).toSorted();
  const plain = async (name: string): Promise<string> =>
    stripTypeScriptTypes(await readFile(join(guest, name), "utf8")).replaceAll(/(from "\.\/\w+)\.ts"/gu, '$1.mjs"');
  return new Map(await Promise.all(names.map(async (name) => [name.replace(/\.ts$/u, ".mjs"), await plain(name)] as const)));
}

export type Shipment = {
  /** A folder that holds all of it. */
  readonly dir: string;
  /** Within the folder: what starts Node there. The first is a program, the rest goes before every other argument. */
  readonly node: (dir: string) => readonly string[];
  readonly agent: (dir: string) => string;
};

/** Lays it out under `cacheDir`, once for each version of Node and of the agent. */
export async function shipmentIn(cacheDir: string): Promise<Shipment> {
  const texts = await agentTexts();
  const libraries = await librariesOf(process.execPath);
  const loader = libraries.find((path) => /\/ld-[^/]*\.so\.\d+$/.test(path));
  const { mtimeMs, size } = await stat(process.execPath);
  const name = createHash("sha256")
    .update(`${JSON.stringify([...texts])}\n${process.version} ${mtimeMs} ${size}\n${libraries.join()}`)
    .digest("hex")
    .slice(0, 16);
  const dir = join(cacheDir, name);
  const shipment: Shipment = {
    dir,
    node: (at) =>
      loader === undefined
        ? [join(at, "node")]
        : [join(at, "lib", basename(loader)), "--library-path", join(at, "lib"), join(at, "node")],
    agent: (at) => join(at, "agent", "agent.mjs"),
  };
  if (await stat(dir).catch(() => undefined)) return shipment;
  const making = `${dir}.${process.pid}`;
  await rm(making, { recursive: true, force: true });
  await mkdir(join(making, "lib"), { recursive: true });
  await mkdir(join(making, "agent"));
  for (const [name, text] of texts) await writeFile(join(making, "agent", name), text);
  await putInto(await realpath(process.execPath), join(making, "node"));
  for (const library of libraries) await putInto(await realpath(library), join(making, "lib", basename(library)));
  await rename(making, dir).catch(async (error: unknown) => {
    // Another start made it in the meantime.
    await rm(making, { recursive: true, force: true });
    if (!(await stat(dir).catch(() => undefined))) throw error;
  });
  return shipment;
}

async function putInto(from: string, to: string): Promise<void> {
  // Within a file system it costs nothing; a copy keeps the mode as well.
  await link(from, to).catch(() => copyFile(from, to));
}

async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run("ldd", [program]).catch(() => ({ stdout: "" }));
  return [...new Set(stdout.split("\n").flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []))].toSorted();
}
