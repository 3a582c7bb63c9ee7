import type { Place } from "../../../convex/model/place.ts";
import type { Block } from "../block.ts";
import { tidied } from "../decode.ts";
import { attributeOf, find, findAll, textOf, xmlTree, type XmlNode } from "../xml.ts";
import type { OfficePackage } from "./package.ts";

const seriesMax = 50;
const pointsMax = 2_000;
/** A program may number its points with gaps. */
const placesMax = 5_000;

/**
 * The numbers a chart was drawn from, as the table they came from: the copy that office programs keep with the drawing. Nothing when it
 * holds none, or cannot be read: the document is worth reading without it.
 */
export async function chartBlocks(source: OfficePackage, target: string | undefined, place: Place): Promise<Block[]> {
  const root = await chartTree(source, target);
  if (!root) return [];
  const series = findAll(root, "ser").slice(0, seriesMax);
  const names = series.map((one, at) => pointsOf(find(one, "tx")).join(" ") || plainName(one) || `${at + 1}`);
  const labels = pointsOf(series.map((one) => find(one, "cat") ?? find(one, "xVal")).find((node) => node !== undefined));
  const values = series.map((one) => pointsOf(find(one, "val") ?? find(one, "yVal")));
  const count = Math.max(labels.length, ...values.map((list) => list.length), 0);
  if (series.length === 0 || count === 0) return [];
  const rows = Array.from({ length: count }, (_, at) => [labels[at] ?? "", ...values.map((list) => list[at] ?? "")]);
  const heading = find(root, "title");
  const caption = heading ? tidied(findAll(heading, "t").map(textOf).join("")).trim() : "";
  return [{ type: "table", columns: ["", ...names], rows, ...(caption !== "" && { caption }), place }];
}

async function chartTree(source: OfficePackage, target: string | undefined): Promise<XmlNode | undefined> {
  const bytes = target === undefined ? undefined : await source.picture(target);
  try {
    return bytes && (await xmlTree(bytes));
  } catch {
    return undefined;
  }
}

/** The cached points below a node, each at its place. */
function pointsOf(node: XmlNode | undefined): string[] {
  const found: string[] = [];
  for (const point of node ? findAll(node, "pt").slice(0, pointsMax) : []) {
    const at = Number(attributeOf(point.attributes, "idx") ?? found.length);
    if (Number.isInteger(at) && at >= 0 && at < placesMax) found[at] = tidied(textOf(point)).trim();
  }
  return Array.from(found, (text) => text ?? "");
}

/** A series may be named by words instead of by a cell. */
function plainName(series: XmlNode): string {
  const name = series.children.find((child) => child.name === "tx");
  const value = name?.children.find((child) => child.name === "v");
  return value ? tidied(textOf(value)).trim() : "";
}
