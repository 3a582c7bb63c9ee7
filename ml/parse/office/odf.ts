import type { Block, Facts } from "../block.ts";
import type { Format } from "../../../convex/model/document.ts";
import { withPictures, type PictureKeeper } from "../pictures.ts";
import { UnreadableError } from "../unreadable.ts";
import { readXml } from "../xml.ts";
import { OdfReader } from "./odfReader.ts";
import { OdsReader } from "./odsReader.ts";
import { propertiesOf, type OfficePackage } from "./package.ts";
import { sheetBlocks } from "./sheet.ts";

export type OdfFormat = Extract<Format, "odt" | "ods" | "odp">;

/** Which of the three an OpenDocument package is, by its own word; undefined when it is none. Templates and flat siblings count. */
export async function odfFormatOf(source: OfficePackage): Promise<OdfFormat | undefined> {
  const said = source.has("mimetype") ? Buffer.from((await source.read("mimetype")) ?? []).toString("latin1") : "";
  const kind = /^application\/vnd\.oasis\.opendocument\.(text|spreadsheet|presentation|graphics)/u.exec(said)?.[1];
  if (kind === "text") return "odt";
  if (kind === "spreadsheet") return "ods";
  return kind === undefined ? undefined : "odp";
}

/** An OpenDocument file as its Word, Excel or PowerPoint counterpart is read. Comments and tracked deletions are left out. */
export async function odfBlocks(
  source: OfficePackage,
  format: OdfFormat,
  keeper: PictureKeeper,
): Promise<{ blocks: Block[]; title?: string; pages?: number; facts?: Facts }> {
  // Its manifest says of a protected file that each part is encrypted; the parts then are noise.
  const manifest = Buffer.from((await source.read("META-INF/manifest.xml")) ?? []).toString("utf8");
  if (manifest.includes("encryption-data")) throw new UnreadableError("encrypted");
  const content = await source.read("content.xml");
  if (!content) throw new UnreadableError("damaged");
  const { title, facts } = await propertiesOf(await source.read("meta.xml"));
  const known = { ...(title !== undefined && { title }), ...(facts && { facts }) };
  if (format === "ods") {
    const reader = new OdsReader();
    await readXml(content, reader);
    return { blocks: reader.finish().flatMap((sheet) => sheetBlocks(sheet)), ...known };
  }
  const reader = new OdfReader({ isSlides: format === "odp" });
  const styles = await source.read("styles.xml");
  if (styles) await readXml(styles, { open: reader.openStyle });
  await readXml(content, reader);
  const blocks = await withPictures(reader.finish(), async (name, caption) => {
    const bytes = await source.picture(name.replace(/^\.\//u, ""));
    return bytes && keeper.add(bytes, { key: name, caption });
  });
  const heading = blocks.slice(0, 5).find((block) => block.type === "heading");
  const named = title ?? reader.title ?? (heading?.type === "heading" ? heading.text : undefined);
  return { blocks, ...known, ...(named !== undefined && { title: named }), ...(format === "odp" && { pages: reader.pages }) };
}
