import { NikaError } from "../../convex/model/error.ts";
import type { Converter } from "../../functions/ports/converter.ts";
import type { Bytes } from "../../functions/ports/files.ts";
import type { Ocr, OcrPicture } from "../../functions/ports/ocr.ts";
import type { Reader, Reading } from "../../functions/ports/reader.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";
import { joinEntries, joinReading } from "./parts.ts";
import type { ReadReply, ReadRequest } from "./readerProcess.ts";

/** Files read at the same time weigh no more than this together; a larger one is read beside none. */
const bytesAtATimeMax = 72 * 1024 * 1024;
/** Enough to tell what a file is. */
const headBytes = 64;

export type ReaderOptions = {
  /** One line about a file that could not be read, for the log. */
  readonly log?: (line: string) => void;
  /** Reads text in pictures; without it scans have none. */
  readonly ocr?: Ocr;
  /** A service that is asked first; what it cannot read is read here. */
  readonly converter?: Converter;
  /** Files read at the same time. Two leave the main thread room on two cores, because it waits most of the time. */
  readonly processesMax?: number;
  /** The slowest sound file seen, a book of two thousand pages, took a third of this. */
  readonly timeLimitMs?: number;
  /** All processes together: a heavy file gets all of it. With the rest of the appliance, text recognition aside, under 700 MB. */
  readonly memoryMiBMax?: number;
  readonly idleMs?: number;
};

/**
 * Reads files in processes that may fail: one that takes too long or too much memory is ended and the file is `tooSlow`. A process
 * that ends for no such reason is `unavailable`, which is worth another try.
 */
export function openReader({
  log = () => {},
  ocr,
  converter,
  processesMax = 2,
  timeLimitMs = 60_000,
  memoryMiBMax = 340,
  idleMs = 20_000,
}: ReaderOptions = {}): Reader & { close(): Promise<void> } {
  const entry = new URL("readerProcess.ts", import.meta.url);
  const convert = async (bytes: Bytes, options: { name: string; signal: AbortSignal }): Promise<Uint8Array | undefined> => {
    if (!converter?.takes(await headOf(bytes, options.signal))) return undefined;
    return converter.convert(await wholeOf(bytes, options.signal), options);
  };
  const processes = openProcesses<ReadRequest, ReadReply>({
    entry,
    processesMax,
    memoryMiBMax,
    bytesMax: bytesAtATimeMax,
    timeLimitMs,
    idleMs,
    // Pictures are decoded, and pages drawn, by libraries of machine code.
    allowsAddons: true,
    ...(ocr && { answer: (picture, signal) => ocr.read(picture as OcrPicture, signal) }),
  });
  return {
    read: async (bytes, { name, signal }) => {
      try {
        const converted = await convert(bytes, { name, signal });
        const request = { type: "read" as const, name, hasOcr: ocr !== undefined, isConverted: converted !== undefined };
        const { reply, parts } = await processes.callInParts(request, { signal, bytes: converted ?? bytes });
        if (reply.cause !== undefined) log(`could not read ${JSON.stringify(name)}: ${reply.cause}`);
        if (reply.type !== "read") throw new NikaError("bug", "The reader gave another answer than was asked for.");
        return reply.reading.type === "read" ? joinReading(reply.reading, parts) : reply.reading;
      } catch (error) {
        return unreadable(error, name, log);
      }
    },
    entries: async (bytes, { name, from, signal }) => {
      const none = new NikaError("invalid", "It holds no files.");
      try {
        const { reply, parts } = await processes.callInParts({ type: "entries", name, from }, { signal, bytes });
        if (reply.cause !== undefined) log(`could not open ${JSON.stringify(name)}: ${reply.cause}`);
        if (reply.type !== "entries" || !reply.entries) throw none;
        return joinEntries(reply.entries, parts);
      } catch (error) {
        unreadable(error, name, log);
        throw none;
      }
    },
    page: async (bytes, { name, page, widthMax, signal }) => {
      try {
        const reply = await processes.call({ type: "page", page, widthMax }, { signal, bytes });
        if (reply.cause !== undefined) log(`could not draw page ${page} of ${JSON.stringify(name)}: ${reply.cause}`);
        return reply.type === "page" ? reply.image : undefined;
      } catch (error) {
        unreadable(error, name, log);
        return undefined;
      }
    },
    close: () => processes.close(),
  };
}

async function headOf(bytes: Bytes, signal: AbortSignal): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes;
  let head = new Uint8Array();
  for await (const piece of bytes.pieces(signal)) {
    head = new Uint8Array(Buffer.concat([head, piece]));
    if (head.length >= headBytes) break;
  }
  return head;
}

/** For a service that wants all of it in one request. */
async function wholeOf(bytes: Bytes, signal: AbortSignal): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes;
  const whole = new Uint8Array(bytes.sizeBytes);
  let length = 0;
  for await (const piece of bytes.pieces(signal)) {
    whole.set(piece, length);
    length += piece.length;
  }
  return whole.subarray(0, length);
}

function unreadable(error: unknown, name: string, log: (line: string) => void): Reading {
  if (!(error instanceof ProcessLostError)) throw error;
  log(`reading ${JSON.stringify(name)} was given up: ${error.reason}`);
  if (error.reason === "crashed")
    throw new NikaError("unavailable", "The reader stopped in the middle of the file.", { cause: error });
  return { type: "unreadable", problem: "tooSlow" };
}
