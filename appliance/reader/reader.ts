import { NikaError } from "../../convex/model/error.ts";
import type { Reader, Reading } from "../../functions/ports/reader.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";
import type { ReadReply, ReadRequest } from "./readerProcess.ts";

export type ReaderOptions = {
  /** One line about a file that could not be read, for the log. */
  readonly log?: (line: string) => void;
  /** Files read at the same time. Two leave the main thread room on two cores, because it waits most of the time. */
  readonly processesMax?: number;
  /** The slowest sound file seen, a book of two thousand pages, took a third of this. */
  readonly timeLimitMs?: number;
  /** All processes together: a heavy file gets all of it. With the rest of the appliance under 600 MB. */
  readonly memoryMiBMax?: number;
  readonly idleMs?: number;
};

/**
 * Reads files in processes that may fail: one that takes too long or too much memory is ended and the file is `tooSlow`. A process
 * that ends for no such reason is `unavailable`, which is worth another try.
 */
export function openReader({
  log = () => {},
  processesMax = 2,
  timeLimitMs = 60_000,
  memoryMiBMax = 270,
  idleMs = 20_000,
}: ReaderOptions = {}): Reader & { close(): Promise<void> } {
  const entry = new URL("readerProcess.ts", import.meta.url);
  const processes = openProcesses<ReadRequest, ReadReply>({ entry, processesMax, memoryMiBMax, timeLimitMs, idleMs });
  return {
    read: async (bytes, { name, signal }) => {
      try {
        const { reading, cause } = await processes.call({ name }, { signal, bytes });
        if (cause !== undefined) log(`could not read ${JSON.stringify(name)}: ${cause}`);
        return reading;
      } catch (error) {
        return unreadable(error, name, log);
      }
    },
    entries: async () => Promise.reject(new NikaError("invalid", "It holds no files.")),
    page: async () => undefined,
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
