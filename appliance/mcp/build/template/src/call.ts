/** One call of the service: signed in, within its limits, and its answer made readable. Nothing is tried again by itself. */
import type { CallToolResult } from "@modelcontextprotocol/server";
import { openLimiter, type Limiter } from "./limits.ts";
import type { Manifest, Way } from "./manifest.ts";
import { toRequest, type ServiceRequest } from "./request.ts";
import { ToolError, type Arguments, type Tool } from "./tool.ts";

export type Caller = (tool: Tool, args: Arguments, signal: AbortSignal) => Promise<CallToolResult>;

const redirectsMax = 3;
/** Of what the service says about an error. */
const reasonCharsMax = 500;

/** `variables` hold the secrets, under the names that mcp.toml gives. */
export function openCaller(manifest: Manifest, variables: Readonly<Record<string, string | undefined>>): Caller {
  const whole = openLimiter(manifest.callsPerMinute);
  const single = new Map<string, Limiter>();
  for (const [name, { callsPerMinute }] of manifest.tools)
    if (callsPerMinute !== undefined) single.set(name, openLimiter(callsPerMinute));
  return async (tool, args, signal) => {
    try {
      const request = toRequest(tool.request, args, manifest.baseUrl);
      for (const id of tool.request.auth) signIn(request, manifest.auth.get(id), variables);
      mustBeWithin([whole, ...(single.has(tool.name) ? [single.get(tool.name) ?? whole] : [])]);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(manifest.timeoutMs)]);
      return await send(request, tool, { manifest, signal: limit });
    } catch (error) {
      return failed(toSentence(error, manifest, signal));
    }
  };
}

function mustBeWithin(limiters: readonly Limiter[]): void {
  for (const limiter of limiters) {
    const waitMs = limiter.take(Date.now());
    if (waitMs > 0)
      throw new ToolError(`This server's limit of calls a minute is reached; call again in ${Math.ceil(waitMs / 1000)} s.`);
  }
}

function signIn(request: ServiceRequest, way: Way | undefined, variables: Readonly<Record<string, string | undefined>>): void {
  if (!way) throw new ToolError("mcp.toml does not say how to sign in for this tool.");
  const secret = variables[way.variable]?.trim() ?? "";
  if (secret === "")
    throw new ToolError(`Nobody is signed in: "${way.secret}" is not in the secret store (\`nika secrets set ${way.secret}\`).`);
  if (way.kind === "bearer" || way.kind === "oauth2") request.headers.set("authorization", `Bearer ${secret}`);
  else if (way.kind === "basic") request.headers.set("authorization", `Basic ${Buffer.from(secret).toString("base64")}`);
  else if (way.in === "header") request.headers.set(way.parameter, secret);
  else if (way.in === "query") request.url.searchParams.append(way.parameter, secret);
  else {
    const others = request.headers.get("cookie");
    const own = `${way.parameter}=${encodeURIComponent(secret)}`;
    request.headers.set("cookie", others === null ? own : `${others}; ${own}`);
  }
}

type Sending = { readonly manifest: Manifest; readonly signal: AbortSignal };

async function send(request: ServiceRequest, tool: Tool, { manifest, signal }: Sending): Promise<CallToolResult> {
  const { method, headers, body } = request;
  let { url } = request;
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, { method, headers, signal, redirect: "manual", ...(body !== undefined && { body }) });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return await answer(response, tool, manifest);
    await response.body?.cancel();
    const next = URL.parse(location, url.href);
    const isSame = next?.origin === url.origin && (method === "GET" || method === "HEAD");
    // Elsewhere the credentials would go along.
    if (!next || !isSame || redirects >= redirectsMax)
      throw new ToolError(`The service sends this call elsewhere (${next?.host ?? "nowhere"}), which is not followed.`);
    url = next;
  }
}

async function answer(response: Response, tool: Tool, { answerBytes }: Manifest): Promise<CallToolResult> {
  const { bytes, isCut } = await readUpTo(response, answerBytes);
  const mediaType = (response.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (response.status >= 400 || response.status < 200) return failed(whyFailed(response, bytes, mediaType));
  if (mediaType.startsWith("image/") && !isCut)
    return { content: [{ type: "image", data: Buffer.from(bytes).toString("base64"), mimeType: mediaType }] };
  if (bytes.length > 0 && !isText(mediaType, bytes))
    return {
      content: [
        {
          type: "text",
          text: `The service answered with ${bytes.length} bytes of ${mediaType || "an unknown kind"}, which are not shown.`,
        },
      ],
    };
  const text = new TextDecoder().decode(bytes);
  const notes = [
    ...(isCut ? [`The answer was cut after ${answerBytes} bytes; ask for less.`] : []),
    ...nextPage(response, tool),
    ...(text === "" ? [`Done (${response.status}), without an answer.`] : []),
  ];
  return {
    content: [
      ...(text === "" ? [] : [{ type: "text" as const, text }]),
      ...notes.map((note) => ({ type: "text" as const, text: note })),
    ],
  };
}

async function readUpTo(response: Response, bytesMax: number): Promise<{ readonly bytes: Uint8Array; readonly isCut: boolean }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    const left = bytesMax - size;
    if (chunk.length > left) {
      chunks.push(chunk.subarray(0, left));
      return { bytes: Buffer.concat(chunks), isCut: true };
    }
    chunks.push(chunk);
    size += chunk.length;
  }
  return { bytes: Buffer.concat(chunks), isCut: false };
}

function isText(mediaType: string, bytes: Uint8Array): boolean {
  if (/^text\/|[/+](?:json|xml|yaml|javascript|x-www-form-urlencoded)$/.test(mediaType)) return true;
  return mediaType === "" && !bytes.includes(0);
}

/** What a Link header says of the next page, in the tool's own arguments. */
function nextPage(response: Response, { request }: Tool): string[] {
  const target = /<([^<>]{1,2000})>\s*;[^,]*\brel="?next"?/.exec(response.headers.get("link") ?? "")?.[1];
  const url = target === undefined ? null : URL.parse(target, "http://x/");
  if (!url) return [];
  const args = request.parameters.flatMap(({ name, in: place, argument }) => {
    const value = place === "query" ? url.searchParams.get(name) : null;
    return value === null ? [] : [`${argument}=${JSON.stringify(value.slice(0, 200))}`];
  });
  return [
    args.length > 0
      ? `There is more; call again with ${args.join(", ")}.`
      : "There is more, on a page this tool has no argument for.",
  ];
}

function whyFailed({ status, headers }: Response, bytes: Uint8Array, mediaType: string): string {
  const reason = reasonIn(new TextDecoder().decode(bytes), mediaType);
  const said = reason === "" ? "" : ` It says: ${reason}`;
  const wait = headers.get("retry-after");
  const waiting = wait === null ? "" : ` It asks to wait ${waitIn(wait)} before the next call.`;
  if (status === 401)
    return `The service does not know who asks (401): the credentials are missing, wrong or have expired.${said}`;
  if (status === 403) return `The service does not allow this with these credentials (403).${said}`;
  if (status === 404) return `The service has nothing there (404).${said}`;
  if (status === 429) return `The service was called too often (429).${waiting}${said}`;
  if (status >= 500) return `The service failed (${status}); it may work later.${waiting}${said}`;
  return `The service refused the call (${status}).${said}`;
}

/** Seconds, or a date, as the header has it. */
function waitIn(value: string): string {
  if (/^\d{1,9}$/.test(value.trim())) return `${Number(value)} s`;
  const at = Date.parse(value);
  return Number.isNaN(at) ? "a while" : `until ${new Date(at).toISOString()}`;
}

/** The service's own words: the message of the usual shapes, else the beginning of its text. */
function reasonIn(text: string, mediaType: string): string {
  const plain = mediaType.includes("html") ? text.replace(/<style[\s\S]*?<\/style>|<[^>]*>/g, " ") : text;
  let said = plain;
  try {
    const value = JSON.parse(plain) as Record<string, unknown> | null;
    const error = value?.["error"];
    const inner = typeof error === "object" && error !== null ? (error as Record<string, unknown>)["message"] : error;
    const found = [inner, value?.["message"], value?.["detail"], value?.["title"]].find((one) => typeof one === "string");
    if (typeof found === "string") said = found;
  } catch {
    // Not JSON.
  }
  return said.replace(/\s+/g, " ").trim().slice(0, reasonCharsMax);
}

const failed = (text: string): CallToolResult => ({ content: [{ type: "text", text }], isError: true });

function toSentence(error: unknown, { baseUrl, timeoutMs }: Manifest, signal: AbortSignal): string {
  if (error instanceof ToolError) return error.message;
  if (signal.aborted) return "The call was withdrawn.";
  if (error instanceof Error && error.name === "TimeoutError") return `The service did not answer within ${timeoutMs / 1000} s.`;
  return `The service at ${new URL(baseUrl).host} could not be reached.`;
}
