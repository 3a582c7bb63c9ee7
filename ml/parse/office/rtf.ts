import type { Block, Facts } from "../block.ts";
import { withPictures, type PictureKeeper } from "../pictures.ts";
import { UnreadableError } from "../unreadable.ts";
import { RtfReader } from "./rtfReader.ts";

/** Groups in groups; writers use some ten. */
const depthMax = 1_000;
/** Pieces of text and commands: bounds what a file of braces costs. */
const tokensMax = 20_000_000;

/** A Rich Text file: paragraphs, headings by their style, lists, tables, footnotes, pictures; headers, footers and hidden text left out. */
export async function rtfBlocks(
  bytes: Uint8Array,
  keeper: PictureKeeper,
): Promise<{ blocks: Block[]; title?: string; facts?: Facts }> {
  const reader = new RtfReader();
  tokenize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), reader);
  const blocks = await withPictures(reader.finish(), async (key, caption) => {
    const hex = reader.pictures.get(key);
    return hex === undefined ? undefined : keeper.add(Buffer.from(hex, "hex"), { key, caption });
  });
  const { title, facts } = reader;
  return { blocks, ...(title !== undefined && { title }), ...(facts && { facts }) };
}

type Sink = {
  readonly open: () => void;
  readonly close: () => void;
  readonly word: (name: string, value: number | undefined) => void;
  /** One byte of a code page, written as it is or in hexadecimal. */
  readonly byte: (code: number) => void;
};

function tokenize(bytes: Buffer, sink: Sink): void {
  let depth = 0;
  let tokens = 0;
  for (let at = 0; at < bytes.length;) {
    tokens += 1;
    if (tokens > tokensMax) throw new UnreadableError("tooSlow");
    const code = bytes[at] ?? 0;
    if (code === 0x7b) {
      depth += 1;
      if (depth > depthMax) throw new UnreadableError("bomb");
      sink.open();
      at += 1;
    } else if (code === 0x7d) {
      depth -= 1;
      // What stands after the last group is no part of the text.
      if (depth < 1) return;
      sink.close();
      at += 1;
    } else if (code === 0x5c) at = command(bytes, at + 1, sink);
    else {
      if (code !== 0x0a && code !== 0x0d && code !== 0) sink.byte(code);
      at += 1;
    }
  }
}

/** Reads a command after its backslash; returns where the next token begins. */
function command(bytes: Buffer, start: number, sink: Sink): number {
  const code = bytes[start] ?? 0;
  if (code === 0x27) {
    const value = Number.parseInt(bytes.toString("latin1", start + 1, start + 3), 16);
    if (!Number.isNaN(value)) sink.byte(value);
    return start + 3;
  }
  if (!isLetter(code)) {
    sink.word(String.fromCharCode(code), undefined);
    return start + 1;
  }
  let at = start;
  while (at < start + 32 && isLetter(bytes[at] ?? 0)) at += 1;
  const name = bytes.toString("latin1", start, at);
  const digits = at;
  if (bytes[at] === 0x2d) at += 1;
  while (at < digits + 12 && isDigit(bytes[at] ?? 0)) at += 1;
  const value = at > digits ? Number(bytes.toString("latin1", digits, at)) : undefined;
  if (bytes[at] === 0x20) at += 1;
  if (name === "bin") return at + Math.max(0, value ?? 0);
  sink.word(name, Number.isFinite(value) ? value : undefined);
  return at;
}

function isLetter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a);
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
