/**
 * One page. A cursor is "after this key" or "the end", bound to its query by a fingerprint; forging one gains nothing, because the page
 * stays inside the query's own range.
 */
import { createHash } from "node:crypto";
import { afterKey, compareKeys } from "../codec/key.ts";
import { DeveloperError, type Json } from "../codec/value.ts";
import { Stream, type Query, type StreamContext } from "./stream.ts";

export type PageRequest = {
  readonly query: Query;
  readonly cursor: string | null;
  readonly endCursor: string | null;
  readonly pageSize: number;
  readonly maximumRowsRead?: number | null;
  readonly maximumBytesRead?: number | null;
};

type Position = Uint8Array | "end";
/** Far more rows than asked for were read: the page should be split. */
const rowsOverPageMax = 4;

/** JSON text of the page, and the stream for its read range. */
export function readPage(
  context: StreamContext,
  request: PageRequest,
): { readonly text: string; readonly endCursor: string; readonly stream: Stream } {
  if (request.pageSize < 1 && request.endCursor === null) throw new DeveloperError("`numItems` must be positive.");
  const fingerprint = fingerprintOf(request.query);
  const from = request.cursor === null ? undefined : parseCursor(request.cursor, fingerprint);
  const to = request.endCursor === null ? undefined : parseCursor(request.endCursor, fingerprint);
  const whole = new Stream(context, request.query);
  const { isDescending } = whole.source;
  let { lower, upper } = whole.source;
  if (from === "end") {
    if (isDescending) upper = lower;
    else lower = upper;
  } else if (from) {
    if (isDescending) upper = smaller(from, upper);
    else lower = larger(afterKey(from), lower);
  }
  if (to && to !== "end") {
    if (isDescending) lower = larger(to, lower);
    else upper = smaller(afterKey(to), upper);
  }
  const stream = new Stream(context, request.query, { lower, upper: compareKeys(lower, upper) > 0 ? lower : upper });
  stream.isSized = typeof request.maximumBytesRead === "number";
  const page: string[] = [];
  const keys: Uint8Array[] = [];
  let isCut = false;
  // Between two cursors a page has what lies there, however much that is.
  const sizeMax = to === undefined ? request.pageSize : Infinity;
  while (page.length < sizeMax) {
    const json = stream.next();
    if (json === undefined) break;
    page.push(json);
    keys.push(stream.lastKey as Uint8Array);
    if (isOver(stream.rowsRead, request.maximumRowsRead) || isOver(stream.bytesRead, request.maximumBytesRead)) {
      isCut = true;
      break;
    }
  }
  const reachedEnd = page.length < request.pageSize && !isCut && to === undefined;
  const end = endPosition(stream, { from, to, isCut, reachedEnd });
  const continueCursor = formatCursor(end, fingerprint);
  const middle = keys[Math.floor(keys.length / 2) - 1];
  const status = isCut
    ? "SplitRequired"
    : stream.rowsRead > request.pageSize * rowsOverPageMax && keys.length > 1
      ? "SplitRecommended"
      : null;
  const rest = JSON.stringify({
    isDone: end === "end",
    continueCursor,
    splitCursor: status !== null && middle ? formatCursor(middle, fingerprint) : null,
    pageStatus: status,
  });
  return { text: `{"page":[${page.join(",")}],${rest.slice(1)}`, endCursor: continueCursor, stream };
}

function endPosition(
  stream: Stream,
  { from, to, isCut, reachedEnd }: { from: Position | undefined; to: Position | undefined; isCut: boolean; reachedEnd: boolean },
): Position {
  if (to !== undefined && !isCut) return to;
  if (reachedEnd) return "end";
  return stream.lastKey ?? from ?? "end";
}

function isOver(value: number, max: number | null | undefined): boolean {
  return typeof max === "number" && value >= max;
}

function smaller(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareKeys(a, b) < 0 ? a : b;
}

function larger(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareKeys(a, b) > 0 ? a : b;
}

function fingerprintOf(query: Query): string {
  return createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 16);
}

function formatCursor(position: Position, fingerprint: string): string {
  return `${fingerprint}.${position === "end" ? "end" : Buffer.from(position).toString("base64url")}`;
}

function parseCursor(text: string, fingerprint: string): Position {
  const [of, position] = text.split(".");
  if (of !== fingerprint || position === undefined) {
    const message =
      "InvalidCursor: Tried to run a query starting from a cursor, but it looks like this cursor is from a different query.";
    const data: Json = { isConvexSystemError: true, paginationError: "InvalidCursor" };
    throw new DeveloperError(message, data);
  }
  return position === "end" ? "end" : Buffer.from(position, "base64url");
}
