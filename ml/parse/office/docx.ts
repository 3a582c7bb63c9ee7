import type { Block, Facts } from "../block.ts";
import { withPictures, type PictureKeeper, type SourceBlock } from "../pictures.ts";
import { UnreadableError } from "../unreadable.ts";
import { attributeOf, numberOf, readXml } from "../xml.ts";
import { chartBlocks } from "./chart.ts";
import { DocxReader } from "./docxReader.ts";
import { propertiesOf, type OfficePackage, type Relation } from "./package.ts";

/** What a style of paragraphs means for its text. */
export type DocxStyle = {
  readonly level?: number;
  readonly use?: "caption" | "code" | "contents" | "title";
  readonly numId?: string;
  readonly depth?: number;
};
export type DocxStyles = ReadonlyMap<string, DocxStyle>;
/** By number id: whether each level counts (1, a, i) or is marked (a bullet). */
export type DocxNumbering = ReadonlyMap<string, ReadonlyMap<number, boolean>>;

/**
 * A Word document: headings, paragraphs, lists with depth, tables with spans, notes, pictures, and charts as the tables they were drawn from, in the order of the text. Headers,
 * footers, comments, tables of contents and what was deleted with changes tracked are left out.
 */
export async function docxBlocks(
  source: OfficePackage,
  keeper: PictureKeeper,
): Promise<{ blocks: Block[]; title?: string; facts?: Facts }> {
  const main = await mainPart(source);
  const body = await source.read(main);
  if (!body) throw new UnreadableError("damaged");
  const relations = await source.relations(main);
  const part = (type: string): string => [...relations.values()].find((one) => one.type === type)?.target ?? "";
  const reader = new DocxReader({
    styles: await readStyles(await source.read(part("styles") || "word/styles.xml")),
    numbering: await readNumbering(await source.read(part("numbering"))),
    footnotes: await readNotes(await source.read(part("footnotes") || "word/footnotes.xml"), "footnote"),
    endnotes: await readNotes(await source.read(part("endnotes") || "word/endnotes.xml"), "endnote"),
  });
  await readXml(body, reader);
  const blocks = await withPictures(await withCharts(reader.finish(), source, relations), async (id, caption) => {
    const target = relations.get(id)?.target;
    const bytes = target === undefined ? undefined : await source.picture(target);
    return bytes && keeper.add(bytes, { key: target ?? "", caption });
  });
  const { title, facts } = await propertiesOf(await source.read("docProps/core.xml"));
  const heading = blocks.slice(0, 5).find((block) => block.type === "heading");
  const named = title ?? reader.title ?? (heading?.type === "heading" ? heading.text : undefined);
  return { blocks, ...(named !== undefined && { title: named }), ...(facts && { facts }) };
}

/** Charts as the tables they were drawn from, where they stand. What a picture says in words becomes the caption of one without a title. */
async function withCharts(
  blocks: readonly SourceBlock[],
  source: OfficePackage,
  relations: ReadonlyMap<string, Relation>,
): Promise<SourceBlock[]> {
  const out: SourceBlock[] = [];
  for (const block of blocks) {
    const relation = block.type === "figure" && "source" in block ? relations.get(block.source ?? "") : undefined;
    if (relation?.type !== "chart" || block.type !== "figure") {
      out.push(block);
      continue;
    }
    const told = block.caption === undefined ? {} : { caption: block.caption };
    for (const table of await chartBlocks(source, relation.target, block.place)) out.push({ ...told, ...table });
  }
  return out;
}

async function mainPart(source: OfficePackage): Promise<string> {
  const roots = await source.relations("");
  const named = [...roots.values()].find((one) => one.type === "officeDocument")?.target;
  return named !== undefined && source.has(named) ? named : "word/document.xml";
}

type RawStyle = {
  name: string;
  basedOn?: string | undefined;
  outline?: number | undefined;
  numId?: string | undefined;
  depth?: number | undefined;
};

async function readStyles(bytes: Uint8Array | undefined): Promise<DocxStyles> {
  const raw = new Map<string, RawStyle>();
  let style: RawStyle | undefined;
  if (bytes)
    await readXml(bytes, {
      open: (name, attributes) => {
        const value = attributeOf(attributes, "val");
        if (name === "style") {
          style = { name: "" };
          raw.set(attributeOf(attributes, "styleId") ?? "", style);
        } else if (!style) return;
        else if (name === "name") style.name = value ?? "";
        else if (name === "basedOn") style.basedOn = value;
        else if (name === "outlineLvl") style.outline = Number(value);
        else if (name === "numId") style.numId = value;
        else if (name === "ilvl") style.depth = Number(value);
      },
      close: (name) => {
        if (name === "style") style = undefined;
      },
    });
  return new Map([...raw.keys()].map((id) => [id, meaningOf(id, raw)]));
}

/** What the style says, or else what it is based on says. */
function meaningOf(id: string, raw: ReadonlyMap<string, RawStyle>): DocxStyle {
  const meaning: { -readonly [Key in keyof DocxStyle]: DocxStyle[Key] } = {};
  let at: string | undefined = id;
  for (let steps = 0; at !== undefined && steps < 10; steps += 1) {
    const style: RawStyle | undefined = raw.get(at);
    if (!style) break;
    const own = meaningOfName(style.name);
    const outline = style.outline !== undefined && style.outline < 9 ? style.outline + 1 : undefined;
    const level = own.level ?? outline;
    if (level !== undefined) meaning.level ??= level;
    if (own.use !== undefined) meaning.use ??= own.use;
    if (style.numId !== undefined) meaning.numId ??= style.numId;
    if (style.depth !== undefined) meaning.depth ??= style.depth;
    at = style.basedOn;
  }
  return meaning;
}

/** Built-in styles keep their English name in the file; documents from elsewhere may carry French ones. */
function meaningOfName(name: string): DocxStyle {
  const level = /^(?:heading|titre)\s?([1-9])$/iu.exec(name)?.[1];
  if (level !== undefined) return { level: Number(level) };
  if (/^(?:title|titre)$/iu.test(name)) return { level: 1, use: "title" };
  if (/^(?:subtitle|sous-titre)$/iu.test(name)) return { level: 2 };
  if (/^(?:caption|légende|figure|table)$/iu.test(name)) return { use: "caption" };
  if (/^(?:toc|tm)\s?\d|^table of (?:figures|contents)|^contents \d/iu.test(name)) return { use: "contents" };
  if (/code|preformatted|préformaté/iu.test(name)) return { use: "code" };
  return {};
}

async function readNumbering(bytes: Uint8Array | undefined): Promise<DocxNumbering> {
  const abstract = new Map<string, Map<number, boolean>>();
  const numbers = new Map<string, ReadonlyMap<number, boolean>>();
  let levels: Map<number, boolean> | undefined;
  let level = 0;
  let number = "";
  if (!bytes) return numbers;
  await readXml(bytes, {
    open: (name, attributes) => {
      if (name === "abstractNum") {
        levels = new Map();
        abstract.set(attributeOf(attributes, "abstractNumId") ?? "", levels);
      } else if (name === "lvl") level = numberOf(attributes, "ilvl") ?? 0;
      else if (name === "numFmt") levels?.set(level, !/^(?:bullet|none)$/u.test(attributeOf(attributes, "val") ?? ""));
      else if (name === "num") {
        levels = undefined;
        number = attributeOf(attributes, "numId") ?? "";
      } else if (name === "abstractNumId") numbers.set(number, abstract.get(attributeOf(attributes, "val") ?? "") ?? new Map());
    },
  });
  return numbers;
}

/** The text of each note, by its id. Separators are notes too, and are left out. */
async function readNotes(bytes: Uint8Array | undefined, element: string): Promise<ReadonlyMap<string, string>> {
  const notes = new Map<string, string>();
  let id: string | undefined;
  let text = "";
  let isText = false;
  if (!bytes) return notes;
  await readXml(bytes, {
    open: (name, attributes) => {
      if (name === element) {
        const type = attributeOf(attributes, "type");
        id = type === undefined || type === "normal" ? attributeOf(attributes, "id") : undefined;
        text = "";
      }
      if (name === "t") isText = true;
      else if (name === "tab" || name === "br" || name === "p") text += " ";
    },
    close: (name) => {
      if (name === "t") isText = false;
      const clean = text.replaceAll(/\s+/gu, " ").trim();
      if (name === element && id !== undefined && clean !== "") notes.set(id, clean);
    },
    text: (more) => {
      if (isText) text += more;
    },
  });
  return notes;
}
