/**
 * Packages of servers on this disk: DATA/mcp/packages/TYPE/NAME/VERSION, written once, never changed, and looked at before each start: a tree
 * that is not the one that was locked is not run.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { NikaError } from "../../../convex/model/error.ts";
import type { ServerConfig } from "../../../convex/model/server.ts";
import type { PackagePin, ServerLock } from "../pool/kept.ts";
import { hashTree, sealTree, type Tree } from "./tree.ts";

export type PackageName = Pick<PackagePin, "type" | "name" | "version">;
export type Packages = {
  dirOf(name: PackageName): string;
  /**
   * Makes it with `fill`, beside its place, and puts it there whole. One that is there already is kept when it is the tree that `known` says, and
   * made anew otherwise.
   */
  place(
    name: PackageName,
    known: string | undefined,
    fill: (dir: string) => Promise<void>,
  ): Promise<Tree & { readonly isNew: boolean }>;
  /** Lets the tree of a package that is not locked yet be started, until `forget`. */
  expect(name: PackageName, tree: string): { forget(): void };
  /** Before a start. Fails with `denied` when what it would run is not what was locked. */
  check(config: ServerConfig, lock: ServerLock | undefined): Promise<void>;
  /** Removes what none of the servers has locked; says what. */
  sweep(locks: readonly ServerLock[]): string[];
};

export function openPackages({ dataDir, log }: { readonly dataDir: string; readonly log: (line: string) => void }): Packages {
  const root = join(dataDir, "mcp", "packages");
  const expected = new Map<string, string>();
  /** Trees that were read since Nika started, by what the system says of their files. */
  const seen = new Map<string, { readonly seal: string; readonly sha256: string }>();

  const dirOf = ({ type, name, version }: PackageName): string => {
    const dir = join(root, type, ...name.split("/"), version);
    if (!dir.startsWith(join(root, type) + sep) || /[\\\0]|\.\./.test(name + version))
      throw new NikaError("invalid", `"${name}" ${version} cannot be the name of a package.`);
    return dir;
  };

  async function treeOf(dir: string): Promise<Tree> {
    const seal = sealTree(dir);
    const tree = await hashTree(dir);
    seen.set(dir, { seal, sha256: tree.sha256 });
    return tree;
  }
  async function hashOf(dir: string): Promise<string> {
    const known = seen.get(dir);
    return known && known.seal === sealTree(dir) ? known.sha256 : (await treeOf(dir)).sha256;
  }

  return {
    dirOf,
    async place(name, known, fill) {
      const dir = dirOf(name);
      if (existsSync(dir)) {
        if (known !== undefined) {
          const tree = await treeOf(dir);
          if (tree.sha256 === known) return { ...tree, isNew: false };
          log(`mcp: ${dir} is not what was locked; it is fetched anew`);
        }
        seen.delete(dir);
        rmSync(dir, { recursive: true, force: true });
      }
      const fresh = join(root, `.new-${randomBytes(6).toString("hex")}`);
      try {
        mkdirSync(fresh, { recursive: true, mode: 0o700 });
        await fill(fresh);
        letRead(fresh);
        mkdirSync(dirname(dir), { recursive: true, mode: 0o700 });
        renameSync(fresh, dir);
        return { ...(await treeOf(dir)), isNew: true };
      } finally {
        rmSync(fresh, { recursive: true, force: true });
      }
    },
    expect(name, tree) {
      const dir = dirOf(name);
      expected.set(dir, tree);
      return { forget: () => void expected.delete(dir) };
    },
    async check({ name, transport }, lock) {
      if (transport.type !== "stdio") return;
      const used = [transport.command, ...transport.args].filter((text) => text.startsWith(root + sep));
      const pins = new Map<string, string>();
      for (const pin of [lock?.installed?.package, lock?.installed?.previous]) if (pin) pins.set(dirOf(pin), pin.tree);
      // What was just fetched anew takes the place of what was locked.
      for (const [dir, tree] of expected) pins.set(dir, tree);
      for (const path of used) {
        const found = [...pins].find(([dir]) => path.startsWith(dir + sep));
        if (!found)
          throw new NikaError("denied", `"${name}" is to run ${path}, which was not installed for it; see \`nika mcp install\`.`);
        const [dir, tree] = found;
        if (!existsSync(dir))
          throw new NikaError(
            "missing",
            `The package of "${name}" is gone from ${dir}; install it again with \`nika mcp install\`.`,
          );
        if ((await hashOf(dir)) !== tree)
          throw new NikaError(
            "denied",
            `The package of "${name}" is not the one that was installed: something in ${dir} was changed. Install it again with \`nika mcp install\`.`,
          );
      }
    },
    sweep(locks) {
      const kept = new Set(
        locks.flatMap(({ installed }) => [installed?.package, installed?.previous].flatMap((pin) => (pin ? [dirOf(pin)] : []))),
      );
      const gone: string[] = [];
      for (const dir of placed(root)) {
        if (kept.has(dir) || expected.has(dir)) continue;
        rmSync(dir, { recursive: true, force: true });
        dropEmpty(dirname(dir), root);
        seen.delete(dir);
        gone.push(dir);
      }
      return gone;
    },
  };
}

/** Folders of names of which nothing is left. */
function dropEmpty(dir: string, root: string): void {
  for (let at = dir; at.startsWith(root + sep) && readdirSync(at).length === 0; at = dirname(at)) rmdirSync(at);
}

/** Inside a sandbox a server runs as nobody. */
function letRead(root: string): void {
  chmodSync(root, 0o755);
  for (const one of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(one.parentPath, one.name);
    if (one.isDirectory()) chmodSync(path, 0o755);
    else if (one.isFile()) chmodSync(path, (statSync(path).mode & 0o111) === 0 ? 0o644 : 0o755);
  }
}

/** Folders of versions, and what a kill left half made. */
function placed(root: string): string[] {
  const below = (dir: string): string[] => {
    try {
      return readdirSync(dir, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [join(dir, one.name)] : []));
    } catch {
      return [];
    }
  };
  const names = [...below(join(root, "npm")), ...below(join(root, "pypi"))];
  const versions = names.flatMap((dir) =>
    below(dir).flatMap((inner) => (dir.slice(dir.lastIndexOf(sep) + 1).startsWith("@") ? below(inner) : [inner])),
  );
  return [...versions, ...below(root).filter((dir) => dir.includes(`${sep}.new-`))];
}
