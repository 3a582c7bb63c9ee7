/** Files as the control plane's storage hands them out: over HTTP, whichever backend keeps them. */
import { NikaError } from "../convex/model/error.ts";
import type { Files } from "../functions/ports/files.ts";

/** `convexUrl` is where this process reaches the storage; the URLs name where browsers do, which may be another address. */
export function storageFiles({ convexUrl }: { readonly convexUrl: string }): Files {
  const open = async (url: string, request: RequestInit & { signal: AbortSignal }): Promise<Response> => {
    const { pathname, search } = new URL(url);
    try {
      return await fetch(`${convexUrl}${pathname}${search}`, request);
    } catch (error) {
      if (request.signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
      throw new NikaError("unavailable", "The file storage does not answer.", { cause: error });
    }
  };
  return {
    async read(url, { bytesMax, signal }) {
      const response = await open(url, { signal });
      if (response.status === 404) throw new NikaError("missing", "The file is gone from the storage.");
      if (!response.ok) throw new NikaError("unavailable", `The file storage answered with status ${response.status}.`);
      // Checked before a byte is taken in, and again while they come: a header is a claim.
      const claimed = Number(response.headers.get("content-length") ?? 0);
      if (claimed > bytesMax) {
        await response.body?.cancel();
        throw tooLarge(bytesMax);
      }
      return collect(response, bytesMax, claimed);
    },
    async write(url, bytes, { signal }) {
      const headers = { "content-type": "application/octet-stream" };
      const response = await open(url, { method: "POST", headers, body: bytes as Uint8Array<ArrayBuffer>, signal });
      if (response.status === 507) throw new NikaError("full", "There is no room left on Nika's disk; free some.");
      if (!response.ok) throw new NikaError("unavailable", `The file storage answered with status ${response.status}.`);
      return ((await response.json()) as { storageId: string }).storageId;
    },
  };
}

async function collect(response: Response, bytesMax: number, expected: number): Promise<Uint8Array> {
  let bytes = new Uint8Array(expected || 64 * 1024);
  let length = 0;
  for await (const chunk of response.body ?? []) {
    if (length + chunk.length > bytesMax) throw tooLarge(bytesMax);
    if (length + chunk.length > bytes.length) {
      const larger = new Uint8Array(Math.max(bytes.length * 2, length + chunk.length));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(chunk, length);
    length += chunk.length;
  }
  return bytes.subarray(0, length);
}

function tooLarge(bytesMax: number): NikaError {
  return new NikaError("full", `The file is larger than ${Math.floor(bytesMax / 1024 / 1024)} MB.`);
}
