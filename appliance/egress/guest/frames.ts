/**
 * Many connections over one pipe. Both ends of it run this file, one inside a sandbox, so it imports only Node, and what comes out of
 * the pipe is taken for hostile: a frame that breaks the rules ends the pipe, and nobody can make the other end keep more than a window
 * of bytes for each connection.
 *
 * A frame is eight bytes (connection, kind, length) and its bytes.
 */
import { Duplex, type Readable, type Writable } from "node:stream";

const kinds = { open: 1, data: 2, end: 3, reset: 4, credit: 5 } as const;
const headerBytes = 8;
const dataBytesMax = 32 * 1024;
/** What may be under way in one direction of one connection before the receiver took something. */
const windowBytes = 256 * 1024;
/** Answers that nobody fetches: the other end has stopped reading, or asks only to make us answer. */
const unsentBytesMax = 24 * 1024 * 1024;

export type Mux = {
  /** A new connection. */
  open(): Duplex;
  close(): void;
};

export type MuxOptions = {
  readonly input: Readable;
  readonly output: Writable;
  /** Of connections that the other end opens. Where nobody accepts, opening breaks the rules. */
  readonly accept?: (connection: Duplex) => void;
  /** Connections that the other end may have open. One more is refused, by itself. */
  readonly openMax?: number;
  /** Told of all bytes that come in, so that they can be counted; false ends the pipe. */
  readonly mayTake?: (bytes: number) => boolean;
  /** The pipe is over; with a reason when rules were broken. */
  readonly closed?: (reason: string | undefined) => void;
};

/** Speaks frames over a pair of streams until either is over. */
export function openMux({ input, output, accept, openMax = 64, mayTake, closed }: MuxOptions): Mux {
  const connections = new Map<number, Connection>();
  let lastId = 0;
  let isClosed = false;

  function send(id: number, kind: number, bytes?: Buffer): void {
    if (isClosed || output.destroyed) return;
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32BE(id, 0);
    header.writeUInt32BE((bytes?.length ?? 0) | (kind << 24), 4);
    output.write(header);
    if (bytes) output.write(bytes);
    if (output.writableLength > unsentBytesMax) close("it does not read what it asked for");
  }

  function close(reason?: string): void {
    if (isClosed) return;
    isClosed = true;
    for (const connection of connections.values()) connection.destroy();
    connections.clear();
    input.destroy();
    output.end();
    closed?.(reason);
  }

  const make = (id: number): Connection => {
    const connection = new Connection({
      send: (kind, bytes) => send(id, kind, bytes),
      gone: () => connections.delete(id),
    });
    connections.set(id, connection);
    return connection;
  };

  /** Acts on one frame; says what is wrong with it. */
  function take(id: number, kind: number, bytes: Buffer): string | undefined {
    const connection = connections.get(id);
    if (kind === kinds.open) {
      if (!accept || id <= lastId || bytes.length > 0) return "it opened what it may not";
      lastId = id;
      if (connections.size >= openMax) send(id, kinds.reset);
      else accept(make(id));
      return undefined;
    }
    // Of a connection that is over here already, the other end may not have heard.
    if (!connection) return id <= lastId ? undefined : "it spoke of a connection that never was";
    if (kind === kinds.data) return connection.came(bytes) ? undefined : "it sent more than it may";
    if (kind === kinds.credit) {
      if (bytes.length !== 4) return "it sent a frame of no kind";
      return connection.credited(bytes.readUInt32BE(0)) ? undefined : "it gave more than it took";
    }
    if (kind === kinds.end) connection.ended();
    else connection.destroy();
    return undefined;
  }

  void (async () => {
    let left: Buffer = Buffer.alloc(0);
    try {
      for await (const chunk of input) {
        const bytes = chunk as Buffer;
        if (mayTake?.(bytes.length) === false) return close("it has used up the bytes it may send and receive");
        left = left.length === 0 ? bytes : Buffer.concat([left, bytes]);
        while (left.length >= headerBytes) {
          const [id, word] = [left.readUInt32BE(0), left.readUInt32BE(4)];
          const [kind, length] = [word >>> 24, word & 0xffffff];
          if (length > dataBytesMax || kind === 0 || kind > kinds.credit) return close("it sent what is no frame");
          if (left.length < headerBytes + length) break;
          const wrong = take(id, kind, left.subarray(headerBytes, headerBytes + length));
          if (wrong !== undefined) return close(wrong);
          left = left.subarray(headerBytes + length);
        }
      }
    } catch {
      // A pipe that broke is over, as one that ended.
    }
    close();
  })();
  output.on("error", () => close());

  return {
    open() {
      const connection = make(++lastId);
      send(lastId, kinds.open);
      return connection;
    },
    close: () => close(),
  };
}

type Ends = { readonly send: (kind: number, bytes?: Buffer) => void; readonly gone: () => void };

/** One connection over the pipe. It sends what the other end has room for, and tells it of room when what came was taken. */
class Connection extends Duplex {
  readonly #ends: Ends;
  #mayReceive = windowBytes;
  #maySend = windowBytes;
  #untold = 0;
  #waiting: (() => void) | undefined;
  #hasEnded = { here: false, there: false };

  constructor(ends: Ends) {
    super({ allowHalfOpen: true, highWaterMark: 64 * 1024 });
    this.#ends = ends;
    this.on("error", () => undefined);
  }

  came(bytes: Buffer): boolean {
    if (bytes.length > this.#mayReceive || this.#hasEnded.there) return false;
    this.#mayReceive -= bytes.length;
    this.#untold += bytes.length;
    // A copy: the frame is part of a larger buffer that would be kept with it.
    if (this.push(Buffer.from(bytes))) this.#tell();
    return true;
  }

  ended(): void {
    this.#hasEnded.there = true;
    this.push(null);
  }

  credited(bytes: number): boolean {
    this.#maySend += bytes;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
    return this.#maySend <= windowBytes;
  }

  override _read(): void {
    this.#tell();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const size = Math.min(chunk.length, this.#maySend, dataBytesMax);
    if (size > 0) {
      this.#maySend -= size;
      this.#ends.send(kinds.data, chunk.subarray(0, size));
    }
    if (size === chunk.length) done();
    else if (this.#maySend > 0) this._write(chunk.subarray(size), _encoding, done);
    else this.#waiting = () => this._write(chunk.subarray(size), _encoding, done);
  }

  override _final(done: () => void): void {
    this.#hasEnded.here = true;
    this.#ends.send(kinds.end);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#hasEnded.here || !this.#hasEnded.there) this.#ends.send(kinds.reset);
    this.#ends.gone();
    this.#waiting = undefined;
    done(error);
  }

  #tell(): void {
    if (this.#untold === 0) return;
    const credit = Buffer.alloc(4);
    credit.writeUInt32BE(this.#untold);
    this.#mayReceive += this.#untold;
    this.#untold = 0;
    this.#ends.send(kinds.credit, credit);
  }
}
