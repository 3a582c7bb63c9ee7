import { NikaError } from "../../convex/model/error.ts";
import type { Converter } from "../../functions/ports/converter.ts";

export type DoclingOptions = { readonly url: string; readonly apiKey: string | undefined };

/** A long scan on a small machine; the service ends it itself sooner when told to. */
const timeLimitMs = 300_000;
const answerBytesMax = 64 * 1024 * 1024;

/** What it is asked for: layouts are what it is good at; plain text and mails are read here as well and at once. */
const signatures: readonly (readonly number[])[] = [
  [0x25, 0x50, 0x44, 0x46], // pdf
  [0x89, 0x50, 0x4e, 0x47], // png
  [0xff, 0xd8, 0xff], // jpeg
  [0x49, 0x49, 0x2a, 0], // tiff
  [0x4d, 0x4d, 0, 0x2a], // tiff
];

/** docling-serve's HTTP API: `POST /v1/convert/file`, one file a request, answered when it is done. */
export function openDocling({ url, apiKey }: DoclingOptions): Converter {
  return {
    label: "docling",
    takes: (bytes) => signatures.some((signature) => signature.every((byte, at) => bytes[at] === byte)),
    convert: async (bytes, { name, signal }) => {
      const form = new FormData();
      form.append("files", new Blob([new Uint8Array(bytes)]), name.split(/[/\\]/u).at(-1) || "file");
      form.append("to_formats", "json");
      form.append("image_export_mode", "placeholder");
      form.append("do_ocr", "true");
      const response = await fetch(`${url.replace(/\/$/u, "")}/v1/convert/file`, {
        method: "POST",
        body: form,
        headers: { accept: "application/json", ...(apiKey !== undefined && { "X-Api-Key": apiKey }) },
        redirect: "error",
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeLimitMs)]),
      }).catch((cause: unknown) => failed(cause, signal));
      if (!response.ok) return refused(response.status);
      const answer = await readAnswer(response).catch((cause: unknown) => failed(cause, signal));
      return toContent(answer);
    },
  };
}

function failed(cause: unknown, signal: AbortSignal): never {
  if (signal.aborted) throw new NikaError("cancelled", "The work was cancelled.");
  if (cause instanceof NikaError) throw cause;
  throw new NikaError("unavailable", "Docling does not answer.", { cause });
}

/** What it cannot read is read here; what it may do later is tried again. */
function refused(status: number): undefined {
  if (status === 401 || status === 403) throw new NikaError("denied", "Docling does not take the key; check NIKA_DOCLING_KEY.");
  if (status === 408 || status === 429 || status >= 500)
    throw new NikaError("unavailable", `Docling is not working at the moment (${status}).`);
  return undefined;
}

async function readAnswer(response: Response): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > answerBytesMax) throw new NikaError("unavailable", "Docling's answer is larger than Nika takes.");
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString("utf8")) as unknown;
}

function toContent(answer: unknown): Uint8Array | undefined {
  if (typeof answer !== "object" || answer === null || !("status" in answer)) {
    throw new NikaError("unavailable", "Docling gave an answer that Nika does not understand.");
  }
  const { status, document } = answer as { status: unknown; document?: { json_content?: unknown } };
  const content = document?.json_content;
  if ((status !== "success" && status !== "partial_success") || typeof content !== "object" || content === null) return undefined;
  return new TextEncoder().encode(JSON.stringify(content));
}
