import type { Passing } from "./passing.ts";

/** The line before each mail: who it came from and when (RFC 4155). */
const separator = /^From \S+[^\n]{0,200}\d\d:\d\d(?::\d\d)?[^\n]{0,40}\r?\n[A-Za-z][A-Za-z0-9-]{0,60}:/u;

/** Two mails and more, or one in a file that is called a mail box. */
export function isMbox(bytes: Uint8Array, name: string): boolean {
  if (bytes[0] !== 0x46 || bytes[1] !== 0x72) return false;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!separator.test(buffer.toString("latin1", 0, 600))) return false;
  return /\.mbox?$/iu.test(name) || nextStart(buffer, 1) !== -1;
}

/** Each mail as a file of its own, numbered as it stands. */
export async function* mboxEntries(bytes: Uint8Array): AsyncGenerator<Passing> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let number = 0;
  for (let start = 0; start !== -1 && start < buffer.length;) {
    const next = nextStart(buffer, start + 1);
    const mail = buffer.subarray(afterLine(buffer, start), next === -1 ? buffer.length : next);
    number += 1;
    const name = `${String(number).padStart(5, "0")}.eml`;
    yield { name, sizeBytes: mail.length, read: async () => unquoted(mail) };
    start = next;
  }
}

/** Where the next mail's separator begins: a line after an empty one that looks like nothing else. */
function nextStart(buffer: Buffer, from: number): number {
  for (let at = buffer.indexOf("\nFrom ", from); at !== -1; at = buffer.indexOf("\nFrom ", at + 1)) {
    const isAfterEmpty = buffer[at - 1] === 0x0a || (buffer[at - 1] === 0x0d && buffer[at - 2] === 0x0a);
    if (isAfterEmpty && separator.test(buffer.toString("latin1", at + 1, at + 601))) return at + 1;
  }
  return -1;
}

function afterLine(buffer: Buffer, start: number): number {
  const end = buffer.indexOf(0x0a, start);
  return end === -1 ? buffer.length : end + 1;
}

/** Lines of the text that began with "From " were given a mark when they were stored. */
function unquoted(mail: Buffer): Uint8Array {
  if (!mail.includes("\n>From ")) return new Uint8Array(mail);
  return new Uint8Array(Buffer.from(mail.toString("latin1").replaceAll(/^>(>*From )/gmu, "$1"), "latin1"));
}
