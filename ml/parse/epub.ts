import type { Block, Facts } from "./block.ts";
import { tidied } from "./decode.ts";
import { htmlBlocks } from "./html.ts";
import { factsOf, resolved, toTime, type OfficePackage } from "./office/package.ts";
import type { PictureKeeper } from "./pictures.ts";
import { UnreadableError } from "./unreadable.ts";
import { find, findAll, textOf, xmlTree, type XmlNode } from "./xml.ts";

const chaptersMax = 3_000;

/** An e-book in the order it is read. Chapters without a heading of their own take the one of the table of contents. */
export async function epubBlocks(
  source: OfficePackage,
  keeper: PictureKeeper,
): Promise<{ blocks: Block[]; title?: string; facts?: Facts }> {
  if (source.has("META-INF/encryption.xml") && source.has("META-INF/rights.xml")) throw new UnreadableError("encrypted");
  const container = await tree(source, "META-INF/container.xml");
  const opf = (container && find(container, "rootfile")?.attributes["full-path"]) ?? "";
  const book = await tree(source, opf);
  if (!book) throw new UnreadableError("damaged");
  const items = new Map(findAll(book, "item").map(({ attributes }) => [attributes["id"] ?? "", attributes]));
  const contents = await contentsOf(source, book, opf);
  const blocks: Block[] = [];
  for (const { attributes } of findAll(book, "itemref").slice(0, chaptersMax)) {
    const item = items.get(attributes["idref"] ?? "");
    // The table of contents as a page repeats what the chapters say.
    if (!item || /\bnav\b/u.test(item["properties"] ?? "")) continue;
    const path = resolved(opf, decoded(item["href"] ?? ""));
    const bytes = await source.read(path);
    if (bytes) blocks.push(...(await chapterBlocks(source, { bytes, path, heading: contents.get(path), keeper })));
  }
  const said = (name: string): string[] =>
    findAll(book, name)
      .map((node) => tidied(textOf(node)).trim())
      .filter((text) => text !== "");
  const [title] = said("title");
  const people = [...new Set([...said("creator"), ...said("contributor")])].slice(0, 20);
  const facts = factsOf({ author: said("creator")[0], writtenAt: toTime(said("date")[0]), people });
  return { blocks, ...(title !== undefined && { title }), ...(facts && { facts }) };
}

type Chapter = {
  readonly bytes: Uint8Array;
  readonly path: string;
  readonly heading: string | undefined;
  readonly keeper: PictureKeeper;
};

async function chapterBlocks(source: OfficePackage, { bytes, path, heading, keeper }: Chapter): Promise<Block[]> {
  const text = tidied(new TextDecoder().decode(bytes));
  const { blocks } = await htmlBlocks(selfClosed(text), {
    keep: async (address, caption) => {
      if (/^[a-z]+:/iu.test(address)) return undefined;
      const name = resolved(path, decoded(address));
      const picture = await source.picture(name);
      return picture && keeper.add(picture, { key: name, caption });
    },
  });
  const isNamed = blocks.slice(0, 3).some((block) => block.type === "heading");
  if (isNamed || heading === undefined || blocks.length === 0) return blocks;
  return [{ type: "heading", level: 1, text: heading, place: {} }, ...blocks];
}

/** Chapters are XML, where `<title/>` and `<a/>` end at once; in HTML they would swallow what follows. */
function selfClosed(text: string): string {
  return text.replaceAll(
    /<(title|script|style|textarea|iframe|a|p|div|span|td|th|li|i|b|em|strong)(\s[^<>]*)?\/>/gu,
    "<$1$2></$1>",
  );
}

/** The name of each chapter, from the contents of either version of the format; the first name of a file counts. */
async function contentsOf(source: OfficePackage, book: XmlNode, opf: string): Promise<ReadonlyMap<string, string>> {
  const items = findAll(book, "item").map(({ attributes }) => attributes);
  const nav = items.find((item) => /\bnav\b/u.test(item["properties"] ?? ""))?.["href"];
  const ncx = items.find((item) => item["media-type"] === "application/x-dtbncx+xml")?.["href"];
  const names = new Map<string, string>();
  for (const href of [nav, ncx]) {
    if (href === undefined) continue;
    const path = resolved(opf, decoded(href));
    const root = await tree(source, path);
    for (const node of root ? [...findAll(root, "a"), ...findAll(root, "navPoint")] : []) {
      const target = node.attributes["href"] ?? find(node, "content")?.attributes["src"];
      const label = node.name === "a" ? textOf(node) : textOf(find(node, "text") ?? node);
      const name = tidied(label).replaceAll(/\s+/gu, " ").trim().slice(0, 200);
      const chapter = target === undefined ? "" : resolved(path, decoded(target.split("#")[0] ?? ""));
      if (chapter !== "" && name !== "" && !names.has(chapter)) names.set(chapter, name);
    }
  }
  return names;
}

async function tree(source: OfficePackage, name: string): Promise<XmlNode | undefined> {
  const bytes = await source.read(name);
  return bytes && (await xmlTree(bytes));
}

function decoded(address: string): string {
  try {
    return decodeURIComponent(address);
  } catch {
    return address;
  }
}
