import { once } from "node:events";
import type { Writable } from "node:stream";
import { NikaError } from "../../convex/model/error.ts";
import type { Bytes } from "../../functions/ports/files.ts";

export type PourOptions = {
  /** Ends it at once, without a word. */
  readonly signal: AbortSignal;
  /** Who is waited for from now on: whoever gives the bytes, or who takes them. */
  readonly onWaitingForBytes: () => void;
  readonly onWaitingForProcess: () => void;
};

/**
 * Writes bytes to a process's pipe, no faster than it takes them, and resolves when the last one was handed over. Fails with what the
 * source fails with, and with `unavailable` when it gives more or fewer bytes than it said: the process counts on their number.
 */
export async function pour(bytes: Bytes, into: Writable, options: PourOptions): Promise<void> {
  const { signal } = options;
  if (bytes instanceof Uint8Array) return void into.write(bytes);
  let sent = 0;
  options.onWaitingForBytes();
  for await (const piece of bytes.pieces(signal)) {
    if (signal.aborted) return;
    sent += piece.length;
    if (sent > bytes.sizeBytes) break;
    options.onWaitingForProcess();
    // The end of the process is told elsewhere, and fires the signal.
    if (!into.write(piece)) await once(into, "drain", { signal });
    // With the last piece it has what it needs; that the source has no more is nothing to wait for.
    if (sent < bytes.sizeBytes) options.onWaitingForBytes();
  }
  if (sent !== bytes.sizeBytes) throw new NikaError("unavailable", "The file storage gave another number of bytes than it said.");
}
