/**
 * Files on their way in. Batch by batch: fingerprint, ask which are held already, send the others three at a time, add them. Knows no
 * browser and no React, so that it can be tested as it is.
 */
import { filesPerCallMax, type Problem } from "../../../convex/model/document.ts";
import { findProblem, planBatches, type PickedFile } from "./plan.ts";

export type UploadState =
  | { readonly type: "waiting" }
  | { readonly type: "checking" }
  | { readonly type: "sending"; readonly sentBytes: number }
  | { readonly type: "added" }
  | { readonly type: "known" }
  | { readonly type: "refused"; readonly problem: Problem }
  | { readonly type: "failed" };

export type Upload = { readonly key: number; readonly name: string; readonly sizeBytes: number; readonly state: UploadState };

/** What uploading needs from outside. */
export type UploadPort = {
  /** SHA-256 in hex; undefined where the browser cannot (a page that is not from a secure origin). */
  fingerprint(file: Blob): Promise<string | undefined>;
  /** Whether the bytes of each are held already, where this is remembered as one more name of them; 500 at most. */
  note(files: { name: string; sha256: string }[], batch: string): Promise<readonly boolean[]>;
  /** What is added from now on under the id belongs together, until it is ended. */
  begin(label: string): Promise<string>;
  end(batch: string): Promise<unknown>;
  /** Where to send bytes to; good for a whole batch. */
  uploadUrl(): Promise<string>;
  /** Sends the bytes and returns the id they are stored under. */
  send(url: string, file: Blob, onSent: (sentBytes: number) => void): Promise<string>;
  /** In the order given, whether each is new. */
  add(files: { name: string; storageId: string }[], batch: string): Promise<readonly { readonly isNew: boolean }[]>;
  /** Leaves a row that says why. */
  refuse(files: { name: string; sizeBytes: number; problem: Problem }[], batch: string): Promise<unknown>;
};

export type Uploads = {
  /** Everything since the list was last cleared, in the order it was given. The same array until something changes. */
  list(): readonly Upload[];
  onChange(listener: () => void): () => void;
  add(files: readonly PickedFile[]): void;
  /** Sends again what could not be sent. */
  retry(): void;
  /** Forgets what has ended. */
  clear(): void;
  /** Resolves when nothing is on its way. */
  settled(): Promise<void>;
};

/** Progress comes in bursts, and a folder may hold ten thousand files; nobody sees more than this. */
const announceEveryMs = 50;
/** More at once gains nothing on a phone's uplink and delays the first. */
const sendsMax = 3;

type Entry = { readonly key: number; readonly name: string; readonly sizeBytes: number; readonly file: Blob; state: UploadState };

export function openUploads(port: UploadPort): Uploads {
  let entries: Entry[] = [];
  let shown: readonly Upload[] = [];
  let nextKey = 0;
  let work = Promise.resolve();
  const listeners = new Set<() => void>();

  let isStale = false;
  let isAnnounced = false;
  const announce = (): void => {
    isAnnounced = false;
    for (const listener of listeners) listener();
  };
  const publish = (): void => {
    isStale = true;
    if (isAnnounced) return;
    isAnnounced = true;
    setTimeout(announce, announceEveryMs);
  };
  const move = (moved: readonly Entry[], state: UploadState): void => {
    for (const entry of moved) entry.state = state;
    publish();
  };
  const start = (started: readonly Entry[]): void => {
    work = work.then(() => run(started, port, move));
  };

  return {
    list() {
      if (isStale) shown = entries.map(({ key, name, sizeBytes, state }) => ({ key, name, sizeBytes, state }));
      isStale = false;
      return shown;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    add(files) {
      const added = files.map(({ name, file }): Entry => ({
        key: nextKey++,
        name,
        sizeBytes: file.size,
        file,
        state: { type: "waiting" },
      }));
      // A finished list makes room for the next; one still at work is continued.
      entries = [...(entries.every(isEnded) ? [] : entries), ...added];
      publish();
      start(added);
    },
    retry() {
      const failed = entries.filter(({ state }) => state.type === "failed");
      move(failed, { type: "waiting" });
      start(failed);
    },
    clear() {
      entries = entries.filter((entry) => !isEnded(entry));
      publish();
    },
    settled: () => work,
  };
}

export function isEnded({ state }: { readonly state: UploadState }): boolean {
  return state.type !== "waiting" && state.type !== "checking" && state.type !== "sending";
}

type Move = (entries: readonly Entry[], state: UploadState) => void;

/** One handful of files on its way: what the appliance knows it as, and how its files fare. */
type Run = { readonly port: UploadPort; readonly move: Move; readonly batch: string };

/** Never throws: what goes wrong is the state of the files it went wrong for. */
async function run(entries: readonly Entry[], port: UploadPort, move: Move): Promise<void> {
  const good: Entry[] = [];
  const bad: { entry: Entry; problem: Problem }[] = [];
  for (const entry of entries) {
    const problem = findProblem(entry.sizeBytes);
    if (problem) bad.push({ entry, problem });
    else good.push(entry);
  }
  const [first] = entries;
  if (!first) return;
  const batch = await port.begin(labelOf(entries)).catch(() => undefined);
  if (batch === undefined) {
    move(good, { type: "failed" });
    for (const { entry, problem } of bad) move([entry], { type: "refused", problem });
    return;
  }
  for (let at = 0; at < bad.length; at += filesPerCallMax)
    await refuse(bad.slice(at, at + filesPerCallMax), { port, move, batch });
  for (const some of planBatches(good)) await sendBatch(some, { port, move, batch });
  await port.end(batch).catch(() => undefined);
}

/** The folder they all came in, or the first file and how many more. */
function labelOf(entries: readonly Entry[]): string {
  const [first] = entries;
  const folders = new Set(entries.map(({ name }) => (name.includes("/") ? name.slice(0, name.indexOf("/")) : "")));
  const [folder] = folders;
  if (folders.size === 1 && folder) return folder;
  return entries.length > 1 ? `${first?.name} +${entries.length - 1}` : (first?.name ?? "");
}

async function sendBatch(some: readonly Entry[], { port, move, batch }: Run): Promise<void> {
  try {
    move(some, { type: "checking" });
    const fresh = await withoutKnown(some, { port, move, batch });
    if (fresh.length === 0) return;
    const url = await port.uploadUrl();
    const sent: { entry: Entry; storageId: string }[] = [];
    const queue = [...fresh];
    const lane = async (): Promise<void> => {
      for (let entry = queue.shift(); entry; entry = queue.shift()) {
        const storageId = await sendOne(entry, url, { port, move });
        if (storageId !== undefined) sent.push({ entry, storageId });
      }
    };
    await Promise.all(Array.from({ length: sendsMax }, lane));
    if (sent.length === 0) return;
    const added = await port.add(
      sent.map(({ entry, storageId }) => ({ name: entry.name, storageId })),
      batch,
    );
    for (const [index, { entry }] of sent.entries()) move([entry], { type: added[index]?.isNew === false ? "known" : "added" });
  } catch {
    // The connection, or the appliance: nothing of this batch was acknowledged, and sending it again doubles nothing.
    move(
      some.filter((entry) => !isEnded(entry)),
      { type: "failed" },
    );
  }
}

/** Tells apart, without sending a byte, what is held already. */
async function withoutKnown(some: readonly Entry[], { port, move, batch }: Run): Promise<Entry[]> {
  const fingerprints = new Map<Entry, string | undefined>();
  const unreadable: { entry: Entry; problem: Problem }[] = [];
  for (const entry of some) {
    try {
      fingerprints.set(entry, await port.fingerprint(entry.file));
    } catch (error) {
      unreadable.push({ entry, problem: problemOfReading(error) });
    }
  }
  if (unreadable.length > 0) await refuse(unreadable, { port, move, batch });
  const readable = [...fingerprints.keys()];
  const asked = readable.flatMap((entry) => {
    const sha256 = fingerprints.get(entry);
    return sha256 === undefined ? [] : [{ entry, sha256 }];
  });
  const noted =
    asked.length === 0
      ? []
      : await port.note(
          asked.map(({ entry, sha256 }) => ({ name: entry.name, sha256 })),
          batch,
        );
  const held = new Set(asked.filter((_, at) => noted[at]).map(({ entry }) => entry));
  move([...held], { type: "known" });
  return readable.filter((entry) => !held.has(entry));
}

async function sendOne(entry: Entry, url: string, { port, move }: { port: UploadPort; move: Move }): Promise<string | undefined> {
  try {
    move([entry], { type: "sending", sentBytes: 0 });
    return await port.send(url, entry.file, (sentBytes) => move([entry], { type: "sending", sentBytes }));
  } catch {
    move([entry], { type: "failed" });
    return undefined;
  }
}

async function refuse(refused: readonly { entry: Entry; problem: Problem }[], { port, move, batch }: Run): Promise<void> {
  try {
    await port.refuse(
      refused.map(({ entry, problem }) => ({ name: entry.name, sizeBytes: entry.sizeBytes, problem })),
      batch,
    );
  } catch {
    // The row that would say why could not be left; the page still says it.
  }
  for (const { entry, problem } of refused) move([entry], { type: "refused", problem });
}

/** Names from the File API standard: what was there when picked may be gone or locked when read. */
function problemOfReading(error: unknown): Problem {
  const name = error instanceof Error ? error.name : "";
  if (name === "NotFoundError") return "vanished";
  return name === "NotReadableError" || name === "SecurityError" ? "noPermission" : "failed";
}
