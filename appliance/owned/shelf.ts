/**
 * Copies of the versions that answer, so that an edit never reaches a sandbox half done, and the last good version outlives a broken one
 * and a restart. DATA/cache/functions/NAME/VERSION holds the files with types taken out; NAME/current says which one answers.
 */
import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { Manifest } from "../../convex/model/userFunction.ts";
import type { Source } from "./source.ts";

/** A version that was found good, ready to be mounted. */
export type Kept = { readonly name: string; readonly version: string; readonly manifest: Manifest; readonly dir: string };

export type Shelf = {
  /** Where the runner of a language lies, as the sandbox is to have it. */
  readonly runners: Readonly<Record<Manifest["language"], string>>;
  /** Puts a version there. Fails with `invalid` where its syntax is wrong. */
  put(source: Source, manifest: Manifest): Promise<Kept>;
  /** From now on this one answers; others of the name go. */
  choose(kept: Kept): Promise<void>;
  /** The one that answered last, also in an earlier life. */
  chosen(name: string): Promise<Kept | undefined>;
  drop(name: string): Promise<void>;
  dropVersion(kept: Kept): Promise<void>;
};

const typed = /\.[mc]?ts$/u;
const guestDir = new URL("guest/", import.meta.url);

export async function openShelf(dataDir: string): Promise<Shelf> {
  const root = join(dataDir, "cache", "functions");
  await mkdir(root, { recursive: true, mode: 0o700 });
  const [node, python] = await Promise.all(["runner.ts", "runner.py"].map((file) => readFile(new URL(file, guestDir), "utf8")));
  const runners = { node: join(root, "runner.mjs"), python: join(root, "runner.py") };
  // Only when it is another one: taking types out warns that Node calls it experimental.
  const mark = `// ${createHash("sha256")
    .update(node ?? "")
    .digest("hex")}\n`;
  const had = await readFile(runners.node, "utf8").catch(() => "");
  if (!had.startsWith(mark)) await whole(runners.node, mark + stripTypeScriptTypes(node ?? ""));
  await whole(runners.python, python ?? "");
  const dirOf = (name: string, version: string): string => join(root, name, version);
  const choose = async ({ name, version, manifest }: Kept): Promise<void> =>
    whole(join(root, name, "current"), JSON.stringify({ version, manifest }));

  return {
    runners,
    async put(source, manifest) {
      const { name, version, files } = source;
      const kept = { name, version, manifest, dir: dirOf(name, version) };
      const temporary = join(root, name, `.${version}`);
      await rm(temporary, { recursive: true, force: true });
      for (const [path, bytes] of files) {
        const to = join(temporary, path);
        await mkdir(dirname(to), { recursive: true });
        await writeFile(to, typed.test(path) ? stripped(path, bytes) : bytes);
        // Inside it runs as nobody, whatever this process keeps from others by itself.
        await chmod(to, 0o644);
      }
      for (const path of ["", ...foldersOf(files.keys())]) await chmod(join(temporary, path), 0o755);
      await rm(kept.dir, { recursive: true, force: true });
      await rename(temporary, kept.dir);
      return kept;
    },
    choose,
    async chosen(name) {
      try {
        const { version, manifest } = JSON.parse(await readFile(join(root, name, "current"), "utf8")) as Omit<
          Kept,
          "dir" | "name"
        >;
        await readdir(dirOf(name, version));
        return { name, version, manifest, dir: dirOf(name, version) };
      } catch {
        // Never chosen, or its copy was thrown away with the cache: then it is made again from what lies in the folder.
        return undefined;
      }
    },
    drop: (name) => rm(join(root, name), { recursive: true, force: true }),
    dropVersion: ({ dir }) => rm(dir, { recursive: true, force: true }),
  };
}

function foldersOf(paths: Iterable<string>): Set<string> {
  const folders = new Set<string>();
  for (const path of paths)
    for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) folders.add(path.slice(0, at));
  return folders;
}

function stripped(path: string, bytes: Buffer): string {
  try {
    return stripTypeScriptTypes(bytes.toString("utf8"));
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new NikaError("invalid", `${path}: ${said.replaceAll(/\s+/gu, " ").slice(0, 300)}`, { cause: error });
  }
}

/** All or nothing, so that a crash leaves the old one. */
async function whole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, text);
  await chmod(`${path}.new`, 0o644);
  await rename(`${path}.new`, path);
}
