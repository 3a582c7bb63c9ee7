import { UnreadableError } from "./unreadable.ts";

/** Attributes as written, with their prefix; `attributeOf` finds them without. */
export type Attributes = Readonly<Record<string, string>>;

/** What happens while XML is read. Names come without their namespace's prefix: office programs differ in prefixes, not in names. */
export type XmlHandler = {
  readonly open: (name: string, attributes: Attributes) => void;
  readonly close?: (name: string) => void;
  readonly text?: (text: string) => void;
};

/** Office programs nest some thirty deep. */
const depthMax = 2_000;
/** A sheet of 800,000 cells has about twice that many elements. */
const elementsMax = 6_000_000;
const sliceBytes = 1 << 16;

/**
 * Reads XML from untrusted bytes: nothing outside is looked up, no entity but the five of XML is expanded, and a document that
 * declares its own fails with `bomb`, as does one nested or filled beyond any sense. What is not well-formed is read as far as it goes.
 */
export async function readXml(bytes: Uint8Array, handler: XmlHandler): Promise<void> {
  const { Parser } = await import("htmlparser2");
  let depth = 0;
  let elements = 0;
  const parser = new Parser(
    {
      onopentag: (name, attributes) => {
        depth += 1;
        elements += 1;
        if (depth > depthMax || elements > elementsMax) throw new UnreadableError("bomb");
        handler.open(localName(name), attributes);
      },
      onclosetag: (name) => {
        depth -= 1;
        handler.close?.(localName(name));
      },
      ontext: (text) => handler.text?.(text),
      onprocessinginstruction: (_, data) => {
        if (/<!ENTITY/iu.test(data)) throw new UnreadableError("bomb");
      },
    },
    { xmlMode: true, decodeEntities: true },
  );
  const decoder = new TextDecoder(encodingOf(bytes));
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    const end = Math.min(bytes.length, at + sliceBytes);
    parser.write(decoder.decode(bytes.subarray(at, end), { stream: end < bytes.length }));
  }
  parser.end();
}

/** The value of an attribute, whatever its prefix. */
export function attributeOf(attributes: Attributes, name: string): string | undefined {
  const own = attributes[name];
  if (own !== undefined) return own;
  const end = `:${name}`;
  for (const key in attributes) if (key.endsWith(end)) return attributes[key];
  return undefined;
}

/** A number in an attribute; undefined when it is none. */
export function numberOf(attributes: Attributes, name: string): number | undefined {
  const value = Number(attributeOf(attributes, name) ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** An element with all below it, for parts that are small by nature (properties, lists of styles). */
export type XmlNode = {
  readonly name: string;
  readonly attributes: Attributes;
  readonly children: XmlNode[];
  /** The text directly in it. */
  text: string;
};

/** Parts read as a tree are refused beyond this, because a tree costs some fifty times its bytes. */
const treeBytesMax = 4 * 1024 * 1024;

/** The whole document as a tree under a nameless root. Fails with `tooLarge` beyond 4 MB. */
export async function xmlTree(bytes: Uint8Array): Promise<XmlNode> {
  if (bytes.length > treeBytesMax) throw new UnreadableError("tooLarge");
  const root: XmlNode = { name: "", attributes: {}, children: [], text: "" };
  const path: XmlNode[] = [root];
  await readXml(bytes, {
    open: (name, attributes) => {
      const node: XmlNode = { name, attributes, children: [], text: "" };
      path.at(-1)?.children.push(node);
      path.push(node);
    },
    close: () => void path.pop(),
    text: (text) => {
      const node = path.at(-1);
      if (node) node.text += text;
    },
  });
  return root;
}

/** All elements of a name below a node, in order. */
export function findAll(node: XmlNode, name: string): XmlNode[] {
  const found: XmlNode[] = [];
  const stack = [...node.children].reverse();
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (next.name === name) found.push(next);
    for (let at = next.children.length - 1; at >= 0; at -= 1) stack.push(next.children[at] as XmlNode);
  }
  return found;
}

export function find(node: XmlNode, name: string): XmlNode | undefined {
  return findAll(node, name)[0];
}

/** All text below a node, in order of the elements. */
export function textOf(node: XmlNode): string {
  return node.text + node.children.map((child) => textOf(child)).join("");
}

const locals = new Map<string, string>();

function localName(name: string): string {
  const known = locals.get(name);
  if (known !== undefined) return known;
  const local = name.slice(name.indexOf(":") + 1);
  // A hostile file can have as many names as elements.
  if (locals.size < 5_000) locals.set(name, local);
  return local;
}

function encodingOf(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  const head = Buffer.from(bytes.subarray(0, 200)).toString("latin1");
  const said = /^\s*<\?xml[^>]*encoding=["']([\w-]{1,40})["']/iu.exec(head)?.[1];
  try {
    return said === undefined ? "utf-8" : new TextDecoder(said).encoding;
  } catch {
    return "utf-8";
  }
}
