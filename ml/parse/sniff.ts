import type { Format } from "../../convex/model/document.ts";
import { UnreadableError } from "./unreadable.ts";
import { codeLanguageOf } from "./code.ts";
import { findDelimiter, type Delimiter } from "./csv.ts";
import { looksLikeJsonl } from "./json.ts";

/** What the bytes are, as far as their beginning tells. */
export type BinaryKind = "pdf" | "zip" | "ole" | "rtf" | "image" | "packed" | "other";

/** Types that are surely not text. Offsets in bytes. Only what would otherwise pass for text, or what a person may well drop in. */
const signatures: readonly { kind: BinaryKind; at: number; bytes: readonly number[] }[] = [
  { kind: "zip", at: 0, bytes: [0x50, 0x4b, 3, 4] },
  { kind: "zip", at: 0, bytes: [0x50, 0x4b, 5, 6] },
  { kind: "zip", at: 0, bytes: [0x50, 0x4b, 7, 8] },
  { kind: "ole", at: 0, bytes: [0xd0, 0xcf, 0x11, 0xe0] },
  { kind: "image", at: 0, bytes: [0x89, 0x50, 0x4e, 0x47] }, // png
  { kind: "image", at: 0, bytes: [0xff, 0xd8, 0xff] }, // jpeg
  { kind: "image", at: 0, bytes: [0x47, 0x49, 0x46, 0x38] }, // gif
  { kind: "image", at: 8, bytes: [0x57, 0x45, 0x42, 0x50] }, // webp, in a RIFF
  { kind: "other", at: 0, bytes: [0x52, 0x49, 0x46, 0x46] }, // wav, avi
  { kind: "image", at: 0, bytes: [0x49, 0x49, 0x2a, 0] }, // tiff
  { kind: "image", at: 0, bytes: [0x4d, 0x4d, 0, 0x2a] }, // tiff
  { kind: "other", at: 0, bytes: [0x7f, 0x45, 0x4c, 0x46] }, // elf
  { kind: "other", at: 0, bytes: [0x4d, 0x5a, 0x90] }, // exe
  { kind: "other", at: 0, bytes: [0xcf, 0xfa, 0xed, 0xfe] }, // mach-o
  { kind: "image", at: 4, bytes: ascii("ftypheic") },
  { kind: "image", at: 4, bytes: ascii("ftypheix") },
  { kind: "image", at: 4, bytes: ascii("ftypmif1") },
  { kind: "image", at: 4, bytes: ascii("ftypmsf1") },
  { kind: "image", at: 4, bytes: ascii("ftypavif") },
  { kind: "other", at: 4, bytes: [0x66, 0x74, 0x79, 0x70] }, // mp4, mov
  { kind: "other", at: 0, bytes: [0x49, 0x44, 0x33] }, // mp3
  { kind: "other", at: 0, bytes: [0x4f, 0x67, 0x67, 0x53] }, // ogg
  { kind: "other", at: 0, bytes: [0x66, 0x4c, 0x61, 0x43] }, // flac
  { kind: "other", at: 0, bytes: [0x1a, 0x45, 0xdf, 0xa3] }, // mkv, webm
  { kind: "other", at: 0, bytes: [0x1f, 0x8b] }, // gzip
  { kind: "packed", at: 0, bytes: [0x42, 0x5a, 0x68] }, // bzip2
  { kind: "packed", at: 0, bytes: [0xfd, 0x37, 0x7a, 0x58] }, // xz
  { kind: "packed", at: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd] }, // zstd
  { kind: "packed", at: 0, bytes: [0x37, 0x7a, 0xbc, 0xaf] }, // 7z
  { kind: "packed", at: 0, bytes: [0x52, 0x61, 0x72, 0x21] }, // rar
  { kind: "other", at: 0, bytes: [0x53, 0x51, 0x4c, 0x69, 0x74, 0x65] }, // sqlite
  { kind: "other", at: 0, bytes: [0, 0x61, 0x73, 0x6d] }, // wasm
  { kind: "rtf", at: 0, bytes: [0x7b, 0x5c, 0x72, 0x74, 0x66] }, // text to the eye, code to the reader
  { kind: "other", at: 0, bytes: [0x25, 0x21, 0x50, 0x53] }, // postscript
];

function ascii(text: string): number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Undefined when nothing known is there, which is true of all text. */
export function sniffBinary(bytes: Uint8Array): BinaryKind | undefined {
  // Some writers put a line or two before the mark of a PDF; readers look through the first kilobyte, and so do we.
  if (indexOfAscii(bytes.subarray(0, 1024), "%PDF-") !== -1) return "pdf";
  return signatures.find((signature) => signature.bytes.every((byte, at) => bytes[signature.at + at] === byte))?.kind;
}

/** Photographs of telephones, which not every build of the image library can decode; AVIF, of the same family, each can. */
export function isHeic(bytes: Uint8Array): boolean {
  const brands = Buffer.from(bytes.subarray(4, 40)).toString("latin1");
  return /^ftyp(?:hei[cxms]|hev[cx])/u.test(brands) || (/^ftypm[is]f1/u.test(brands) && /hei[cxms]|hev[cx]/u.test(brands));
}

/** Position of ASCII text in bytes, or -1. */
export function indexOfAscii(bytes: Uint8Array, text: string): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(text, 0, "latin1");
}

export type TextKind =
  | Extract<Format, "text" | "markdown" | "html" | "json" | "jsonl" | "eml" | "ipynb" | "vcf" | "ics">
  | { readonly format: "csv"; readonly delimiter: Delimiter }
  | { readonly format: "code"; readonly language: string };

/** The type of a text by what is in it. `name` decides only where the content leaves it open. */
export function sniffText(text: string, name: string): TextKind {
  const head = text.slice(0, 16_384).trimStart();
  if (head === "") throw new UnreadableError("empty");
  const extension = /\.([a-z0-9]{1,8})$/iu.exec(name)?.[1]?.toLowerCase() ?? "";
  if (/^BEGIN:VCALENDAR\b/iu.test(head)) return "ics";
  if (/^BEGIN:VCARD\b/iu.test(head)) return "vcf";
  if (isMail(head)) return "eml";
  const language = codeLanguageOf(text, name);
  // A page may hold more than a page: a component, a template. Its name says so.
  if (language !== undefined && /^(?:php|vue|svelte)$/u.test(language)) return { format: "code", language };
  if (isHtml(head, extension)) return "html";
  const isNamedJsonl = extension === "jsonl" || extension === "ndjson";
  if (/^[{[]/u.test(head) || isNamedJsonl) {
    if (looksLikeJsonl(text, isNamedJsonl ? 1 : 2)) return "jsonl";
    if (isNotebook(text, extension)) return "ipynb";
    if (/^[{[]/u.test(head) && /^[{[]\s*(?:["{[\]}\d-]|true|false|null)/u.test(head)) return "json";
  }
  if (language !== undefined) return { format: "code", language };
  const isNamedTable = extension === "csv" || extension === "tsv";
  const score = markdownScore(head);
  const isNamedMarkdown = extension === "md" || extension === "markdown";
  if (score >= 3 || (isNamedMarkdown && !isNamedTable)) return "markdown";
  const delimiter = findDelimiter(text, isNamedTable ? 1 : 3);
  if (delimiter && (isNamedTable || isPlainlyTabular(head, delimiter))) return { format: "csv", delimiter };
  return score >= 2 && extension !== "txt" && extension !== "log" ? "markdown" : "text";
}

/** A notebook says which version of its format it is, at the end more often than at the beginning. */
function isNotebook(text: string, extension: string): boolean {
  if (extension !== "ipynb" && !/"cell_type"\s*:/u.test(text.slice(0, 200_000))) return false;
  return /"nbformat"\s*:\s*\d/u.test(text.slice(0, 20_000)) || /"nbformat"\s*:\s*\d/u.test(text.slice(-20_000));
}

const mailHeaders =
  /^(?:from|to|cc|subject|date|message-id|mime-version|received|return-path|content-type|delivered-to|reply-to|x-[a-z-]+):/imu;

/** A block of header lines with a sender and at least two more that only mails have. */
function isMail(head: string): boolean {
  const block = head.split(/\n\s*\n/u, 1)[0] ?? "";
  if (!/^(?:From |[A-Za-z][A-Za-z0-9-]{0,60}:[ \t])/u.test(block)) return false;
  const lines = block.split("\n").filter((line) => !/^[ \t]/u.test(line));
  const known = new Set(lines.map((line) => mailHeaders.exec(line)?.[0].toLowerCase()).filter((header) => header !== undefined));
  const others = lines.filter((line) => !/^(?:From |[A-Za-z][A-Za-z0-9-]{0,60}:)/u.test(line)).length;
  return (known.has("from:") || known.has("received:")) && known.size >= 3 && others <= lines.length * 0.1;
}

const htmlTag =
  /<\/?(?:html|head|body|div|p|span|table|tr|td|ul|ol|li|h[1-6]|a|script|style|br|section|article|header|footer|main|img|form|meta|title)\b[^<>]*>/giu;

function isHtml(head: string, extension: string): boolean {
  if (/^(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]{0,2000}?-->\s*)*<(?:!doctype\s+html|html)\b/iu.test(head)) return true;
  const tags = head.match(htmlTag)?.length ?? 0;
  const isNamed = extension === "html" || extension === "htm" || extension === "xhtml";
  if (isNamed) return tags >= 1;
  return head.startsWith("<") && tags >= 4 && tags * 150 > head.length && extension !== "md";
}

/** How many of the marks of Markdown the text shows, each kind once, headings and fences twice. */
function markdownScore(head: string): number {
  let score = 0;
  const headings = head.match(/^#{1,6} \S/gmu)?.length ?? 0;
  if (headings > 0) score += 1;
  if (headings > 1 && /^#{2,6} \S/mu.test(head)) score += 1;
  if (/^(?:```|~~~)[\w-]*$[\s\S]*?^(?:```|~~~)\s*$/mu.test(head)) score += 2;
  if (/\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)/u.test(head)) score += 1;
  if (/^\|?[ \t]*:?-{3,}:?[ \t]*\|[-| :\t]*$/mu.test(head)) score += 2;
  if (/(?:^|\s)\*\*\S[^*\n]{0,200}\*\*/u.test(head)) score += 1;
  if (/^[^\n]{3,80}\n(?:={3,}|-{3,})$/mu.test(head)) score += 1;
  return score;
}

/** Prose has commas too; a table that nobody named as one must have short cells. */
function isPlainlyTabular(head: string, delimiter: Delimiter): boolean {
  const lines = head.split("\n", 20).filter((line) => line.trim() !== "");
  const cells = lines.flatMap((line) => line.split(delimiter));
  const meanChars = cells.reduce((sum, cell) => sum + cell.length, 0) / Math.max(1, cells.length);
  const ended = lines.filter((line) => /[.!?]["'”’»)]*\s*$/u.test(line)).length;
  return meanChars < 40 && ended < lines.length / 2 && lines.every((line) => !/[.!?]\s+\p{Lu}/u.test(line));
}
