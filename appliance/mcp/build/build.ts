/** `nika mcp build`: from a document to a plan, and from a plan the owner agreed to, to a server that stands, was tried and is declared. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { NikaError } from "../../../convex/model/error.ts";
import type { Sandboxes } from "../../../functions/ports/sandboxes.ts";
import { configFiles } from "../pool/configFiles.ts";
import { toDeclaration } from "./declare.ts";
import { readDocument } from "./document.ts";
import { generate, runtimePackages } from "./generate.ts";
import { makePlan, type PlanWishes } from "./makePlan.ts";
import { toApi as markdownApi } from "./markdown.ts";
import { toApi as openApi } from "./openapi.ts";
import type { Plan } from "./plan.ts";
import type { Handed } from "./source.ts";
import { tryOut, type Trial } from "./trial.ts";

/** What a document would become. Fails with `invalid` and a sentence where it cannot become anything. */
export async function planFor(handed: Handed, wishes: PlanWishes): Promise<Plan> {
  const { from, sha256, url } = handed;
  const document = readDocument(handed.text);
  const api = document.type === "openapi" ? openApi(document, url) : await markdownApi(document.text, url);
  return makePlan(api, { from, sha256 }, wishes);
}

export type BuildOptions = {
  readonly dataDir: string;
  /** Where other programs declare servers; see configFiles.ts. */
  readonly sharedFile: string;
  /** Where it is to stand; under DATA/servers unless said. */
  readonly out?: string | undefined;
  readonly withSkill: boolean;
  /** Whether it may take the place of one that stands there. */
  readonly isReplacing: boolean;
  readonly sandboxes: Sandboxes | undefined;
  /** Told what is being done, in words. */
  readonly step: (words: string) => void;
  readonly signal: AbortSignal;
};
export type Built = {
  readonly name: string;
  readonly dir: string;
  /** The declaration; undefined when the trial failed, and then Nika was told of nothing. */
  readonly declaredIn: string | undefined;
  readonly trial: Trial;
};

/** Where made servers stand: a sandbox may read them there. */
export const serversDir = (dataDir: string): string => join(dataDir, "mcp", "servers");

/**
 * Writes the server beside its place, tries it there, and only then lets it take its place and be declared. When the trial fails it stands in its
 * place to be looked at, if nothing stood there before, and is not declared. Fails with `conflict` where something else stands or has its name.
 */
export async function build(plan: Plan, options: BuildOptions): Promise<Built> {
  const { dataDir, step, signal } = options;
  const dir = resolve(options.out ?? join(serversDir(dataDir), plan.name));
  const isThere = await mustBeFree(dir, plan.name, options);
  step("writing");
  await mkdir(dirname(dir), { recursive: true });
  const draft = join(dirname(dir), `.${plan.name}.${randomBytes(4).toString("hex")}`);
  try {
    const packages = runtimePackages.map((name) => ({ name, ...packageOf(name) }));
    const versions = Object.fromEntries(packages.map(({ name, version }) => [name, version]));
    for (const [path, text] of generate(plan, { versions, withSkill: options.withSkill })) await put(join(draft, path), text);
    for (const { name, from } of packages) await copyPackage(from, join(draft, "node_modules", name));
    step("trying it");
    const trial = await tryOut(draft, options.sandboxes, signal);
    if (!trial.isGood && isThere) return { name: plan.name, dir, declaredIn: undefined, trial };
    await takePlace(draft, dir);
    const declaredIn = trial.isGood ? await declare(dir, options) : undefined;
    return { name: plan.name, dir, declaredIn, trial };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** The same for one that stands already and whose mcp.toml or code was edited: tried again where it is, and declared again. */
export async function rebuild(folder: string, options: BuildOptions): Promise<Built> {
  const dir = resolve(folder);
  const manifest = await readFile(join(dir, "mcp.toml"), "utf8").catch((cause: unknown) => {
    throw new NikaError("missing", `There is no mcp.toml in ${dir}, so it holds no server that Nika made.`, { cause });
  });
  const { name } = toDeclaration(dir, manifest);
  mustBeOurs(name, options);
  options.step("trying it");
  const trial = await tryOut(dir, options.sandboxes, options.signal);
  return { name, dir, declaredIn: trial.isGood ? await declare(dir, options) : undefined, trial };
}

const declarationOf = (dataDir: string, name: string): string => join(dataDir, "mcp.d", `${name}.json`);

async function declare(dir: string, { dataDir, step }: BuildOptions): Promise<string> {
  const { name, text } = toDeclaration(dir, await readFile(join(dir, "mcp.toml"), "utf8"));
  const file = declarationOf(dataDir, name);
  step("declaring it");
  await mkdir(dirname(file), { recursive: true });
  const fresh = `${file}.${randomBytes(4).toString("hex")}`;
  await writeFile(fresh, text, { mode: 0o600 });
  await rename(fresh, file);
  return file;
}

/** Whether one of its kind stands there. */
async function mustBeFree(dir: string, name: string, options: BuildOptions): Promise<boolean> {
  const { dataDir, isReplacing } = options;
  const way = relative(dataDir, dir);
  const isInData = way === "" || !(way.startsWith("..") || resolve(way) === way);
  if (isInData && !dir.startsWith(`${serversDir(dataDir)}/`))
    throw new NikaError("denied", `A server cannot stand in Nika's own folder ${dataDir}, but for ${serversDir(dataDir)}.`);
  mustBeOurs(name, options);
  const found = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new NikaError("conflict", `${dir} is no folder.`, { cause: error });
  });
  if (found.length === 0) return false;
  if (!existsSync(join(dir, "mcp.toml")))
    throw new NikaError("conflict", `${dir} holds something else; name another folder with --out.`);
  if (!isReplacing)
    throw new NikaError(
      "conflict",
      `A server of this name was made before, in ${dir}; let this one take its place (--replace), or give it another name (--name).`,
    );
  return true;
}

/** A declaration of ours wins over those of files, so it must not hide one the owner wrote. */
function mustBeOurs(name: string, { dataDir, sharedFile }: BuildOptions): void {
  const other = configFiles({ dataDir, sharedFile })
    .read()
    .servers.find((one) => one.name === name && one.origin !== declarationOf(dataDir, name));
  if (other)
    throw new NikaError("conflict", `A server named "${name}" is declared in ${other.origin} already; choose another --name.`);
}

async function takePlace(draft: string, dir: string): Promise<void> {
  const old = `${draft}.old`;
  const wasThere = await rename(dir, old).then(
    () => true,
    () => false,
  );
  try {
    await rename(draft, dir);
  } catch (error) {
    if (wasThere) await rename(old, dir);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

/** Readable by all: in a sandbox it is nobody who reads. */
async function put(path: string, text: string): Promise<void> {
  await makeDir(dirname(path));
  await writeFile(path, text);
  await chmod(path, 0o644);
}

async function makeDir(dir: string): Promise<void> {
  const first = await mkdir(dir, { recursive: true });
  if (first === undefined) return;
  for (let at = dir; at.length >= first.length; at = dirname(at)) await chmod(at, 0o755);
}

/** Where one of the packages lies that Nika itself runs on. */
function packageOf(name: string): { readonly from: string; readonly version: string } {
  const server = fileURLToPath(import.meta.resolve("@modelcontextprotocol/server"));
  const entry =
    name === "smol-toml"
      ? fileURLToPath(import.meta.resolve(name))
      : createRequire(server).resolve(name === "zod" ? "zod/v4" : name);
  for (let dir = dirname(entry); dirname(dir) !== dir; dir = dirname(dir)) {
    if (!existsSync(join(dir, "package.json"))) continue;
    const about = createRequire(import.meta.url)(join(dir, "package.json")) as {
      readonly name?: string;
      readonly version?: string;
    };
    if (about.name === name) return { from: dir, version: about.version ?? "" };
  }
  throw new NikaError("bug", "Something went wrong inside Nika; the log has the details.", {
    cause: new Error(`no package ${name}`),
  });
}

/** Without maps, sources and the other module system: a third of it. */
async function copyPackage(from: string, to: string): Promise<void> {
  const isWanted = (path: string): boolean => {
    const way = relative(from, path);
    return !/\.map$|\.cts$|\.cjs$|(?:^|\/)(?:node_modules|src)(?:\/|$)/u.test(way);
  };
  await makeDir(dirname(to));
  await cp(from, to, { recursive: true, filter: isWanted });
  for (const one of await readdir(to, { recursive: true, withFileTypes: true }))
    await chmod(join(one.parentPath, one.name), one.isDirectory() ? 0o755 : 0o644);
  await chmod(to, 0o755);
}
