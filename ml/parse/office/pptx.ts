import type { Block, Facts } from "../block.ts";
import { tidied } from "../decode.ts";
import { withPictures, type PictureKeeper, type SourceBlock } from "../pictures.ts";
import { UnreadableError } from "../unreadable.ts";
import { findAll, readXml, textOf, xmlTree } from "../xml.ts";
import { chartBlocks } from "./chart.ts";
import { propertiesOf, type OfficePackage, type Relation } from "./package.ts";
import { SlideReader } from "./slideReader.ts";

const slidesMax = 2_000;

/**
 * A presentation: each slide is a page with its title as heading, its points as lists, tables, charts as tables, pictures, and the
 * speaker's notes as a footnote. Slide numbers, dates, footers, masters and animations are left out.
 */
export async function pptxBlocks(
  source: OfficePackage,
  keeper: PictureKeeper,
): Promise<{ blocks: Block[]; title?: string; pages: number; facts?: Facts }> {
  const main =
    [...(await source.relations("")).values()].find((one) => one.type === "officeDocument")?.target ?? "ppt/presentation.xml";
  const presentation = await source.read(main);
  if (!presentation) throw new UnreadableError("damaged");
  const relations = await source.relations(main);
  const slides = findAll(await xmlTree(presentation), "sldId")
    .flatMap(({ attributes }) => relations.get(attributes["r:id"] ?? "")?.target ?? [])
    .slice(0, slidesMax);
  const blocks: Block[] = [];
  for (const [at, target] of slides.entries()) blocks.push(...(await slideBlocks(source, { target, page: at + 1, keeper })));
  const { title, facts } = await propertiesOf(await source.read("docProps/core.xml"));
  const heading = blocks.find((block) => block.type === "heading");
  // Programs name every deck alike; its first slide says more.
  const isSaid = title !== undefined && !/^(?:powerpoint[ -]pr[eé]sentation|pr[eé]sentation(?: powerpoint)?)$/iu.test(title);
  const named = isSaid ? title : heading?.type === "heading" ? heading.text : undefined;
  return { blocks, pages: slides.length, ...(named !== undefined && { title: named }), ...(facts && { facts }) };
}

type SlideContext = { readonly target: string; readonly page: number; readonly keeper: PictureKeeper };

async function slideBlocks(source: OfficePackage, { target, page, keeper }: SlideContext): Promise<Block[]> {
  const bytes = await source.read(target);
  if (!bytes) return [];
  const relations = await source.relations(target);
  const reader = new SlideReader({ page });
  await readXml(bytes, reader);
  const blocks = await withPictures(reader.finish(), async (id, caption) => {
    const name = relations.get(id)?.target;
    const picture = name === undefined ? undefined : await source.picture(name);
    return picture && keeper.add(picture, { key: name ?? "", page, caption });
  });
  for (const id of reader.charts) blocks.push(...(await chartBlocks(source, relations.get(id)?.target, { page })));
  for (const id of reader.diagrams) blocks.push(...(await diagramBlocks(source, relations.get(id)?.target, page)));
  return [...blocks, ...(await noteBlocks(source, relations, page))];
}

async function noteBlocks(source: OfficePackage, relations: ReadonlyMap<string, Relation>, page: number): Promise<Block[]> {
  const target = [...relations.values()].find((one) => one.type === "notesSlide")?.target;
  const bytes = target === undefined ? undefined : await source.read(target);
  if (!bytes) return [];
  const reader = new SlideReader({ page, isNotes: true });
  await readXml(bytes, reader);
  const lines = reader
    .finish()
    .flatMap((block: SourceBlock) =>
      block.type === "list" ? block.items.map((item) => item.text) : block.type === "paragraph" ? [block.text] : [],
    );
  return lines.length === 0 ? [] : [{ type: "footnote", label: "Notes", text: lines.join("\n"), place: { page } }];
}

/** The words of a diagram, in the order they were written. */
async function diagramBlocks(source: OfficePackage, target: string | undefined, page: number): Promise<Block[]> {
  const bytes = target === undefined ? undefined : await source.read(target);
  if (!bytes) return [];
  const items = findAll(await xmlTree(bytes), "pt")
    .map((point) => tidied(findAll(point, "t").map(textOf).join("")).trim())
    .filter((text) => text !== "")
    .map((text) => ({ text, depth: 0 }));
  return items.length === 0 ? [] : [{ type: "list", isOrdered: false, items, place: { page } }];
}
