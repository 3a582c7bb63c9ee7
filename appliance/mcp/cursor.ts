/** Pages of a list that may change between them: a cursor says after which entry to go on, so nothing is told twice or left out. */
import { ProtocolError } from "@modelcontextprotocol/server";

const pageMax = 250;

type Cursor = { readonly kind: string; readonly after: string };

/** Undefined for the first page. Fails as the protocol has it for what is no cursor of that list. */
export function cursorOf(text: string | undefined, kind: string): Cursor | undefined {
  if (text === undefined) return undefined;
  try {
    const cursor = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as Cursor;
    if (cursor.kind === kind && typeof cursor.after === "string") return cursor;
  } catch {
    // Said below.
  }
  throw new ProtocolError(-32602, "This is no cursor of this list.");
}

export function pageOf<T extends object>(
  items: readonly T[],
  { kind, idOf, cursor }: { readonly kind: string; readonly idOf: (item: never) => string; readonly cursor: Cursor | undefined },
): { readonly page: readonly T[]; readonly next: string | undefined } {
  if (items.length <= pageMax && !cursor) return { page: items, next: undefined };
  const ordered = items.toSorted((left, right) => (idOf(left as never) < idOf(right as never) ? -1 : 1));
  const rest = cursor ? ordered.filter((item) => idOf(item as never) > cursor.after) : ordered;
  const page = rest.slice(0, pageMax);
  const last = page.at(-1);
  const hasMore = rest.length > page.length && last !== undefined;
  const next = hasMore ? Buffer.from(JSON.stringify({ kind, after: idOf(last as never) })).toString("base64url") : undefined;
  return { page, next };
}
