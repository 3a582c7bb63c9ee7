/**
 * Handing files over: skip what Nika has, send the rest, record what cannot be read. In small rounds, each acknowledged before the next
 * begins, so that an interruption loses at most one round of uploads and nothing that was said to be handed over.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { filesPerCallMax, type DocumentState, type Problem } from "../../convex/model/document.ts";
import { problemOf, sizeProblem, type FoundFile, type FoundProblem } from "./walk.ts";

export type Added = { readonly id: string; readonly name: string; readonly state: DocumentState; readonly isNew: boolean };
export type Refused = { readonly name: string; readonly sizeBytes: number; readonly problem: Problem };

/** A file with the hash of its bytes. */
export type Hashed = { readonly file: FoundFile; readonly sha256: string };

/** What handing over needs from the appliance. */
export type Vault = {
  /** Whether the bytes of each are held already; where they are, this file is remembered as another name of them. */
  note(files: Hashed[]): Promise<readonly boolean[]>;
  /** Streams the bytes; the id of the stored blob. Fails with a system error when the file cannot be read after all. */
  upload(path: Buffer): Promise<string>;
  add(files: { file: FoundFile; storageId: string }[]): Promise<readonly Added[]>;
  refuse(files: Refused[]): Promise<unknown>;
};

/** What has been handed over so far, `known` and `refused` by name. Filled as it happens, so that it is true after an interruption too. */
export type Tally = { added: Added[]; known: string[]; refused: Refused[] };

/** Enough to keep a disk and a loopback connection busy without holding many files in memory. */
const inFlightMax = 4;

export type HandOverOptions = {
  readonly vault: Vault;
  readonly tally: Tally;
  readonly signal: AbortSignal;
  /** Called after each round with how many of the files are dealt with. */
  readonly onProgress: (done: number) => void;
};

/** Returns early, with what was uploaded acknowledged, once `signal` fires. Throws when the appliance refuses or goes away. */
export async function handOver(found: readonly (FoundFile | FoundProblem)[], options: HandOverOptions): Promise<void> {
  const inThisRun = new Set<string>();
  for (let from = 0; from < found.length && !options.signal.aborted; from += filesPerCallMax) {
    const round = found.slice(from, from + filesPerCallMax);
    await handOverRound(round, inThisRun, options);
    options.onProgress(Math.min(found.length, from + filesPerCallMax));
  }
}

async function handOverRound(
  round: readonly (FoundFile | FoundProblem)[],
  inThisRun: Set<string>,
  { vault, tally, signal }: HandOverOptions,
): Promise<void> {
  const refused: Refused[] = [];
  const refuse = ({ name, sizeBytes }: FoundFile | FoundProblem, problem: Problem): void =>
    void refused.push({ name, sizeBytes, problem });
  for (const entry of round) if (entry.type === "problem") refuse(entry, entry.problem);

  const files = round.filter((entry) => entry.type === "file");
  const digests = await inParallel(files, signal, (file) => digest(file.path));
  const fresh: Hashed[] = [];
  const copies: Hashed[] = [];
  for (const [index, file] of files.entries()) {
    const result = digests[index];
    if (result === undefined) continue; // Interrupted before its turn.
    if ("problem" in result) refuse(file, result.problem);
    else if (inThisRun.has(result.sha256)) copies.push({ file, sha256: result.sha256 });
    else fresh.push({ file, sha256: result.sha256 });
    if ("sha256" in result) inThisRun.add(result.sha256);
  }
  const isKnown = fresh.length > 0 ? await vault.note(fresh) : [];
  const missing = fresh.filter((_, index) => !isKnown[index]).map(({ file }) => file);
  tally.known.push(...fresh.filter((_, index) => isKnown[index]).map(({ file }) => file.name));

  const uploads = await inParallel(missing, signal, (file) => uploadOrProblem(vault, file));
  const sent: { file: FoundFile; storageId: string }[] = [];
  for (const [index, file] of missing.entries()) {
    const result = uploads[index];
    if (result === undefined) continue;
    if ("problem" in result) refuse(file, result.problem);
    else sent.push({ file, storageId: result.storageId });
  }
  if (sent.length > 0) {
    const added = await vault.add(sent);
    // Not new but open again: a document whose reading had failed and is tried once more.
    const isOpen = ({ isNew, state }: Added): boolean => isNew || state === "waiting" || state === "reading";
    tally.added.push(...added.filter(isOpen));
    tally.known.push(...added.filter((one) => !isOpen(one)).map(({ name }) => name));
  }
  if (copies.length > 0 && !signal.aborted) {
    // Their bytes went along with another file of this run, so by now they are known.
    const isNoted = await vault.note(copies);
    tally.known.push(...copies.filter((_, index) => isNoted[index]).map(({ file }) => file.name));
  }
  if (refused.length > 0) {
    await vault.refuse(refused);
    tally.refused.push(...refused);
  }
}

async function uploadOrProblem(vault: Vault, file: FoundFile): Promise<{ storageId: string } | { problem: Problem }> {
  try {
    return { storageId: await vault.upload(file.path) };
  } catch (error) {
    if (!isReadFailure(error)) throw error;
    return { problem: "vanished" };
  }
}

/** The file could not be read to its end: it changed or went away between hashing and sending. Not a fault of the connection. */
function isReadFailure(error: unknown): boolean {
  const cause = (error as Error | undefined)?.cause ?? error;
  return [error, cause].some(
    (one) => one instanceof Error && (one.name === "NotReadableError" || ("syscall" in one && one.syscall === "open")),
  );
}

/**
 * The SHA-256 of a file, in hex, read as a stream. Opened without waiting, so that a pipe put in a file's place cannot hold us, and judged
 * again once open: what was found a moment ago may have changed.
 */
export async function digest(path: string | Buffer): Promise<{ sha256: string } | { problem: Problem }> {
  try {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const info = await handle.stat();
    const problem = info.isFile() ? sizeProblem(info.size) : "notAFile";
    if (problem) return { problem };
    const hash = createHash("sha256");
    let sizeBytes = 0;
    for await (const chunk of handle.createReadStream({ highWaterMark: 256 * 1024, autoClose: false }) as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeProblem(sizeBytes) !== undefined) return { problem: "tooLarge" };
      hash.update(chunk);
    }
    return sizeBytes === 0 ? { problem: "empty" } : { sha256: hash.digest("hex") };
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

/** Results in order; entries whose turn had not come when `signal` fired are undefined. The first failure stops the rest. */
async function inParallel<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T) => Promise<R>,
): Promise<(R | undefined)[]> {
  const results: (R | undefined)[] = items.map(() => undefined);
  let next = 0;
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    while (next < items.length && !signal.aborted && !hasFailed) {
      const index = next++;
      try {
        results[index] = await work(items[index] as T);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlightMax, items.length) }, lane));
  return results;
}
