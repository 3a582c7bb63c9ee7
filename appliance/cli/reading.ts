/** Following documents until each has been read or found unreadable. */
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { Client } from "./client.ts";
import { withLive, type Watch } from "./live.ts";

export type Reading = {
  readonly ready: number;
  readonly unreadable: readonly { name: string; problem: string; message: string }[];
};

type DocumentId = Id<"documents">;
type DocumentView = FunctionReturnType<typeof api.documents.list>[number];

export type ReadOptions = { readonly signal: AbortSignal; readonly onProgress: (done: number) => void };

/** The longest list one query gives. */
const listMax = 200;
/**
 * From here on the open documents are followed by name. Before that their number is enough, and sending a long list on every change
 * would cost the machine more than the reading does.
 */
const nearEnd = 100;

/** Resolves when none of `ids` is waiting or being read. Other people's documents do not hold it up once the queue is short. */
export async function awaitRead(
  client: Client,
  ids: readonly DocumentId[],
  { signal, onProgress }: ReadOptions,
): Promise<Reading> {
  const ours = new Set<string>(ids);
  await withLive<void>(await client.live(), signal, (watch, done) => {
    let isFollowing = false;
    watch(api.documents.counts, {}, (counts) => {
      const open = counts.waiting + counts.reading;
      if (!isFollowing) onProgress(ours.size - Math.min(ours.size, open));
      if (open === 0) done();
      else if (open <= nearEnd && !isFollowing) {
        isFollowing = true;
        followOpen(watch, ours, (left) => (left === 0 ? done() : onProgress(ours.size - left)));
      }
    });
  });
  onProgress(ours.size);
  return summarise(client, ids);
}

/** Calls `onLeft` with how many of ours are open, whenever that can be told. */
function followOpen(watch: Watch, ours: ReadonlySet<string>, onLeft: (left: number) => void): void {
  const open: { waiting?: readonly DocumentView[]; reading?: readonly DocumentView[] } = {};
  let isDue = false;
  const look = (): void => {
    isDue = false;
    const { waiting, reading } = open;
    // A full list may be missing some of ours; the next change tells more.
    if (!waiting || !reading || waiting.length >= listMax || reading.length >= listMax) return;
    onLeft([...waiting, ...reading].filter(({ id }) => ours.has(id)).length);
  };
  for (const state of ["waiting", "reading"] as const)
    watch(api.documents.list, { state, limit: listMax }, (documents) => {
      open[state] = documents;
      // One transition updates both lists, one after the other; a document on its way between them must not be overlooked.
      if (!isDue) queueMicrotask(look);
      isDue = true;
    });
}

async function summarise(client: Client, ids: readonly DocumentId[]): Promise<Reading> {
  const http = await client.http();
  const listed = await http.query(api.documents.list, { state: "unreadable", limit: listMax });
  const ours = new Set<string>(ids);
  // When the list is full some of ours may have fallen off it, and each is asked for.
  const documents = listed.length < listMax ? listed : await Promise.all(ids.map((id) => http.query(api.documents.get, { id })));
  const unreadable = documents
    .filter((document) => document !== null)
    .filter(({ id, state }) => state === "unreadable" && ours.has(id))
    .map(({ name, problem }) => ({ name, problem: problem?.problem ?? "failed", message: problem?.message ?? "" }));
  return { ready: ids.length - unreadable.length, unreadable };
}
