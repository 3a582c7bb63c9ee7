/** What a Word document says once for many paragraphs: its styles, and how its lists count. */
import { attributeOf, numberOf, readXml } from "../xml.ts";

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

type RawStyle = {
  name: string;
  basedOn?: string | undefined;
  outline?: number | undefined;
  numId?: string | undefined;
  depth?: number | undefined;
};

export async function readStyles(bytes: Uint8Array | undefined): Promise<DocxStyles> {
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

export async function readNumbering(bytes: Uint8Array | undefined): Promise<DocxNumbering> {
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
