/** A document's passages in their order, fetched a page at a time. */
import { useCallback, useEffect, useState } from "react";
import type { Place } from "../../convex/model/place.ts";
import { fetchToken } from "./session/session.ts";

export type ShownPassage = {
  readonly ordinal: number;
  readonly text: string;
  readonly place: Place;
  readonly kind?: string;
};

const perFetch = 20;

export type Passages = {
  readonly passages: readonly ShownPassage[];
  /** Present while there may be more. */
  readonly more: (() => void) | undefined;
};

/** From `from` on. `total` as the document says. */
export function usePassages(documentId: string, { from, total }: { from: number; total: number }): Passages {
  const [passages, setPassages] = useState<readonly ShownPassage[]>([]);
  const [wanted, setWanted] = useState(perFetch);
  const next = from + passages.length;
  const isDue = passages.length < wanted && next < total;

  useEffect(() => {
    if (!isDue) return;
    const gone = new AbortController();
    void fetchPassages(documentId, next, gone.signal)
      .then((found) => {
        if (gone.signal.aborted) return;
        // Fewer than promised: the document is being replaced or forgotten.
        if (found.length === 0) setWanted(0);
        else setPassages((held) => [...held, ...found]);
      })
      .catch(() => gone.signal.aborted || setWanted(0));
    return () => gone.abort();
  }, [documentId, next, isDue]);

  const more = useCallback(() => setWanted((many) => many + perFetch), []);
  return { passages, more: next < total && !isDue ? more : undefined };
}

async function fetchPassages(documentId: string, from: number, signal: AbortSignal): Promise<readonly ShownPassage[]> {
  const token = (await fetchToken({ forceRefresh: false })) ?? "";
  const response = await fetch(`/passages/${documentId}?from=${from}&count=${perFetch}`, {
    headers: { Authorization: `Bearer ${token}` },
    signal,
  });
  if (!response.ok) throw new Error(`passages answered ${response.status}`);
  return ((await response.json()) as { passages: readonly ShownPassage[] }).passages;
}
