/** The pipes of an attached container: one connection to the engine, taken apart into stdout and stderr. */
import { once } from "node:events";
import { PassThrough, Writable, type Duplex, type Readable } from "node:stream";

export type Attached = {
  readonly input: Writable;
  readonly output: Readable;
  readonly errors: Readable;
  /** The last bytes of stderr, to look for why it ended. */
  lastWords(): string;
  /** Cuts the connection; what was read from it already stays readable. */
  cut(): void;
};

/** What is kept of stderr that nobody reads. */
const errorsMax = 256 * 1024;
const lastWordsMax = 4096;
/** The engine puts eight bytes before each piece: the stream, three zeros, the length. */
const headerBytes = 8;
const thrownAway = "\n[what it wrote to stderr after this was thrown away]\n";

export function attached(connection: Duplex): Attached {
  const output = new PassThrough({ highWaterMark: 64 * 1024 });
  const errors = new PassThrough({ highWaterMark: errorsMax });
  let last: Buffer = Buffer.alloc(0);
  let isFull = false;

  const tell = (piece: Buffer): void => {
    last = Buffer.concat([last, piece]).subarray(-lastWordsMax);
    const held = errors.readableLength + errors.writableLength;
    const fits = held + piece.length <= errorsMax;
    if (fits) errors.write(piece);
    else if (!isFull) errors.write(thrownAway);
    isFull = !fits;
  };
  const give = async (piece: Buffer): Promise<void> => {
    // Nobody will read it any more; the program is not held up by that.
    if (output.destroyed) return;
    if (!output.write(piece)) await Promise.race([once(output, "drain"), once(output, "close")]);
  };

  const input = new Writable({
    write(chunk: Buffer, _encoding, done) {
      // An error means that nobody is there to read; `ended` says so, and writing is not where to learn it.
      if (connection.destroyed || connection.writableEnded) done();
      else connection.write(chunk, () => done());
    },
    final(done) {
      connection.end(() => done());
    },
  });
  void (async () => {
    let left: Buffer = Buffer.alloc(0);
    try {
      for await (const chunk of connection) {
        left = left.length === 0 ? (chunk as Buffer) : Buffer.concat([left, chunk as Buffer]);
        while (left.length >= headerBytes) {
          const length = left.readUInt32BE(4);
          // A long piece is passed on in parts: its end may be far away.
          const here = Math.min(length, left.length - headerBytes);
          if (here === 0 && length > 0) break;
          const stream = left[0];
          const piece = left.subarray(headerBytes, headerBytes + here);
          if (stream === 2) tell(piece);
          else await give(piece);
          left = left.subarray(headerBytes + here);
          if (here < length) left = Buffer.concat([headerOf(stream ?? 1, length - here), left]);
        }
      }
    } catch {
      // The connection broke: for whoever reads, that is its end; why it ended is told by the engine.
    }
    output.end();
    errors.end();
    input.destroy();
  })();

  input.on("error", () => undefined);
  output.on("error", () => undefined);
  errors.on("error", () => undefined);
  connection.on("error", () => undefined);
  return { input, output, errors, lastWords: () => last.toString("utf8"), cut: () => void connection.destroy() };
}

function headerOf(stream: number, length: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header[0] = stream;
  header.writeUInt32BE(length, 4);
  return header;
}
