/**
 * What happened, in a file that only grows: each line carries the hash of the one before it, so that a line changed, taken out or moved is found.
 * Cutting off the end cannot be seen in the file alone; a signed head beside it tells, and the control plane knows the last number and hash.
 */
import { hash as digest } from "node:crypto";
import {
  closeSync,
  createReadStream,
  fdatasync,
  ftruncateSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NikaError } from "../../../convex/model/error.ts";
import { hasSigningKey, openHeadKeeper, readSignedHead, type Head, type SignedHead } from "./signedHead.ts";

export type LedgerEvent = Readonly<Record<string, unknown>> & { readonly type: string };
export type Entry = LedgerEvent & { readonly seq: number; readonly at: number; readonly prev: string; readonly hash: string };
/** Written when the log did not reach as far as it once did; `accepted` when the owner knows why. */
export const brokenType = "logBroken";
export const acceptedType = "logBreakAccepted";

export type Ledger = {
  append(event: LedgerEvent): Entry;
  readonly head: () => Head;
  /** Somebody else remembers this head: when the log does not reach that far, that is written down. */
  expect(known: Head, who: string): void;
  onEntry(listener: (entry: Entry) => void): () => void;
  close(): Promise<void>;
};

const nothing = "0".repeat(64);
const fileBytesMax = 64 * 1024 * 1024;
const syncMs = 1_000;
const signMs = 5_000;
const tailBytes = 256 * 1024;
const nameOf = (number: number): string => `events-${String(number).padStart(6, "0")}.jsonl`;
const isOurs = (name: string): boolean => /^events-\d{6}\.jsonl$/.test(name);

const hashOf = (prev: string, body: string): string => digest("sha256", prev + body);

export type LedgerOptions = {
  readonly now: () => number;
  readonly log: (line: string) => void;
  /** Where the key lies that signs how far it reaches; nothing is signed when absent. */
  readonly keysDir?: string;
};

/** Goes on where the last life ended. A last line that was only half written is taken off: nobody was told that it was kept. */
export function openLedger(dir: string, { now, log, keysDir }: LedgerOptions): Ledger {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  let number = Number(filesIn(dir).at(-1)?.slice(7, 13) ?? 1);
  let file = openSync(join(dir, nameOf(number)), "a+", 0o600);
  let sizeBytes = fstatSync(file).size;
  let head = mend();
  const startedFrom = head;
  let isDirty = false;
  const listeners = new Set<(entry: Entry) => void>();
  const keeper = keysDir === undefined ? undefined : openHeadKeeper(dir, keysDir);
  const first = head.seq;
  let signedAt = 0;
  let signing: Promise<void> = Promise.resolve();
  const timer = setInterval(sync, syncMs).unref();

  function mend(): Head {
    const tail = Buffer.alloc(Math.min(tailBytes, sizeBytes));
    readSync(file, tail, 0, tail.length, sizeBytes - tail.length);
    const end = tail.lastIndexOf(0x0a);
    const torn = tail.length - 1 - end;
    if (torn > 0 && tail.length > 0) {
      sizeBytes -= torn;
      ftruncateSync(file, sizeBytes);
      log(`mcp: the last line of ${nameOf(number)} was cut off and is gone`);
    }
    const line = tail.subarray(tail.lastIndexOf(0x0a, end - 1) + 1, Math.max(0, end)).toString("utf8");
    if (line !== "") {
      const { seq, hash } = JSON.parse(line) as Head;
      return { seq, hash };
    }
    const before = number > 1 ? readLast(join(dir, nameOf(number - 1))) : undefined;
    return before ?? { seq: 0, hash: nothing };
  }

  /** All of it or nothing. */
  function write(line: string): void {
    const bytes = Buffer.from(line);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(file, bytes, written);
      sizeBytes += written;
    } catch (error) {
      if (written > 0) ftruncateSync(file, sizeBytes);
      throw error;
    }
  }

  function sync(): void {
    if (!isDirty) return;
    isDirty = false;
    const reached = head;
    fdatasync(file, (error) => {
      if (error) log(`mcp: events could not be synced (${error.message})`);
      else if (now() - signedAt >= signMs) void signHead(reached);
    });
  }

  /** Only what is on disk is signed, so that a power cut is not taken for somebody's doing. */
  function signHead(reached: Head): Promise<void> {
    if (!keeper) return signing;
    signedAt = now();
    signing = signing
      .then(() => keeper.write(reached, now()))
      .catch((error: unknown) => log(`mcp: the head of the log could not be signed (${String(error)})`));
    return signing;
  }

  function missed(why: string, was: number): void {
    log(`mcp: ${why}`);
    ledger.append({ type: brokenType, was, why, by: "nika" });
  }

  function expect({ seq, hash }: Head, who: string): void {
    if (seq > first) missed(`${who} says that there were ${seq} events, and ${first} were here.`, seq);
    else if (seq === first && hash !== startedFrom.hash) missed(`${who} says that event ${seq} was another one.`, seq);
  }

  const ledger: Ledger = {
    append(event) {
      const at = now();
      const seq = head.seq + 1;
      const prev = head.hash;
      const body = JSON.stringify({ seq, at, prev, ...event });
      const hash = hashOf(prev, body);
      const line = `${body.slice(0, -1)},"hash":"${hash}"}\n`;
      try {
        write(line);
        head = { seq, hash };
        isDirty = true;
      } catch (error) {
        // A full disk: the call was made all the same, and the chain goes on without a gap.
        log(`mcp: an event could not be written (${error instanceof Error ? error.message : String(error)})`);
      }
      if (sizeBytes > fileBytesMax) {
        closeSync(file);
        file = openSync(join(dir, nameOf(++number)), "a+", 0o600);
        sizeBytes = 0;
      }
      const entry = { ...event, seq, at, prev, hash };
      for (const listener of listeners) listener(entry);
      return entry;
    },
    head: () => head,
    expect,
    onEntry(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      clearInterval(timer);
      return new Promise((done) => {
        fdatasync(file, (error) => {
          closeSync(file);
          void (error ? signing : signHead(head)).then(done);
        });
      });
    },
  };
  const signed = keeper?.read();
  if (signed) expect(signed, "The signed head");
  else if (signed === false) missed("The signed head of the log is not one of ours.", 0);
  // From the first moment on there is one.
  else if (keeper?.hasSigned === false) keeper.writeFirst(head, now());
  else if (keeper) missed("The signed head of the log is gone.", 0);
  return ledger;
}

function readLast(path: string): Head | undefined {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const tail = Buffer.alloc(Math.min(tailBytes, size));
    readSync(file, tail, 0, tail.length, size - tail.length);
    const lines = tail.toString("utf8").trimEnd().split("\n");
    const { seq, hash } = JSON.parse(lines.at(-1) ?? "{}") as Head;
    return { seq, hash };
  } finally {
    closeSync(file);
  }
}

function filesIn(dir: string): string[] {
  try {
    return readdirSync(dir).filter(isOurs).toSorted();
  } catch {
    return [];
  }
}

export type Verdict = {
  readonly events: number;
  readonly head: Head;
  readonly signed?: SignedHead;
  readonly problem: string | undefined;
};

/**
 * Reads all of it. `heads` are as others remember them: what is kept must reach at least as far, and be the same there. With `keysDir` the signed
 * head is one of them.
 */
export async function verifyLedger(dir: string, heads: readonly Head[] = [], keysDir?: string): Promise<Verdict> {
  let head: Head = { seq: 0, hash: nothing };
  // Taken before reading: events may be added meanwhile.
  const signed = keysDir === undefined ? undefined : readSignedHead(dir, keysDir);
  const expected = [...heads, ...(signed ? [signed] : [])];
  const hashes = new Map<number, string>();
  let broken: string | undefined;
  for (const name of filesIn(dir)) {
    let number = 0;
    for await (const line of createInterface({ input: createReadStream(join(dir, name)), crlfDelay: Infinity })) {
      number += 1;
      const place = `${name}, line ${number}`;
      const [, body, hash] = /^(.*),"hash":"([0-9a-f]{64})"\}$/.exec(line) ?? [];
      const wrong = (why: string): Verdict => ({ events: head.seq, head, problem: `${place}: ${why}` });
      if (body === undefined || hash === undefined) return wrong("this is no event.");
      let entry: Entry;
      try {
        entry = JSON.parse(line) as Entry;
      } catch {
        return wrong("this is no event.");
      }
      if (entry.seq !== head.seq + 1) return wrong(`number ${head.seq + 1} should stand here, not ${entry.seq}.`);
      if (entry.prev !== head.hash) return wrong("it does not follow from the event before it.");
      if (hashOf(entry.prev, `${body}}`) !== hash) return wrong("it was changed after it was written.");
      head = { seq: entry.seq, hash };
      if (expected.some(({ seq }) => seq === entry.seq)) hashes.set(entry.seq, hash);
      if (entry.type === brokenType) broken ??= `${place}: ${String(entry["why"])}`;
      else if (entry.type === acceptedType) broken = undefined;
    }
  }
  const verdict = { events: head.seq, head, ...(signed && { signed }) };
  const longest = Math.max(0, ...expected.map(({ seq }) => seq));
  if (longest > head.seq)
    return { ...verdict, problem: `The end is missing: there were ${longest} events, and ${head.seq} are here.` };
  const other = expected.find(({ seq, hash }) => seq > 0 && hashes.get(seq) !== hash);
  if (other) return { ...verdict, problem: `Event ${other.seq} is not the one that was written.` };
  if (signed === false) return { ...verdict, problem: "The signed head of the log is not one of ours." };
  if (keysDir !== undefined && signed === undefined && head.seq > 0 && hasSigningKey(keysDir))
    return { ...verdict, problem: "The signed head of the log is gone." };
  return { ...verdict, problem: broken };
}

/** The last events, newest first. */
export function readEvents(dir: string, limit: number): Entry[] {
  const found: Entry[] = [];
  for (const name of filesIn(dir).toReversed()) {
    if (found.length >= limit) break;
    const file = openSync(join(dir, name), "r");
    try {
      const { size } = fstatSync(file);
      const tail = Buffer.alloc(Math.min(size, limit * 4_096));
      readSync(file, tail, 0, tail.length, size - tail.length);
      const lines = tail.toString("utf8").split("\n");
      if (tail.length < size) lines.shift();
      for (const line of lines.toReversed()) {
        if (line === "" || found.length >= limit) continue;
        try {
          found.push(JSON.parse(line) as Entry);
        } catch (error) {
          throw new NikaError("unreadable", `${name} holds a line that is no event; see \`nika events verify\`.`, {
            cause: error,
          });
        }
      }
    } finally {
      closeSync(file);
    }
  }
  return found;
}
