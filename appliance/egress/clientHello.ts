/** The first words of TLS, in which a client says in the open whom it wants to talk to (RFC 8446, 4.1.2; RFC 6066, 3). */

export type Hello =
  | { readonly type: "more" }
  | { readonly type: "bad"; readonly reason: string }
  /** `name`: whom it asks for, in lower case. */
  | { readonly type: "hello"; readonly name: string | undefined; readonly isHidden: boolean };

const handshakeRecord = 22;
const clientHello = 1;
const recordBytesMax = 16_384;
const helloBytesMax = 64 * 1024;
const serverNameExtension = 0;
/** Encrypted client hello: the name in the open is then not the one that counts. */
const hiddenHelloExtension = 0xfe0d;

/** Reads what has come so far. A hello may be spread over records and packets. */
export function readHello(bytes: Buffer): Hello {
  const pieces: Buffer[] = [];
  let have = 0;
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== handshakeRecord) return bad("it does not begin with TLS");
    if (bytes.length < at + 5) break;
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at + 1] !== 3 || length === 0 || length > recordBytesMax) return bad("it is no TLS that we know");
    const piece = bytes.subarray(at + 5, at + 5 + length);
    pieces.push(piece);
    have += piece.length;
    at += 5 + length;
    if (have >= 4) {
      const message = Buffer.concat(pieces);
      if (message[0] !== clientHello) return bad("it does not begin with a client's hello");
      const size = message.readUIntBE(1, 3);
      if (size > helloBytesMax) return bad("its hello is too long");
      if (message.length >= 4 + size) return read(message.subarray(4, 4 + size));
    }
  }
  return bytes.length > helloBytesMax * 2 ? bad("its hello is too long") : { type: "more" };
}

const bad = (reason: string): Hello => ({ type: "bad", reason });

function read(hello: Buffer): Hello {
  try {
    const at = new Cursor(hello);
    at.skip(2 + 32);
    at.skip(at.number(1));
    at.skip(at.number(2));
    at.skip(at.number(1));
    if (at.isAtEnd) return { type: "hello", name: undefined, isHidden: false };
    const extensions = new Cursor(at.bytes(at.number(2)));
    let name: string | undefined;
    let isHidden = false;
    const seen = new Set<number>();
    while (!extensions.isAtEnd) {
      const type = extensions.number(2);
      const body = extensions.bytes(extensions.number(2));
      // Said twice, each side may believe another one.
      if (seen.has(type)) return bad("its hello says something twice");
      seen.add(type);
      if (type === hiddenHelloExtension) isHidden = true;
      if (type === serverNameExtension) name = readName(body);
    }
    return { type: "hello", name, isHidden };
  } catch {
    return bad("its hello cannot be read");
  }
}

function readName(body: Buffer): string {
  const list = new Cursor(body);
  const names = new Cursor(list.bytes(list.number(2)));
  const type = names.number(1);
  const name = names.bytes(names.number(2)).toString("latin1").toLowerCase();
  if (type !== 0 || !names.isAtEnd || !list.isAtEnd) throw new RangeError("one name, and nothing else");
  return name;
}

/** Reads forward and throws beyond the end. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(size: number): number {
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  bytes(size: number): Buffer {
    if (this.#at + size > this.#bytes.length) throw new RangeError("it ends early");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  skip(size: number): void {
    this.bytes(size);
  }
}
