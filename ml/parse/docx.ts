import type { Block } from "./block.ts";
import { UnreadableError } from "./unreadable.ts";
import { htmlBlocks } from "./html.ts";
import { isCutOff, listZip, unpackZip, type ZipEntry } from "./zip.ts";

/** Word writes some 20 parts; a thousand leaves room for embedded objects. */
const entriesMax = 2_000;
/** All XML of a thousand-page book is about 6 MB, and mammoth needs some forty times that in memory. */
const xmlBytesMax = 8 * 1024 * 1024;
/** XML packs well, but not better than this; what does was made to. Small parts are let be. */
const ratioMax = 200;
const ratioBytesMin = 2 * 1024 * 1024;

/**
 * A Word document as blocks. Its parts are unpacked here, within a budget that does not believe what the archive says of itself,
 * and mammoth is given a plain archive of the XML alone: no pictures, no objects, no surprises.
 */
export async function docxBlocks(bytes: Uint8Array, name: string): Promise<{ blocks: Block[]; title?: string }> {
  const entries = await listZip(bytes);
  if (!entries) throw new UnreadableError(isCutOff(bytes) || /\.docx$/iu.test(name) ? "damaged" : "unknownType");
  if (!entries.some((entry) => entry.name === "word/document.xml")) throw new UnreadableError("unknownType");
  refuseBombs(entries);
  const parts = await unpackZip(bytes, { isWanted: isXml, bytesMax: xmlBytesMax });
  const { html, title } = await convert(parts);
  const read = await htmlBlocks(html);
  const heading = read.blocks.slice(0, 5).find((block) => block.type === "heading");
  const named = title ?? (heading?.type === "heading" ? heading.text : undefined);
  return named === undefined ? { blocks: read.blocks } : { blocks: read.blocks, title: named };
}

function isXml(name: string): boolean {
  return (name.endsWith(".xml") || name.endsWith(".rels")) && !/^(?:customXml|word\/(?:theme|embeddings|media))\//u.test(name);
}

function refuseBombs(entries: readonly ZipEntry[]): void {
  if (entries.length > entriesMax) throw new UnreadableError("bomb");
  if (entries.some((entry) => entry.isEncrypted)) throw new UnreadableError("encrypted");
  const wanted = entries.filter((entry) => isXml(entry.name));
  const unpacked = wanted.reduce((sum, entry) => sum + entry.unpackedBytes, 0);
  for (const { packedBytes, unpackedBytes } of entries) {
    if (unpackedBytes > ratioBytesMin && unpackedBytes > packedBytes * ratioMax) throw new UnreadableError("bomb");
  }
  if (unpacked > xmlBytesMax) throw new UnreadableError("tooLarge");
}

async function convert(parts: Map<string, Uint8Array>): Promise<{ html: string; title?: string }> {
  const text = new TextDecoder();
  for (const part of parts.values()) {
    // Word never declares a document type; entities that grow need one.
    if (/<!(?:DOCTYPE|ENTITY)/iu.test(text.decode(part.subarray(0, 64 * 1024)))) throw new UnreadableError("bomb");
  }
  const { zipSync } = await import("fflate");
  const { default: mammoth } = await import("mammoth");
  const buffer = Buffer.from(zipSync(Object.fromEntries(parts), { level: 0 }));
  const core = parts.get("docProps/core.xml");
  const title = core && /<dc:title>([^<]{1,500})<\/dc:title>/u.exec(text.decode(core))?.[1];
  try {
    const { value } = await mammoth.convertToHtml(
      { buffer },
      { convertImage: mammoth.images.imgElement(() => Promise.resolve({ src: "" })), includeEmbeddedStyleMap: false, styleMap },
    );
    return title ? { html: value, title: unescaped(title) } : { html: value };
  } catch (error) {
    throw new UnreadableError("damaged", { cause: error });
  }
}

/** What mammoth's own map leaves as plain paragraphs. */
const styleMap = [
  "p[style-name='Title'] => h1:fresh",
  "p[style-name='Titre'] => h1:fresh",
  "p[style-name='Subtitle'] => h2:fresh",
].concat(
  [1, 2, 3, 4, 5, 6].flatMap((level) => [
    `p[style-name='heading ${level}'] => h${level}:fresh`,
    `p[style-name='Titre ${level}'] => h${level}:fresh`,
  ]),
);

function unescaped(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&amp;", "&");
}
