/** A folder as one SHA-256: every path, kind, and byte in it. What was installed is what runs, or nothing runs. */
import { createHash } from "node:crypto";
import { createReadStream, lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../../convex/model/error.ts";

export type Tree = { readonly sha256: string; readonly files: number; readonly sizeBytes: number };

const filesMax = 200_000;
const bytesMax = 2 * 1024 ** 3;

type Found = { readonly path: string; readonly link: string | undefined };

/** Fails with `denied` for a link that leads out of the folder and for anything but files, folders and links; `full` when it is too much. */
export async function hashTree(root: string): Promise<Tree> {
  const whole = createHash("sha256");
  let sizeBytes = 0;
  const found = walk(root);
  for (const { path, link } of found) {
    whole.update(`${path}\0`);
    if (link !== undefined) {
      whole.update(`link\0${link}\0`);
      continue;
    }
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(root, path)), hash);
    const size = statSync(join(root, path)).size;
    sizeBytes += size;
    if (sizeBytes > bytesMax) throw new NikaError("full", `${root} holds more than ${bytesMax / 1024 ** 3} GB.`);
    whole.update(`file\0${size}\0${hash.digest("hex")}\0`);
  }
  return { sha256: whole.digest("hex"), files: found.length, sizeBytes };
}

/** Changes whenever a file was written, replaced, added or taken away: what the system keeps of each, without reading them. */
export function sealTree(root: string): string {
  const seal = createHash("sha256");
  for (const { path } of walk(root)) {
    const { size, mtimeNs, ctimeNs, ino } = lstatSync(join(root, path), { bigint: true });
    seal.update(`${path}\0${size}\0${mtimeNs}\0${ctimeNs}\0${ino}\0`);
  }
  return seal.digest("hex");
}

/** In the order of their paths. */
function walk(root: string): Found[] {
  const found: Found[] = [];
  for (const one of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (one.isDirectory()) continue;
    const whole = join(one.parentPath, one.name);
    const path = relative(root, whole).split(sep).join("/");
    if (!one.isFile() && !one.isSymbolicLink()) throw new NikaError("denied", `${whole} is neither a file nor a folder.`);
    const link = one.isSymbolicLink() ? readlinkSync(whole) : undefined;
    if (link !== undefined) {
      const to = relative(root, resolve(dirname(whole), link));
      if (to.startsWith("..") || isAbsolute(to)) throw new NikaError("denied", `${whole} leads out of its folder.`);
    }
    found.push({ path, link });
    if (found.length > filesMax) throw new NikaError("full", `${root} holds more than ${filesMax} files.`);
  }
  return found.toSorted((left, right) => (left.path < right.path ? -1 : 1));
}
