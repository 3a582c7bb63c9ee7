/** What a page shows besides text: pictures, pages as they look, passages in their order, and a document's own file. */
import type { ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../convex/model/error.ts";
import type { Bytes } from "../../functions/ports/files.ts";

/** Bytes as they are sent, with what a browser may take them for. */
export type Sent = { readonly bytes: Bytes; readonly mediaType: string; readonly fileName?: string };

export type Media = {
  /** Undefined when there is no such thing. The ids are what stood in the address. */
  picture(id: string, signal: AbortSignal): Promise<Sent | undefined>;
  page(documentId: string, options: { page: number; widthMax: number }, signal: AbortSignal): Promise<Sent | undefined>;
  file(documentId: string, signal: AbortSignal): Promise<Sent | undefined>;
  passages(documentId: string, range: { from: number; to: number }, signal: AbortSignal): Promise<object>;
};

export type MediaRoute = (response: ServerResponse, signal: AbortSignal) => Promise<void>;

const pageMax = 100_000;
const widths = { min: 64, max: 2_000, usual: 1_000 } as const;
const passagesMax = 200;

/** What a GET of this address sends; undefined when it is none of ours. */
export function findMediaRoute(media: Media, path: string, query: URLSearchParams): MediaRoute | undefined {
  const [, first, id = "", last, ...rest] = path.split("/");
  if (rest.length > 0 || !/^[A-Za-z0-9_-]{1,64}$/.test(id)) return undefined;
  if (first === "pictures" && last === undefined)
    return async (response, signal) => send(response, await media.picture(id, signal), signal);
  if (first === "files" && last === undefined)
    return async (response, signal) => send(response, await media.file(id, signal), signal);
  if (first === "pages" && last !== undefined)
    return async (response, signal) => {
      const page = numberIn(last, { min: 1, max: pageMax, what: "The page" });
      const width = query.get("width");
      const widthMax = width === null ? widths.usual : numberIn(width, { ...widths, what: "The width" });
      await send(response, await media.page(id, { page, widthMax }, signal), signal);
    };
  if (first === "passages" && last === undefined)
    return async (response, signal) => {
      const from = numberIn(query.get("from") ?? "0", { min: 0, max: Number.MAX_SAFE_INTEGER, what: "The first passage" });
      const count = numberIn(query.get("count") ?? "50", { min: 1, max: passagesMax, what: "The number of passages" });
      const passages = await media.passages(id, { from, to: from + count - 1 }, signal);
      response.setHeader("Cache-Control", "no-store");
      response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(passages));
    };
  return undefined;
}

async function send(response: ServerResponse, sent: Sent | undefined, signal: AbortSignal): Promise<void> {
  if (!sent) throw new NikaError("missing", "There is no such picture, page or file.");
  const { bytes, mediaType, fileName } = sent;
  // Gone files are told by the first piece, while the answer can still say so.
  const body = bytes instanceof Uint8Array ? undefined : await begun(bytes.pieces(signal));
  response.writeHead(200, {
    "Content-Type": mediaType,
    "Content-Length": bytes instanceof Uint8Array ? bytes.length : bytes.sizeBytes,
    // What is behind an id never changes, and is nobody else's.
    "Cache-Control": "private, max-age=604800, immutable",
    // Should a browser be talked into showing it as a page of ours, it may do nothing.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    ...(fileName !== undefined && { "Content-Disposition": `attachment; filename*=UTF-8''${encodeURIComponent(fileName)}` }),
  });
  if (!body) return void response.end(bytes);
  await pipeline(body, response, { signal }).catch((error: unknown) => {
    // Who hung up misses nothing.
    if (!signal.aborted) throw error;
  });
}

/** The same pieces, once the first is there. */
async function begun(pieces: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    try {
      for (let next = first; !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  })();
}

function numberIn(text: string, { min, max, what }: { min: number; max: number; what: string }): number {
  const number = Number(text);
  if (!/^\d{1,16}$/.test(text) || number < min || number > max)
    throw new NikaError("invalid", `${what} must be a number from ${min} to ${max}.`);
  return number;
}
