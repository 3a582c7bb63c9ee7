import { UnreadableError } from "./unreadable.ts";

/** Bytes to text when the bytes are text at all: byte order marks, UTF-16 without one, UTF-8, and windows-1252 as the last guess. */

/** Looked at in three places of the file: a binary file with a long text header is still binary. */
const sampleBytes = 64 * 1024;
/** Text has next to no control characters; compressed or executable bytes have 10 % and more. */
const controlShareMax = 0.03;
/** Text of one language in a Latin single-byte encoding has at most one accented letter in four. */
const highShareMax = 0.3;

/**
 * The text, line ends as "\n", in NFC and well-formed; undefined when the bytes are no text. Fails with `tooManyPassages` when it
 * would have more than `charsMax` characters, before memory is spent on it.
 */
export function decodeText(bytes: Uint8Array, charsMax: number): string | undefined {
  const encoding = findEncoding(bytes);
  if (encoding === undefined) return undefined;
  if (charsAtLeast(bytes, encoding) > charsMax) throw new UnreadableError("tooManyPassages");
  const text = encoding === "utf-8" ? decodeUtf8(bytes) : new TextDecoder(encoding).decode(bytes);
  return text === undefined ? undefined : tidied(text);
}

type Encoding = "utf-8" | "utf-16le" | "utf-16be";

/** What every parser does to text from outside: NFC, no lone surrogates, no NULs, one kind of line end. */
export function tidied(text: string): string {
  let clean = text.isWellFormed() ? text : text.toWellFormed();
  if (clean.includes("\0")) clean = clean.replaceAll("\0", "");
  if (clean.includes("\r")) clean = clean.replaceAll(/\r\n?/gu, "\n");
  return clean.normalize("NFC");
}

function findEncoding(bytes: Uint8Array): Encoding | undefined {
  const [a, b] = bytes;
  if (a === 0xff && b === 0xfe) return "utf-16le";
  if (a === 0xfe && b === 0xff) return "utf-16be";
  return wideEncoding(bytes) ?? (sharesOf(bytes).control > controlShareMax ? undefined : "utf-8");
}

/** Bytes that start a character. In UTF-8 the others are 10xxxxxx; other encodings only come out shorter by this count. */
function charsAtLeast(bytes: Uint8Array, encoding: Encoding): number {
  if (encoding !== "utf-8") return bytes.length / 2;
  let chars = 0;
  for (let at = 0; at < bytes.length; at += 1) if (((bytes[at] ?? 0) & 0xc0) !== 0x80) chars += 1;
  return chars;
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return decodeBroken(bytes, sharesOf(bytes).high);
  }
}

/** Not valid UTF-8: either UTF-8 with some damage, kept with marks where it is damaged, or an older Western encoding. */
function decodeBroken(bytes: Uint8Array, highShare: number): string | undefined {
  const loose = new TextDecoder("utf-8").decode(bytes);
  const damaged = count(loose, /\uFFFD/gu);
  // oxlint-disable-next-line no-control-regex -- counting exactly the characters that are not ASCII
  const multibyte = count(loose, /[^\u0000-\u007f\uFFFD]/gu);
  if (multibyte > damaged) return loose;
  return highShare > highShareMax ? undefined : new TextDecoder("windows-1252").decode(bytes);
}

function count(text: string, pattern: RegExp): number {
  let found = 0;
  for (const _ of text.slice(0, sampleBytes * 4).matchAll(pattern)) found += 1;
  return found;
}

/** UTF-16 without a mark shows as NULs in every second byte, because most text has some ASCII. */
function wideEncoding(bytes: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  const end = Math.min(bytes.length, sampleBytes) & ~1;
  if (end < 4 || bytes.length % 2 === 1) return undefined;
  let even = 0;
  let odd = 0;
  for (let at = 0; at < end; at += 2) {
    if (bytes[at] === 0) even += 1;
    if (bytes[at + 1] === 0) odd += 1;
  }
  const pairs = end / 2;
  if (odd > pairs * 0.4 && even < pairs * 0.05) return "utf-16le";
  return even > pairs * 0.4 && odd < pairs * 0.05 ? "utf-16be" : undefined;
}

function sharesOf(bytes: Uint8Array): { control: number; high: number } {
  let control = 0;
  let high = 0;
  let seen = 0;
  const last = Math.max(0, bytes.length - sampleBytes);
  for (const start of new Set([0, last >> 1, last])) {
    const end = Math.min(bytes.length, start + sampleBytes);
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      seen += 1;
      if (byte >= 0x80) high += 1;
      else if (byte === 0x7f || (byte < 0x20 && (byte < 9 || byte > 13) && byte !== 0x1b)) control += 1;
    }
  }
  return { control: control / Math.max(1, seen), high: high / Math.max(1, seen) };
}
