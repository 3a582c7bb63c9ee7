import { documentBytesMax, type Problem } from "../../../convex/model/document.ts";
import { UnreadableError } from "../unreadable.ts";
import { isMbox, mboxEntries } from "./mbox.ts";
import { isTar, tarEntries } from "./tar.ts";
import { gunzipHead, isGzip } from "./gzip.ts";
import { holderBytesMax, holderEntriesMax } from "./limits.ts";
import type { Passing } from "./passing.ts";
import { openZip, type Zip } from "./zip.ts";
import { isLitter, NameKeeper } from "./names.ts";

/** A file in a holder. With a `problem` it is there and cannot be had: locked, broken, or larger than a document may be. */
export type HeldEntry = { readonly name: string; readonly bytes: Uint8Array; readonly problem?: Problem };
export type HeldEntries = { readonly entries: readonly HeldEntry[]; readonly next?: number };

export type Holder = {
  readonly format: "archive" | "mbox";
  readonly count: number;
  /** Entries from the one numbered `from`, until about `bytesMax` bytes are gathered; at least one. */
  readonly read: (from: number, bytesMax: number) => Promise<HeldEntries>;
};

/** What packs this much better than text does was made to be unpacked. Small entries are let be. */
const ratioMax = 200;
const ratioBytesMin = 16 * 1024 * 1024;

/**
 * Bytes as a holder of files: zip, tar, gzip (of a tar or of one file) or an mbox. Undefined when they are something else, office
 * documents and e-books included. Fails with `bomb`, `encrypted`, `damaged`, or `empty` when it holds none.
 */
export async function openHolder(bytes: Uint8Array, name: string): Promise<Holder | undefined> {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return await zipHolder(bytes);
  if (isGzip(bytes)) {
    const head = await gunzipHead(bytes);
    return isTar(head) ? await listed(() => tarEntries(bytes, true)) : await gzipHolder(bytes, name);
  }
  if (isTar(bytes)) return await listed(() => tarEntries(bytes, false));
  if (isMbox(bytes, name)) return await listed(() => mboxEntries(bytes), "mbox");
  return undefined;
}

async function zipHolder(bytes: Uint8Array): Promise<Holder | undefined> {
  const zip = await openZip(bytes, holderEntriesMax + 1_000);
  if (!zip || isDocument(zip)) return undefined;
  const files = zip.entries.filter((entry) => entry.isFile && !isLitter(entry.name));
  if (files.length === 0) throw new UnreadableError("empty");
  if (files.length > holderEntriesMax) throw new UnreadableError("bomb");
  if (files.every((entry) => entry.isEncrypted)) throw new UnreadableError("encrypted");
  if (files.reduce((sum, entry) => sum + entry.unpackedBytes, 0) > holderBytesMax) throw new UnreadableError("bomb");
  const names = new NameKeeper();
  const named = files.map((entry) => ({ entry, name: names.next(entry.name) }));
  return {
    format: "archive",
    count: files.length,
    read: async (from, bytesMax) => {
      const entries: HeldEntry[] = [];
      let held = 0;
      for (let at = from; at < named.length; at += 1) {
        const { entry, name } = named[at] ?? {};
        if (!entry || name === undefined) break;
        if (entries.length > 0 && held + entry.unpackedBytes > bytesMax) return { entries, next: at };
        const isBomb = entry.unpackedBytes > ratioBytesMin && entry.unpackedBytes > entry.packedBytes * ratioMax;
        const found = await heldEntry(name, entry.unpackedBytes, async () => {
          if (isBomb) throw new UnreadableError("bomb");
          // A copy of its own: a stored entry would carry the whole archive along.
          return new Uint8Array(await zip.read(entry));
        });
        held += found.bytes.length;
        entries.push(found);
      }
      return { entries };
    },
  };
}

/** Documents that are zip archives inside, told by the parts they have. */
export function isDocument(zip: Zip): boolean {
  if (zip.find("[Content_Types].xml") && zip.entries.some(({ name }) => /^(?:word|xl|ppt)\//u.test(name))) return true;
  if (zip.find("META-INF/container.xml") && zip.entries.some(({ name }) => name.endsWith(".opf"))) return true;
  return zip.find("mimetype") !== undefined && zip.find("content.xml") !== undefined;
}

async function heldEntry(name: string, sizeBytes: number, read: () => Promise<Uint8Array>): Promise<HeldEntry> {
  const none = new Uint8Array();
  if (sizeBytes > documentBytesMax) return { name, bytes: none, problem: "tooLarge" };
  try {
    return { name, bytes: await read() };
  } catch (error) {
    if (error instanceof UnreadableError) return { name, bytes: none, problem: error.problem };
    throw error;
  }
}

async function gzipHolder(bytes: Uint8Array, name: string): Promise<Holder> {
  const inner = (name.split(/[/\\]/u).at(-1) ?? "").replace(/\.gz(?:ip)?$/iu, "") || "file";
  return {
    format: "archive",
    count: 1,
    read: async (from) => {
      if (from > 0) return { entries: [] };
      const { gunzipAll } = await import("./gzip.ts");
      return { entries: [await heldEntry(new NameKeeper().next(inner), 0, () => gunzipAll(bytes, documentBytesMax))] };
    },
  };
}

/** A holder that has no directory: it is walked through from the beginning each time. */
async function listed(walk: () => AsyncIterable<Passing>, format: Holder["format"] = "archive"): Promise<Holder> {
  let count = 0;
  let total = 0;
  for await (const { sizeBytes } of walk()) {
    count += 1;
    total += sizeBytes;
    if (count > holderEntriesMax || total > holderBytesMax) throw new UnreadableError("bomb");
  }
  if (count === 0) throw new UnreadableError("empty");
  return {
    format,
    count,
    read: async (from, bytesMax) => {
      const names = new NameKeeper();
      const entries: HeldEntry[] = [];
      let held = 0;
      let at = 0;
      for await (const { name, sizeBytes, read } of walk()) {
        const own = names.next(name);
        if (at >= from) {
          if (entries.length > 0 && held + sizeBytes > bytesMax) return { entries, next: at };
          const found = await heldEntry(own, sizeBytes, read);
          held += found.bytes.length;
          entries.push(found);
        }
        at += 1;
      }
      return { entries };
    },
  };
}
