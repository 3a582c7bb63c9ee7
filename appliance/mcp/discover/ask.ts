/** One question to a registry: bounded in time and size, and what went wrong in words the owner can act on. */
import { NikaError } from "../../../convex/model/error.ts";

export type Ask = (
  url: URL,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<unknown>;

const answerMs = 20_000;
const bytesMax = 16 * 1024 * 1024;
const retryAfterMsMax = 24 * 3_600_000;

/** How long whoever refused wants to be left alone; undefined when it did not say. */
export function retryAfterOf(error: unknown): number | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return typeof cause === "object" && cause !== null && "retryAfterMs" in cause ? Number(cause.retryAfterMs) : undefined;
}

/** The answer as JSON. Fails with `missing` (404), `denied` (401, 403), `unavailable` (all that may pass), `cancelled`, `invalid`. Never retries. */
export const askJson: Ask = async (url, { headers = {}, signal }) => {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      headers: { accept: "application/json, application/problem+json", ...headers },
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
    });
    text = await readText(response);
  } catch (error) {
    if (signal.aborted) throw new NikaError("cancelled", "The question to the registry was withdrawn.", { cause: error });
    if (error instanceof NikaError) throw error;
    throw new NikaError("unavailable", `The registry at ${url.host} does not answer (${reasonOf(error)}).`, { cause: error });
  }
  const { status } = response;
  if (status === 429 || status === 503) {
    const retryAfterMs = toRetryAfterMs(response.headers.get("retry-after"));
    throw new NikaError(
      "unavailable",
      `The registry at ${url.host} is busy and wants to be asked later${retryAfterMs === undefined ? "" : `, in ${Math.ceil(retryAfterMs / 1000)} s`}.`,
      { cause: { retryAfterMs } },
    );
  }
  if (status === 404) throw new NikaError("missing", `The registry at ${url.host} knows nothing of that.`);
  if (status === 401 || status === 403)
    throw new NikaError("denied", `The registry at ${url.host} wants a key (${status}); see \`nika mcp registries\`.`);
  if (status >= 500) throw new NikaError("unavailable", `The registry at ${url.host} has trouble of its own (${status}).`);
  if (!response.ok) throw new NikaError("invalid", `The registry at ${url.host} did not understand the question (${status}).`);
  try {
    return JSON.parse(text);
  } catch (error) {
    // A proxy's error page, or an answer that was cut off.
    throw new NikaError("unavailable", `The registry at ${url.host} sent something that is no JSON.`, { cause: error });
  }
};

async function readText(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of response.body ?? []) {
    sizeBytes += piece.length;
    if (sizeBytes > bytesMax)
      throw new NikaError("full", `A registry sent more than ${bytesMax / 1024 / 1024} MB in one answer.`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function toRetryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(retryAfterMsMax, Math.max(0, ms)) : undefined;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && "code" in cause) return String(cause.code);
  return error instanceof Error ? (error.name === "TimeoutError" ? "no answer in time" : error.message) : String(error);
}

/** A part of a path; a name such as `io.github.owner/server` is one part. */
export const part = (text: string): string => encodeURIComponent(text);

/** Below a base address, which may have a path of its own. */
export function below(base: string, path: string, query: Readonly<Record<string, string | undefined>> = {}): URL {
  const url = new URL(`${base.replace(/\/+$/, "")}/${path}`);
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== "") url.searchParams.set(key, value);
  return url;
}
