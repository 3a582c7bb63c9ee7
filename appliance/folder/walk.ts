/**
 * What lies under a path the owner named, in an order that is the same every time. Only looks: no byte of a file is read here.
 *
 * Paths stay bytes, because a file name need not be valid UTF-8; names are made for people. Links to folders are not followed (what they
 * lead to inside the root is found under its own name, and what lies outside was not asked for), so no walk can go round in circles.
 */
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { basename, resolve, sep } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import { documentBytesMax, type Problem } from "../../convex/model/document.ts";
import { systemCode } from "./systemCode.ts";

export type FoundFile = {
  readonly type: "file";
  readonly path: Buffer;
  readonly name: string;
  readonly sizeBytes: number;
  /** When it was last changed, milliseconds since 1970. */
  readonly mtimeMs: number;
};
/** Something that was to be added and cannot be read; recorded as a document with this problem. */
export type FoundProblem = {
  readonly type: "problem";
  readonly name: string;
  readonly sizeBytes: number;
  readonly problem: Problem;
};
/** Left out on purpose: hidden, made by tools, or a link to a folder elsewhere. */
export type FoundSkipped = { readonly type: "skipped"; readonly name: string; readonly why: "hidden" | "tooling" | "outside" };
export type Found = FoundFile | FoundProblem | FoundSkipped;

/** A name on the wire is never longer; the end of a path says more than its beginning. */
export const nameCharsMax = 512;

/** Folders that tools fill with other people's files. */
const toolFolders = new Set(["node_modules", "bower_components", "__pycache__"]);
const slash = Buffer.from("/");

/** Fails with `missing` when there is nothing at `root`; everything else it meets is reported as found. */
export async function* walk(root: string): AsyncGenerator<Found> {
  const absolute = resolve(root);
  const name = basename(absolute);
  const info = await look(absolute);
  if (info === "missing") throw nothingAt(root);
  if (typeof info === "string") return yield { type: "problem", name: toName(name), sizeBytes: 0, problem: info };
  const path = Buffer.from(absolute);
  if (!info.isDirectory()) return yield toFound(path, toName(name), info);
  const linked: Entry[] = [];
  const seen = new Set<string>();
  const folder: Folder = { path, name, ancestors: [identity(info)], rootReal: await realpath(path, "buffer") };
  yield* walkFolder(folder, { linked, seen });
  // Links to files come last, so that what they lead to is known under its own name first.
  for (const entry of linked) yield* linkedFile(entry, seen);
}

/** Fails with `missing` when there is nothing at one of `roots`, before anything is done with the others. */
export async function mustExist(roots: readonly string[]): Promise<void> {
  for (const root of roots) if ((await look(resolve(root))) === "missing") throw nothingAt(root);
}

function nothingAt(root: string): NikaError {
  return new NikaError("missing", `There is nothing at "${toName(root)}".`);
}

type Folder = { path: Buffer; name: string; ancestors: readonly string[]; rootReal: Buffer };
type Entry = { path: Buffer; name: string; info: Stats };
type Trail = { readonly linked: Entry[]; readonly seen: Set<string> };

async function* walkFolder(folder: Folder, trail: Trail): AsyncGenerator<Found> {
  const entries = await list(folder.path);
  if (typeof entries === "string")
    return yield { type: "problem", name: toName(`${folder.name}/`), sizeBytes: 0, problem: entries };
  for (const bytes of entries) {
    const leaf = bytes.toString("utf8");
    const entry = {
      path: Buffer.concat([folder.path, slash, bytes]),
      name: folder.name === "" ? leaf : `${folder.name}/${leaf}`,
    };
    if (leaf.startsWith(".")) yield { type: "skipped", name: toName(entry.name), why: "hidden" };
    else yield* walkEntry({ ...entry, isTooling: toolFolders.has(leaf) }, folder, trail);
  }
}

async function* walkEntry(
  { path, name, isTooling }: { path: Buffer; name: string; isTooling: boolean },
  folder: Folder,
  trail: Trail,
): AsyncGenerator<Found> {
  const link = await look(path, lstat);
  if (typeof link === "string") return yield { type: "problem", name: toName(name), sizeBytes: 0, problem: toProblem(link) };
  if (link.isSymbolicLink()) return yield* walkLink({ path, name, info: link }, folder, trail);
  if (link.isDirectory() && isTooling) return yield { type: "skipped", name: toName(name), why: "tooling" };
  if (link.isDirectory())
    return yield* walkFolder({ ...folder, path, name, ancestors: [...folder.ancestors, identity(link)] }, trail);
  if (link.isFile()) trail.seen.add(identity(link));
  return yield toFound(path, toName(name), link);
}

async function* walkLink(entry: Entry, folder: Folder, trail: Trail): AsyncGenerator<Found> {
  const { path, name } = entry;
  const target = await look(path);
  if (typeof target === "string") return yield { type: "problem", name: toName(name), sizeBytes: 0, problem: toProblem(target) };
  if (!target.isDirectory()) {
    trail.linked.push({ path, name, info: target });
    return;
  }
  if (folder.ancestors.includes(identity(target)))
    return yield { type: "problem", name: toName(name), sizeBytes: 0, problem: "linkLoop" };
  const real = await realpath(path, "buffer").catch(() => undefined);
  if (real === undefined || !isInside(real, folder.rootReal)) yield { type: "skipped", name: toName(name), why: "outside" };
}

function* linkedFile({ path, name, info }: Entry, seen: Set<string>): Generator<Found> {
  if (info.isFile()) {
    if (seen.has(identity(info))) return;
    seen.add(identity(info));
  }
  yield toFound(path, toName(name), info);
}

/** What a file turns out to be before it is opened: its size and kind decide. */
function toFound(path: Buffer, name: string, info: Stats): Found {
  const problem = info.isFile() ? sizeProblem(info.size) : "notAFile";
  if (problem) return { type: "problem", name, sizeBytes: info.isFile() ? info.size : 0, problem };
  return { type: "file", path, name, sizeBytes: info.size, mtimeMs: info.mtimeMs };
}

/** Why a file of this size is not read at all. */
export function sizeProblem(sizeBytes: number): Problem | undefined {
  if (sizeBytes === 0) return "empty";
  return sizeBytes > documentBytesMax ? "tooLarge" : undefined;
}

const keyCharsMax = 1_000;

/** Which file it is, in text: its path, or what stands for one that is not valid text or very long. */
export function keyOf(path: Buffer): string {
  const text = path.toString("utf8");
  const isText = Buffer.from(text).equals(path);
  if (isText && text.length <= keyCharsMax) return `file:${text}`;
  return `file-sha256:${createHash("sha256").update(path).digest("hex")}`;
}

/** The problem behind a failed system call on something that should be read. */
export function problemOf(error: unknown): Problem {
  switch (systemCode(error) ?? "") {
    case "EACCES":
    case "EPERM":
      return "noPermission";
    case "ELOOP":
      return "linkLoop";
    case "ENOENT":
    case "ENOTDIR":
    case "ESTALE":
      return "vanished";
    case "EISDIR":
    case "ENXIO":
      return "notAFile";
    default:
      return "failed";
  }
}

async function look(path: string | Buffer, how: typeof stat = stat): Promise<Stats | Problem | "missing"> {
  try {
    return await how(path);
  } catch (error) {
    const problem = problemOf(error);
    return problem === "vanished" ? "missing" : problem;
  }
}

function toProblem(seen: Problem | "missing"): Problem {
  return seen === "missing" ? "vanished" : seen;
}

async function list(path: Buffer): Promise<Buffer[] | Problem> {
  try {
    return (await readdir(path, { encoding: "buffer" })).sort((left, right) => left.compare(right));
  } catch (error) {
    return problemOf(error);
  }
}

function identity(info: Stats): string {
  return `${info.dev}:${info.ino}`;
}

function isInside(path: Buffer, root: Buffer): boolean {
  const text = path.toString("latin1");
  const base = root.toString("latin1");
  return text === base || text.startsWith(base.endsWith(sep) ? base : base + sep);
}

/**
 * A name as it may go on the wire and on a page: no control characters, no marks that turn the direction of writing, no lone
 * surrogates, at most 512 characters, kept from the end.
 */
export function toName(name: string): string {
  // oxlint-disable-next-line no-control-regex
  const clean = name.toWellFormed().replace(/[\u0000-\u001F\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g, "\uFFFD");
  if (clean.length <= nameCharsMax) return clean || "(no name)";
  return `…${clean.slice(1 - nameCharsMax)}`.toWellFormed();
}
