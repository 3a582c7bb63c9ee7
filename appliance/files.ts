/** Files as the control plane's storage hands them out: over HTTP, or from the disk where it is this process that keeps them. */
import { createReadStream } from "node:fs";
import { isNikaError, NikaError } from "../convex/model/error.ts";
import type { FileBytes, Files } from "../functions/ports/files.ts";
import type { Engine } from "./engine/engine.ts";

/** Files are read from the disk so much at a time. */
const pieceBytes = 128 * 1024;

const octets = "application/octet-stream";

type Near = Pick<Engine, "findFile" | "keepFile">;

export type StorageOptions = {
  /** Where this process reaches the storage; the URLs name where browsers do, which may be another address. */
  readonly convexUrl: string;
  /** The engine, where it runs in this process: what it keeps is read and written without a socket between. */
  readonly near?: Near | undefined;
};

export function storageFiles({ convexUrl, near }: StorageOptions): Files {
  const open = async (url: string, request: RequestInit & { signal: AbortSignal }): Promise<Response> => {
    const { pathname, search } = new URL(url);
    try {
      return await fetch(`${convexUrl}${pathname}${search}`, request);
    } catch (error) {
      if (request.signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
      throw new NikaError("unavailable", "The file storage does not answer.", { cause: error });
    }
  };
  const get = async (url: string, { bytesMax, signal }: Limits): Promise<Response> => {
    const response = await open(url, { signal });
    if (response.status === 404) throw gone();
    if (!response.ok) throw new NikaError("unavailable", `The file storage answered with status ${response.status}.`);
    // Checked before a byte is taken in, and again while they come: a header is a claim.
    if (claimed(response) > bytesMax) {
      await response.body?.cancel();
      throw tooLarge(bytesMax);
    }
    return response;
  };
  const fetched = async (url: string, limits: Limits): Promise<Found> => {
    const response = await get(url, limits);
    return { sizeBytes: claimed(response), pieces: checked((response.body ?? []) as AsyncIterable<Uint8Array>, limits) };
  };
  const find = near ? (url: string, limits: Limits) => findNear(near, url, limits) : fetched;
  return {
    async read(url, limits) {
      const { pieces, sizeBytes } = await find(url, limits);
      return collect(pieces, sizeBytes);
    },
    open: (url, { sizeBytes }): FileBytes => ({
      sizeBytes,
      async *pieces(signal) {
        yield* (await find(url, { bytesMax: sizeBytes, signal })).pieces;
      },
    }),
    write: near ? writeNear(near) : writeFar(open),
  };
}

type Open = (url: string, request: RequestInit & { signal: AbortSignal }) => Promise<Response>;

function writeFar(open: Open): Files["write"] {
  return async (url, bytes, { signal }) => {
    const headers = { "content-type": octets };
    // A storage elsewhere wants to know the length beforehand, and fetch tells it only of bytes that are at hand.
    const body = bytes instanceof Uint8Array ? bytes : await collect(bytes.pieces(signal), bytes.sizeBytes);
    const response = await open(url, { method: "POST", headers, body: body as Uint8Array<ArrayBuffer>, signal });
    if (response.status === 507) throw full();
    if (!response.ok) throw new NikaError("unavailable", `The file storage answered with status ${response.status}.`);
    return ((await response.json()) as { storageId: string }).storageId;
  };
}

function writeNear(engine: Near): Files["write"] {
  return async (_url, bytes, { signal }) => {
    if (signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
    const source = bytes instanceof Uint8Array ? [bytes] : bytes.pieces(signal);
    return engine.keepFile(source, { contentType: octets }).catch((error: unknown) => {
      if (signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
      if (isNikaError(error)) throw error.code === "full" ? full() : error;
      throw new NikaError("unavailable", "The file storage did not keep a file.", { cause: error });
    });
  };
}

type Limits = { readonly bytesMax: number; readonly signal: AbortSignal };

const claimed = (response: Response): number => Number(response.headers.get("content-length") ?? 0);

type Found = { readonly sizeBytes: number; readonly pieces: AsyncIterable<Uint8Array> };

async function findNear(engine: Near, url: string, limits: Limits): Promise<Found> {
  const { pathname } = new URL(url);
  const found = await engine.findFile(pathname.slice(pathname.lastIndexOf("/") + 1));
  if (!found) throw gone();
  if (found.sizeBytes > limits.bytesMax) throw tooLarge(limits.bytesMax);
  const { path, sizeBytes } = found;
  return { sizeBytes, pieces: checked(createReadStream(path, { highWaterMark: pieceBytes, signal: limits.signal }), limits) };
}

async function* checked(source: AsyncIterable<Uint8Array>, { bytesMax, signal }: Limits): AsyncGenerator<Uint8Array> {
  let length = 0;
  try {
    for await (const piece of source) {
      length += piece.length;
      if (length > bytesMax) throw tooLarge(bytesMax);
      yield piece;
    }
  } catch (error) {
    if (isNikaError(error)) throw error;
    if (signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
    if (error instanceof Error && "code" in error && error.code === "ENOENT") throw gone();
    throw new NikaError("unavailable", "The file storage broke off in the middle of a file.", { cause: error });
  }
}

async function collect(source: AsyncIterable<Uint8Array>, expected: number): Promise<Uint8Array> {
  let bytes = new Uint8Array(expected || 64 * 1024);
  let length = 0;
  for await (const piece of source) {
    if (length + piece.length > bytes.length) {
      const larger = new Uint8Array(Math.max(bytes.length * 2, length + piece.length));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(piece, length);
    length += piece.length;
  }
  return bytes.subarray(0, length);
}

const full = (): NikaError => new NikaError("full", "There is no room left on Nika's disk; free some.");

const gone = (): NikaError => new NikaError("missing", "The file is gone from the storage.");

function tooLarge(bytesMax: number): NikaError {
  return new NikaError("full", `The file is larger than ${Math.floor(bytesMax / 1024 / 1024)} MB.`);
}
