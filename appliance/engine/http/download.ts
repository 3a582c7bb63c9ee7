/** Stored files by their secret URL. Served so that a stored page cannot act as one of ours. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../../convex/model/error.ts";
import type { Core } from "../core.ts";
import type { StoredFile } from "../model/file.ts";
import { parseRange } from "./range.ts";

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Types that browsers show without running anything. Everything else is offered for saving. */
const shownTypes = /^(?:image\/(?!svg)|audio\/|video\/|text\/plain\b|application\/pdf\b|application\/json\b)/;

export async function download(core: Core, request: IncomingMessage, response: ServerResponse, uuid: string): Promise<void> {
  if (!uuidForm.test(uuid)) throw new NikaError("invalid", "This is not the address of a stored file.");
  const file = await core.findFile(uuid);
  if (!file) throw new NikaError("missing", "There is no such file.");
  const path = core.filePath(file.sha256);
  const { size } = await stat(path);
  setHeaders(response, file);
  const etag = `"${file.sha256}"`;
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304).end();
    return;
  }
  const isSameFile = request.headers["if-range"] === undefined || request.headers["if-range"] === etag;
  const range = parseRange(isSameFile ? request.headers.range : undefined, size);
  if (range.type === "unsatisfiable") {
    response.writeHead(416, { "Content-Range": `bytes */${size}` }).end();
    return;
  }
  const [first, last] = range.type === "part" ? [range.first, range.last] : [0, size - 1];
  response.setHeader("Content-Length", last - first + 1);
  if (range.type === "part") response.setHeader("Content-Range", `bytes ${first}-${last}/${size}`);
  else response.setHeader("Digest", `sha-256=${Buffer.from(file.sha256, "hex").toString("base64")}`);
  response.writeHead(range.type === "part" ? 206 : 200);
  if (request.method === "HEAD" || last < first) response.end();
  else await pipeline(createReadStream(path, { start: first, end: last }), response);
}

function setHeaders(response: ServerResponse, { contentType, sha256 }: StoredFile): void {
  const type = contentType ?? "application/octet-stream";
  response.setHeader("Content-Type", type);
  response.setHeader("Accept-Ranges", "bytes");
  response.setHeader("ETag", `"${sha256}"`);
  // Content under a URL never changes; the URL ends with the file.
  response.setHeader("Cache-Control", "private, max-age=2592000");
  response.setHeader(
    "Content-Security-Policy",
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'",
  );
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Content-Disposition", shownTypes.test(type.toLowerCase()) ? "inline" : "attachment");
}
