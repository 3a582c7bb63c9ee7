/**
 * Copies a registry, page by page. What was copied stays when a page fails: the next try goes on from the last whole page, and a later pass
 * asks only for what changed. Registries ask to be copied about once an hour rather than asked live.
 */
import { NikaError } from "../../../convex/model/error.ts";
import type { RegistryClient } from "./mcpRegistry.ts";
import type { Shelf } from "./shelf.ts";

export type MirrorOptions = {
  readonly source: string;
  readonly client: RegistryClient;
  readonly shelf: Shelf;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Servers seen in this pass so far. */
  readonly progress?: (seen: number) => void;
};
export type Mirrored = { readonly seen: number; readonly pages: number; readonly isWhole: boolean };

const pagesMax = 3_000;
/** Their clock is not ours, and what changed while a pass ran must not be missed. */
const overlapMs = 5 * 60_000;

/** One pass. Fails as the client does; what was copied before stays. */
export async function mirrorRegistry({ source, client, shelf, signal, now, progress }: MirrorOptions): Promise<Mirrored> {
  const mark = shelf.mark(source);
  const startedAt = mark.cursor === undefined ? now() : (mark.startedAt ?? now());
  const { since } = mark;
  let { cursor } = mark;
  let [seen, pages] = [0, 0];
  for (;;) {
    signal.throwIfAborted();
    const page = await client.page({ cursor, since }, signal).catch((error: unknown) => {
      // A cursor that means nothing any more: the next pass begins anew instead of failing for ever.
      if (cursor !== undefined && error instanceof NikaError && error.code === "invalid")
        shelf.put(source, [], { cursor: undefined, startedAt: undefined, since });
      throw error;
    });
    if (page.nextCursor !== undefined && page.nextCursor === cursor)
      throw new NikaError("unavailable", `The registry "${source}" goes round in circles.`);
    if (++pages > pagesMax) throw new NikaError("full", `The registry "${source}" has no end.`);
    seen += page.entries.length;
    const isLast = page.nextCursor === undefined;
    cursor = page.nextCursor;
    shelf.put(
      source,
      page.entries,
      isLast ? { cursor: undefined, startedAt: undefined, since: startedAt - overlapMs } : { cursor, startedAt, since },
    );
    progress?.(seen);
    if (isLast) return { seen, pages, isWhole: since === undefined };
  }
}
