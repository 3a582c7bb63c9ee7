import type { Facts } from "../block.ts";
import { openZip, type Zip } from "../archive/zip.ts";
import { UnreadableError } from "../unreadable.ts";
import { attributeOf, xmlTree } from "../xml.ts";

/** A deck of a thousand slides has four parts for each. */
const entriesMax = 4_500;
/** XML unpacked from one document. It is read in slices, so most of it is never held at once. */
const bytesMax = 160 * 1024 * 1024;
/** XML packs well, but not better than this; what does was made to. Small parts are let be. */
const ratioMax = 200;
const ratioBytesMin = 2 * 1024 * 1024;
/** Pictures larger than this are not worth their weight. */
const pictureBytesMax = 16 * 1024 * 1024;

export type Relation = { readonly type: string; readonly target: string };

/** An office document: a zip archive of XML parts that refer to each other. What is asked for twice is unpacked twice. */
export class OfficePackage {
  readonly #zip: Zip;
  #bytes = 0;

  constructor(zip: Zip) {
    this.#zip = zip;
  }

  get names(): string[] {
    return this.#zip.entries.filter((entry) => entry.isFile).map((entry) => entry.name);
  }

  has(name: string): boolean {
    return this.#zip.find(name) !== undefined;
  }

  /** A part; undefined when there is none. Fails with `tooLarge`, `damaged`, `bomb`. */
  async read(name: string): Promise<Uint8Array | undefined> {
    const entry = this.#zip.find(name);
    if (!entry?.isFile) return undefined;
    this.#bytes += entry.unpackedBytes;
    if (this.#bytes > bytesMax) throw new UnreadableError("tooLarge");
    return await this.#zip.read(entry);
  }

  /** A picture; undefined when it is missing, broken or too large: a document without one is still worth reading. */
  async picture(name: string): Promise<Uint8Array | undefined> {
    const entry = this.#zip.find(name);
    if (!entry?.isFile || entry.unpackedBytes > pictureBytesMax) return undefined;
    try {
      return await this.read(name);
    } catch {
      return undefined;
    }
  }

  /** What a part refers to, by id; targets are names of parts. References to the outside are left out: nothing is fetched. */
  async relations(name: string): Promise<ReadonlyMap<string, Relation>> {
    const slash = name.lastIndexOf("/") + 1;
    const bytes = await this.read(`${name.slice(0, slash)}_rels/${name.slice(slash)}.rels`);
    const relations = new Map<string, Relation>();
    if (!bytes) return relations;
    for (const node of (await xmlTree(bytes)).children.flatMap((root) => root.children)) {
      const id = attributeOf(node.attributes, "Id");
      const target = attributeOf(node.attributes, "Target");
      if (id === undefined || target === undefined || attributeOf(node.attributes, "TargetMode") === "External") continue;
      const type = (attributeOf(node.attributes, "Type") ?? "").split("/").at(-1) ?? "";
      relations.set(id, { type, target: resolved(name, target) });
    }
    return relations;
  }
}

/** Fails with `damaged`, `encrypted` or `bomb`. Undefined when the bytes hold no archive. */
export async function openPackage(bytes: Uint8Array): Promise<OfficePackage | undefined> {
  const zip = await openZip(bytes, entriesMax);
  if (!zip) return undefined;
  if (zip.entries.some((entry) => entry.isEncrypted)) throw new UnreadableError("encrypted");
  for (const { packedBytes, unpackedBytes } of zip.entries)
    if (unpackedBytes > ratioBytesMin && unpackedBytes > packedBytes * ratioMax) throw new UnreadableError("bomb");
  return new OfficePackage(zip);
}

/** A reference in a part as the name of another part: "../media/a.png" from "ppt/slides/slide1.xml" is "ppt/media/a.png". */
export function resolved(from: string, target: string): string {
  const parts = target.startsWith("/") ? [] : from.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

/** Programs write themselves, or nobody, into the author's place. */
const nobody =
  /^(?:python-docx|openpyxl|microsoft office user|user|utilisateur|unknown|admin(?:istrator)?|libreoffice.*|apache poi|author|auteur)$/iu;

/** Title and facts from a part of properties, as Word and OpenDocument write them. */
export async function propertiesOf(bytes: Uint8Array | undefined): Promise<{ title?: string; facts?: Facts }> {
  if (!bytes) return {};
  const said = new Map<string, string>();
  const walk = (node: Awaited<ReturnType<typeof xmlTree>>): void => {
    for (const child of node.children) {
      const text = child.text.trim();
      if (text !== "" && !said.has(child.name)) said.set(child.name, text.slice(0, 500));
      walk(child);
    }
  };
  walk(await xmlTree(bytes));
  const title = said.get("title");
  const names = ["creator", "initial-creator", "lastModifiedBy"].map((name) => said.get(name)?.slice(0, 200));
  const people = [...new Set(names)].filter((name): name is string => name !== undefined && !nobody.test(name));
  const writtenAt = toTime(said.get("modified") ?? said.get("date") ?? said.get("created") ?? said.get("creation-date"));
  const facts = factsOf({ author: people[0], writtenAt, people });
  return { ...(title !== undefined && { title }), ...(facts && { facts }) };
}

/** Facts with what is known, or undefined when nothing is. */
export function factsOf({
  author,
  writtenAt,
  people,
}: {
  author?: string | undefined;
  writtenAt?: number | undefined;
  people?: readonly string[] | undefined;
}): Facts | undefined {
  const facts: Facts = {
    ...(author !== undefined && author.trim() !== "" && { author: author.trim() }),
    ...(writtenAt !== undefined && { writtenAt }),
    ...(people && people.length > 0 && { people }),
  };
  return Object.keys(facts).length === 0 ? undefined : facts;
}

/** Milliseconds since 1970 of a date in words; undefined for none, and for years nobody wrote documents in. */
export function toTime(text: string | undefined): number | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text.trim());
  return time > Date.UTC(1900, 0, 1) && time < Date.UTC(2200, 0, 1) ? time : undefined;
}
