import { NikaError } from "../../convex/model/error.ts";
import type { Converter } from "../../functions/ports/converter.ts";
import type { Ocr, OcrPicture } from "../../functions/ports/ocr.ts";
import type { Reader, Reading } from "../../functions/ports/reader.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";
import type { ReadReply, ReadRequest } from "./readerProcess.ts";

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
  const processes = openProcesses<ReadRequest, ReadReply>({
    entry,
    processesMax,
    memoryMiBMax,
    timeLimitMs,
    idleMs,
    // Pictures are decoded, and pages drawn, by libraries of machine code.
    allowsAddons: true,
    ...(ocr && { answer: (picture, signal) => ocr.read(picture as OcrPicture, signal) }),
  });
  return {
    read: async (bytes, { name, signal }) => {
      try {
        const converted = converter?.takes(bytes) ? await converter.convert(bytes, { name, signal }) : undefined;
        const request = { type: "read" as const, name, hasOcr: ocr !== undefined, isConverted: converted !== undefined };
        const reply = await processes.call(request, { signal, bytes: converted ?? bytes });
        if (reply.cause !== undefined) log(`could not read ${JSON.stringify(name)}: ${reply.cause}`);
        if (reply.type !== "read") throw new NikaError("bug", "The reader gave another answer than was asked for.");
        return reply.reading;
      } catch (error) {
        return unreadable(error, name, log);
      }
    },
    entries: async (bytes, { name, from, signal }) => {
      const none = new NikaError("invalid", "It holds no files.");
      try {
        const reply = await processes.call({ type: "entries", name, from }, { signal, bytes });
        if (reply.cause !== undefined) log(`could not open ${JSON.stringify(name)}: ${reply.cause}`);
        if (reply.type !== "entries" || !reply.entries) throw none;
        return reply.entries;
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

function unreadable(error: unknown, name: string, log: (line: string) => void): Reading {
  if (!(error instanceof ProcessLostError)) throw error;
  log(`reading ${JSON.stringify(name)} was given up: ${error.reason}`);
  if (error.reason === "crashed")
    throw new NikaError("unavailable", "The reader stopped in the middle of the file.", { cause: error });
  return { type: "unreadable", problem: "tooSlow" };
}
