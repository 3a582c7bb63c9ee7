/** `nika ingest`: hands over files and folders, and on request waits until they have been read. */
import { realpath } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { ConvexHttpClient } from "convex/browser";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { problemMessages } from "../../convex/model/document.ts";
import { NikaError } from "../../convex/model/error.ts";
import { handOver, type Tally, type Vault } from "../folder/handOver.ts";
import { uploadFile } from "../folder/upload.ts";
import { keyOf, walk, type Found, type FoundFile, type FoundProblem, type FoundSkipped } from "../folder/walk.ts";
import { awaitBatch, heldOf, nextStepsOf } from "./batches.ts";
import type { Client } from "./client.ts";
import { interrupted } from "./live.ts";
import { openProgress } from "./progress.ts";
import { awaitRead, type Reading } from "./reading.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, sizeOf } from "./text.ts";

export type IngestOptions = {
  readonly wait: boolean;
  readonly json: boolean;
  /** Whether it waits for the owner's word before it counts; undefined leaves that to the owner's setting. */
  readonly review?: boolean | undefined;
  /** Follow the folders from now on. */
  readonly watch?: boolean;
  readonly signal: AbortSignal;
};

/** What came of it; with --json this is the output. Absent counts were not waited for. */
export type Ingested = {
  /** What the files were handed in as; absent when there were none. */
  readonly batch?: string;
  readonly found: number;
  readonly added: readonly { id: string; name: string }[];
  /** Files whose bytes Nika held already, under this name or another. */
  readonly known: number;
  readonly skipped: readonly { name: string; why: FoundSkipped["why"] }[];
  readonly ready?: number;
  /** Read, and waiting for the owner's word. */
  readonly held?: number;
  readonly unreadable: readonly { name: string; problem: string; message: string }[];
  readonly isInterrupted: boolean;
};

/** Lists of problems and of left-out folders are cut here; --json and `nika documents` have them all. */
const linesMax = 20;

export async function runIngest(
  terminal: Terminal,
  client: Client,
  paths: readonly string[],
  options: IngestOptions,
): Promise<Ingested> {
  const found = await findAll(paths, options.signal);
  const entries = found.filter((entry) => entry.type !== "skipped");
  const skipped = found.filter((entry) => entry.type === "skipped");
  if (!options.json) announce(terminal, entries, skipped);
  const tally: Tally = { added: [], known: [], refused: [] };
  let reading: Reading | undefined;
  let batchId: Id<"batches"> | undefined;
  try {
    if (options.watch) await watchFolders(terminal, client, paths, options);
    batchId = entries.length === 0 ? undefined : await openBatch(client, paths, options.review);
    const handing = { terminal, client, tally, options, batchId };
    try {
      await sendAll(entries, handing);
    } finally {
      if (batchId) await (await client.http()).mutation(api.batches.close, { id: batchId });
    }
    if (options.wait) reading = await waitFor(handing);
  } catch (error) {
    if (!(error instanceof NikaError && error.code === "cancelled")) {
      if (!options.json) terminal.note(handedOverSentence(tally));
      throw error;
    }
  }
  const held = batchId && reading ? await heldOf(client, batchId) : 0;
  const result = toResult({
    held,
    batchId,
    found: entries.length,
    tally,
    skipped,
    reading,
    isInterrupted: options.signal.aborted,
  });
  if (options.json) terminal.json(result);
  else {
    for (const line of summaryLines(result)) terminal.line(line);
    if (batchId && held > 0) for (const line of await nextStepsOf(client, batchId)) terminal.line(line);
  }
  if (options.signal.aborted) throw new NikaError("cancelled", `${interrupted().message} ${handedOverSentence(tally)}`);
  return result;
}

async function openBatch(client: Client, paths: readonly string[], review: boolean | undefined): Promise<Id<"batches">> {
  const names = paths.map((path) => basename(resolve(path)));
  const label = names.length > 3 ? `${names.slice(0, 3).join(", ")} +${names.length - 3}` : names.join(", ");
  const http = await client.http();
  return http.mutation(api.batches.open, {
    label: label || "/",
    origin: "command",
    ...(review !== undefined && { isReviewed: review }),
  });
}

async function watchFolders(
  terminal: Terminal,
  client: Client,
  paths: readonly string[],
  { review, json }: IngestOptions,
): Promise<void> {
  const http = await client.http();
  for (const given of paths) {
    const path = await realpath(given);
    await http.mutation(api.watches.add, { path, ...(review !== undefined && { isReviewed: review }) });
    if (!json) terminal.note(`Watching ${oneLine(path)} from now on; \`nika watch list\` shows it.`);
  }
}

async function findAll(paths: readonly string[], signal: AbortSignal): Promise<Found[]> {
  const found: Found[] = [];
  for (const path of paths)
    for await (const entry of walk(path)) {
      if (signal.aborted) throw interrupted();
      found.push(entry);
    }
  return found;
}

function announce(terminal: Terminal, entries: readonly (FoundFile | FoundProblem)[], skipped: readonly FoundSkipped[]): void {
  const sizeBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  terminal.note(`Found ${countOf(entries.length, "file")} (${sizeOf(sizeBytes)}).`);
  const left = { hidden: "hidden", tooling: "made by tools", outside: "links to folders elsewhere" } as const;
  for (const [why, words] of Object.entries(left)) {
    const names = skipped.filter((entry) => entry.why === why).map(({ name }) => oneLine(name));
    if (names.length === 0) continue;
    const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
    terminal.note(`Left out, ${words}: ${names.slice(0, 3).join(", ")}${more}.`);
  }
}

type Handing = {
  readonly terminal: Terminal;
  readonly client: Client;
  readonly tally: Tally;
  readonly options: IngestOptions;
  readonly batchId: Id<"batches"> | undefined;
};

async function sendAll(
  entries: readonly (FoundFile | FoundProblem)[],
  { terminal, client, tally, options: { json, signal }, batchId }: Handing,
): Promise<void> {
  const vault = openVault(client, batchId);
  const progress = await openProgress({ terminal, label: "Handed over", total: entries.length, isQuiet: json });
  try {
    await handOver(entries, { vault, tally, signal, onProgress: (done) => progress.update(done) });
  } finally {
    progress.stop();
  }
}

async function waitFor({ terminal, client, tally, options: { json, signal }, batchId }: Handing): Promise<Reading> {
  const ids = tally.added.map(({ id }) => id as Id<"documents">);
  const total = ids.length + tally.known.length;
  if (total === 0) return { ready: 0, unreadable: [] };
  const progress = await openProgress({ terminal, label: "Read", total, isQuiet: json });
  try {
    if (batchId) await awaitBatch(client, batchId, { signal, progress });
    return await awaitRead(client, { ids, names: tally.known, signal, onProgress: () => {} });
  } finally {
    progress.stop();
  }
}

/** Owner tokens and upload addresses are good for an hour; new ones are asked for well before that. */
const sessionMs = 50 * 60_000;

type Session = { readonly until: number; readonly http: Promise<ConvexHttpClient>; uploadUrl?: Promise<string> };

function openVault(client: Client, batchId: Id<"batches"> | undefined): Vault {
  const batch = batchId ? { batchId } : {};
  const told = ({ name, path }: FoundFile) => ({ name, key: keyOf(path) });
  let current: Session | undefined;
  const session = (): Session => {
    if (current === undefined || current.until < Date.now()) current = { until: Date.now() + sessionMs, http: client.http() };
    return current;
  };
  const uploadUrl = (): Promise<string> => {
    const now = session();
    return (now.uploadUrl ??= now.http.then((http) => newUploadUrl(http, client)));
  };
  return {
    note: async (files) => {
      const noted = files.map(({ file, sha256 }) => ({ ...told(file), sha256 }));
      return (await session().http).mutation(api.documents.note, { files: noted, ...batch });
    },
    add: async (files) => {
      const added = files.map(({ file, storageId }) => ({ ...told(file), storageId: storageId as Id<"_storage"> }));
      return (await session().http).mutation(api.documents.add, { files: added, ...batch });
    },
    refuse: async (files) => (await session().http).mutation(api.documents.refuse, { files, ...batch }),
    upload: async (path) => uploadFile(await uploadUrl(), path),
  };
}

/** The address is made for browsers; we send to the same place by the way we came. */
async function newUploadUrl(http: ConvexHttpClient, client: Client): Promise<string> {
  const { pathname, search } = new URL(await http.mutation(api.documents.uploadUrl, {}));
  return new URL(pathname + search, await client.convexUrl()).href;
}

type Outcome = {
  readonly held: number;
  readonly batchId: Id<"batches"> | undefined;
  readonly found: number;
  readonly tally: Tally;
  readonly skipped: readonly FoundSkipped[];
  readonly reading: Reading | undefined;
  readonly isInterrupted: boolean;
};

function toResult({ held, batchId, found, tally, skipped, reading, isInterrupted }: Outcome): Ingested {
  const refused = tally.refused.map(({ name, problem }) => ({ name, problem, message: problemMessages[problem] }));
  return {
    ...(batchId && { batch: batchId }),
    found,
    added: tally.added.map(({ id, name }) => ({ id, name })),
    known: tally.known.length,
    skipped: skipped.map(({ name, why }) => ({ name, why })),
    ...(reading && { ready: Math.max(0, reading.ready - held) }),
    ...(held > 0 && { held }),
    unreadable: [...refused, ...(reading?.unreadable ?? [])],
    isInterrupted,
  };
}

/** The closing lines for a person. */
export function summaryLines(result: Ingested): string[] {
  const done = result.ready ?? result.added.length;
  const counts = [
    done > 0 ? `${countOf(done, "document")} ${result.ready === undefined ? "handed over" : "ready"}` : "",
    result.held ? `${countOf(result.held, "document")} read` : "",
    result.known > 0 ? `${result.known.toLocaleString("en-US")} already known` : "",
    result.unreadable.length > 0 ? `${result.unreadable.length.toLocaleString("en-US")} unreadable` : "",
  ].filter((part) => part !== "");
  const problems = result.unreadable.slice(0, linesMax).map(({ name, message }) => `  ${oneLine(name)}: ${oneLine(message)}`);
  const rest = result.unreadable.length - problems.length;
  return [
    counts.length > 0 ? `${counts.join(", ")}.` : "Nothing was handed over.",
    ...problems,
    ...(rest > 0 ? [`  and ${rest.toLocaleString("en-US")} more; \`nika documents --state unreadable\` lists them.`] : []),
    ...(result.ready === undefined && result.added.length > 0 && !result.isInterrupted
      ? ["Nika is reading them now; `nika batches` shows how far it is."]
      : []),
  ];
}

function handedOverSentence(tally: Tally): string {
  return `${countOf(tally.added.length, "document")} handed over so far; Nika reads on without you, and running this again continues.`;
}
