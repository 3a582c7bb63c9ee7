import type { Block, Facts } from "../block.ts";
import { withPictures, type PictureKeeper, type SourceBlock } from "../pictures.ts";
import { UnreadableError } from "../unreadable.ts";
import { attributeOf, readXml } from "../xml.ts";
import { chartBlocks } from "./chart.ts";
import { DocxReader } from "./docxReader.ts";
import { readNumbering, readStyles } from "./docxStyles.ts";
import { propertiesOf, type OfficePackage, type Relation } from "./package.ts";

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
