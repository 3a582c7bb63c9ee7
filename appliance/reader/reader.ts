import { NikaError } from "../../convex/model/error.ts";
import type { Reader, Reading } from "../../functions/ports/reader.ts";
import { openThreads, ThreadLostError } from "../threads/threads.ts";
import type { ReadReply, ReadRequest } from "./readerThread.ts";

export type ReaderOptions = {
  /** One line about a file that could not be read, for the log. */
  readonly log?: (line: string) => void;
  /** Files read at the same time. Two leave the main thread room on two cores, because it waits most of the time. */
  readonly threadsMax?: number;
  /** The slowest sound file seen, a book of two thousand pages, took a third of this. */
  readonly timeLimitMs?: number;
  /** Per thread. With two threads, their buffers and the rest of the appliance this stays under 600 MB. */
  readonly heapMiBMax?: number;
  /** What all reading together may add to the process. */
  readonly growthMiBMax?: number;
  readonly idleMs?: number;
};

/**
 * Reads files in threads that may fail: one that takes too long or too much memory is ended and the file is `tooSlow`. The bytes
 * handed in are transferred, not copied, and are empty for the caller afterwards.
 */
export function openReader({
  log = () => {},
  threadsMax = 2,
  timeLimitMs = 60_000,
  heapMiBMax = 192,
  growthMiBMax = 340,
  idleMs = 20_000,
}: ReaderOptions = {}): Reader & { close(): Promise<void> } {
  const entry = new URL("readerThread.ts", import.meta.url);
  const threads = openThreads<ReadRequest, ReadReply>({ entry, threadsMax, heapMiBMax, growthMiBMax, timeLimitMs, idleMs });
  return {
    read: async (bytes, { name, signal }) => {
      try {
        const { reading, cause } = await threads.call({ bytes, name }, { signal, transfer: transferOf(bytes) });
        if (cause !== undefined) log(`could not read ${JSON.stringify(name)}: ${cause}`);
        return reading;
      } catch (error) {
        return unreadable(error, name, log);
      }
    },
    close: () => threads.close(),
  };
}

function unreadable(error: unknown, name: string, log: (line: string) => void): Reading {
  if (!(error instanceof ThreadLostError)) throw error;
  log(`reading ${JSON.stringify(name)} was given up: ${error.reason}`);
  if (error.reason === "crashed")
    throw new NikaError("unavailable", "The reader stopped in the middle of the file.", { cause: error });
  return { type: "unreadable", problem: "tooSlow" };
}

/** Small buffers share their memory with others and must be copied; anything that owns its memory can be given away. */
function transferOf(bytes: Uint8Array): ArrayBuffer[] {
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength ? [buffer] : [];
}
