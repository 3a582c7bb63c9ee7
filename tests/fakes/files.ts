import { NikaError } from "../../convex/model/error.ts";
import type { Files } from "../../functions/ports/files.ts";

/** Every URL leads to the same bytes, unless it was given its own; null is a file that is gone. `onWrite` says the id of what is stored. */
export function fakeFiles(
  content: string | Uint8Array | null,
  onWrite: (bytes: Uint8Array) => Promise<string> | string = () => "stored",
): Files {
  const files: Files = {
    async write(_url, bytes, { signal }) {
      if (signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
      return onWrite(bytes instanceof Uint8Array ? bytes : Buffer.concat(await Array.fromAsync(bytes.pieces(signal))));
    },
    async read(_url, { bytesMax, signal }) {
      if (signal.aborted) throw new NikaError("cancelled", "Reading the file was cancelled.");
      if (content === null) throw new NikaError("missing", "The file is gone from the storage.");
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      if (bytes.length > bytesMax) throw new NikaError("full", "The file is larger than that.");
      return bytes;
    },
    open: (url, { sizeBytes }) => ({
      sizeBytes,
      async *pieces(signal) {
        const bytes = await files.read(url, { bytesMax: sizeBytes, signal });
        const half = Math.ceil(bytes.length / 2);
        yield bytes.subarray(0, half);
        yield bytes.subarray(half);
      },
    }),
  };
  return files;
}
