/**
 * What happened, in a file that only grows: each line carries the hash of the one before it, so that a line changed, taken out or moved is found.
 * Cutting off the end cannot be seen in the file alone; the control plane keeps the last number and hash for that.
 */
import { createHash } from "node:crypto";
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
import { NikaError } from "../../convex/model/error.ts";

export type LedgerEvent = Readonly<Record<string, unknown>> & { readonly type: string };
export type Entry = LedgerEvent & { readonly seq: number; readonly at: number; readonly prev: string; readonly hash: string };
export type Head = { readonly seq: number; readonly hash: string };

export type Ledger = {
  append(event: LedgerEvent): Entry;
  readonly head: () => Head;
  onEntry(listener: (entry: Entry) => void): () => void;
  close(): Promise<void>;
};

const nothing = "0".repeat(64);
const fileBytesMax = 64 * 1024 * 1024;
const syncMs = 1_000;
const tailBytes = 256 * 1024;
const nameOf = (number: number): string => `events-${String(number).padStart(6, "0")}.jsonl`;
const isOurs = (name: string): boolean => /^events-\d{6}\.jsonl$/.test(name);

const hashOf = (prev: string, body: string): string => createHash("sha256").update(prev).update(body).digest("hex");

/** Goes on where the last life ended. A last line that was only half written is taken off: nobody was told that it was kept. */
export function openLedger(
  dir: string,
  { now, log }: { readonly now: () => number; readonly log: (line: string) => void },
): Ledger {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  let number = Number(filesIn(dir).at(-1)?.slice(7, 13) ?? 1);
  let file = openSync(join(dir, nameOf(number)), "a+", 0o600);
  let sizeBytes = fstatSync(file).size;
  let head = mend();
  let isDirty = false;
  const listeners = new Set<(entry: Entry) => void>();
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
    fdatasync(file, (error) => {
      if (error) log(`mcp: events could not be synced (${error.message})`);
    });
  }

  return {
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
    onEntry(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      clearInterval(timer);
      return new Promise((done) => {
        fdatasync(file, () => {
          closeSync(file);
          done();
        });
      });
    },
  };
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

export type Verdict = { readonly events: number; readonly head: Head; readonly problem: string | undefined };

/** Reads all of it. `known` is the head as somebody else remembers it: what is kept must reach at least as far. */
export async function verifyLedger(dir: string, known?: Head): Promise<Verdict> {
  let head: Head = { seq: 0, hash: nothing };
  let knownHash: string | undefined;
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
      if (entry.seq === known?.seq) knownHash = hash;
    }
  }
  if (known && known.seq > head.seq)
    return { events: head.seq, head, problem: `The end is missing: there were ${known.seq} events, and ${head.seq} are here.` };
  if (known && known.seq > 0 && knownHash !== known.hash)
    return { events: head.seq, head, problem: `Event ${known.seq} is not the one that was written.` };
  return { events: head.seq, head, problem: undefined };
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
