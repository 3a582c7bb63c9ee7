/** Following documents until each has been read or found unreadable. */
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { toDocumentName } from "../../convex/model/document.ts";
import type { Client } from "./client.ts";
import { withLive, type Watch } from "./live.ts";

export type Reading = {
  readonly ready: number;
  readonly unreadable: readonly { name: string; problem: string; message: string }[];
};

type DocumentId = Id<"documents">;
type DocumentView = FunctionReturnType<typeof api.documents.list>[number];

export type ReadOptions = {
  readonly ids: readonly DocumentId[];
  /** Of files that were known already, whose ids we were not told; they may still be waiting from an earlier run. */
  readonly names: readonly string[];
  readonly signal: AbortSignal;
  readonly onProgress: (done: number) => void;
};

/** The longest list one query gives. */
const listMax = 200;
/**
 * From here on the open documents are followed by name. Before that their number is enough, and sending a long list on every change
 * would cost the machine more than the reading does.
 */
const nearEnd = 100;

/** Resolves when none of ours is waiting or being read. Other people's documents do not hold it up once the queue is short. */
export async function awaitRead(client: Client, { ids, names, signal, onProgress }: ReadOptions): Promise<Reading> {
  const ours = new Set<string>([...ids, ...names.map(toDocumentName)]);
  const total = ids.length + names.length;
  const isOurs = ({ id, name }: DocumentView): boolean => ours.has(id) || ours.has(name);
  await withLive<void>(await client.live(), signal, (watch, done) => {
    let isFollowing = false;
    watch(api.documents.counts, {}, (counts) => {
      const open = counts.waiting + counts.reading;
      if (!isFollowing) onProgress(total - Math.min(total, open));
      if (open === 0) done();
      else if (open <= nearEnd && !isFollowing) {
        isFollowing = true;
        followOpen(watch, isOurs, (left) => (left === 0 ? done() : onProgress(total - left)));
      }
    });
  });
  onProgress(total);
  return summarise(client, ids);
}

/** Calls `onLeft` with how many of ours are open, whenever that can be told. */
function followOpen(watch: Watch, isOurs: (document: DocumentView) => boolean, onLeft: (left: number) => void): void {
  const open: { waiting?: readonly DocumentView[]; reading?: readonly DocumentView[] } = {};
  let isDue = false;
  const look = (): void => {
    isDue = false;
    const { waiting, reading } = open;
    // A full list may be missing some of ours; the next change tells more.
    if (!waiting || !reading || waiting.length >= listMax || reading.length >= listMax) return;
    onLeft([...waiting, ...reading].filter(isOurs).length);
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
