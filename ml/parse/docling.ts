/** Docling's own document format (JSON) as blocks. The service may be wrong or worse, so nothing in it is taken for granted. */
import type { Format } from "../../convex/model/document.ts";
import type { Box, Place } from "../../convex/model/place.ts";
import type { Block, ParsedDocument } from "./block.ts";
import { UnreadableError } from "./unreadable.ts";

const itemsMax = 100_000;
const cellsMax = 200_000;
const depthMax = 30;

type Json = Readonly<Record<string, unknown>>;
type Sizes = ReadonlyMap<number, { readonly width: number; readonly height: number }>;

/** Fails with `UnreadableError` when it is no such document or says nothing. */
export function doclingDocument(json: Uint8Array, name: string): ParsedDocument {
  let root: Json;
  try {
    root = asObject(JSON.parse(new TextDecoder().decode(json)));
  } catch (cause) {
    throw new UnreadableError("damaged", { cause });
  }
  const sizes: Sizes = new Map(
    Object.entries(asObject(root["pages"])).map(([number, page]) => {
      const size = asObject(asObject(page)["size"]);
      return [Number(number), { width: Number(size["width"]) || 1, height: Number(size["height"]) || 1 }];
    }),
  );
  const blocks: Block[] = [];
  walk(root, asObject(root["body"]), { blocks, sizes, seen: new Set(), depth: 0 });
  const joined = joinItems(blocks);
  if (joined.length === 0) throw new UnreadableError("noText");
  const title = joined.find((block) => block.type === "heading")?.text;
  const pages = sizes.size;
  return {
    format: formatOf(asObject(root["origin"])["mimetype"]),
    title: (title ?? name.split(/[/\\]/u).at(-1) ?? name).slice(0, 200),
    blocks: joined,
    ...(pages > 0 && { pages }),
  };
}

type Walk = { readonly blocks: Block[]; readonly sizes: Sizes; readonly seen: Set<string>; readonly depth: number };

function walk(root: Json, node: Json, { blocks, sizes, seen, depth }: Walk): void {
  if (depth > depthMax) return;
  for (const child of asArray(node["children"])) {
    const ref = asObject(child)["$ref"];
    if (typeof ref !== "string" || seen.has(ref) || seen.size >= itemsMax) continue;
    seen.add(ref);
    const item = resolve(root, ref);
    if (!item) continue;
    const block = toBlock(root, item, sizes);
    if (block) blocks.push(block);
    walk(root, item, { blocks, sizes, seen, depth: depth + 1 });
  }
}

/** "#/texts/3": only own members of the lists are reached. */
function resolve(root: Json, ref: string): Json | undefined {
  const found = /^#\/(texts|tables|pictures|groups)\/(\d{1,6})$/u.exec(ref);
  const item = found && asArray(root[found[1] ?? ""])[Number(found[2])];
  return item === undefined || item === null ? undefined : asObject(item);
}

function toBlock(root: Json, item: Json, sizes: Sizes): Block | undefined {
  const place = placeOf(item, sizes);
  const text = textOf(item["text"]);
  switch (item["label"]) {
    case "title":
      return text === "" ? undefined : { type: "heading", level: 1, text, place };
    case "section_header":
      return text === "" ? undefined : { type: "heading", level: Math.min(6, (Number(item["level"]) || 1) + 1), text, place };
    case "list_item":
      return text === ""
        ? undefined
        : { type: "list", isOrdered: item["enumerated"] === true, items: [{ text, depth: 0 }], place };
    case "code":
    case "formula":
      return text === "" ? undefined : { type: "code", text, place };
    case "footnote":
      return text === "" ? undefined : { type: "footnote", text, place };
    case "page_header":
    case "page_footer":
    case "caption":
      // Captions are told with what they name.
      return undefined;
    case "table":
    case "document_index":
      return toTable(item, captionOf(root, item), place);
    case "picture":
    case "chart": {
      const caption = captionOf(root, item);
      return caption === undefined ? undefined : { type: "figure", caption, place };
    }
    default:
      return text === "" ? undefined : { type: "paragraph", text, place };
  }
}

function toTable(item: Json, caption: string | undefined, place: Place): Block | undefined {
  const grid = asArray(asObject(item["data"])["grid"]).map((row) => asArray(row).map(asObject));
  const width = Math.max(0, ...grid.slice(0, 5_000).map((row) => row.length));
  if (grid.length === 0 || width === 0 || grid.length * width > cellsMax) return undefined;
  const cells = grid.map((row) => Array.from({ length: width }, (_, at) => textOf(row[at]?.["text"])));
  const isHeader = (grid[0] ?? []).some((cell) => cell["column_header"] === true);
  const columns = isHeader ? (cells[0] ?? []) : Array.from({ length: width }, () => "");
  return { type: "table", columns, rows: isHeader ? cells.slice(1) : cells, place, ...(caption !== undefined && { caption }) };
}

function captionOf(root: Json, item: Json): string | undefined {
  const texts = asArray(item["captions"]).flatMap((caption) => {
    const ref = asObject(caption)["$ref"];
    const text = typeof ref === "string" ? resolve(root, ref)?.["text"] : undefined;
    return typeof text === "string" ? [text.trim()] : [];
  });
  return texts.length === 0 ? undefined : texts.join(" ");
}

function placeOf(item: Json, sizes: Sizes): Place {
  const prov = asObject(asArray(item["prov"])[0]);
  const page = Number(prov["page_no"]);
  const size = sizes.get(page);
  if (!Number.isInteger(page) || page < 1) return {};
  const box = size && boxOf(asObject(prov["bbox"]), size);
  return { page, ...(box && { box }) };
}

function boxOf(bbox: Json, { width, height }: { width: number; height: number }): Box | undefined {
  const [l, t, r, b] = [bbox["l"], bbox["t"], bbox["r"], bbox["b"]].map(Number) as [number, number, number, number];
  if (![l, t, r, b].every(Number.isFinite)) return undefined;
  const isFromBottom = bbox["coord_origin"] !== "TOPLEFT";
  const [top, bottom] = isFromBottom ? [height - Math.max(t, b), height - Math.min(t, b)] : [Math.min(t, b), Math.max(t, b)];
  const within = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * 10_000) / 10_000;
  const left = within(Math.min(l, r) / width);
  return {
    left,
    top: within(top / height),
    width: within(Math.max(l, r) / width) - left,
    height: within(bottom / height) - within(top / height),
  };
}

/** Items that follow one another on a page are one list. */
function joinItems(blocks: readonly Block[]): Block[] {
  const joined: Block[] = [];
  for (const block of blocks) {
    const last = joined.at(-1);
    if (
      block.type === "list" &&
      last?.type === "list" &&
      last.isOrdered === block.isOrdered &&
      last.place.page === block.place.page
    )
      joined[joined.length - 1] = { ...last, items: [...last.items, ...block.items] };
    else joined.push(block);
  }
  return joined;
}

function formatOf(mimetype: unknown): Format {
  return typeof mimetype === "string" && mimetype.startsWith("image/") ? "image" : "pdf";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.trim() : "";
}

function asObject(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
