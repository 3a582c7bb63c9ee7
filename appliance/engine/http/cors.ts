/** Pages of other origins. Nothing here is authorised by a cookie, so mirroring the origin gives a page no right that it did not bring. */
import type { IncomingMessage, ServerResponse } from "node:http";

export type OriginRule = (origin: string) => boolean;

/** `allowed` undefined: every origin, as the original does. Otherwise those listed, and the server's own. */
export function originRule(allowed: readonly string[] | undefined, own: () => string): OriginRule {
  if (allowed === undefined) return () => true;
  const listed = new Set(allowed.map(normalOrigin));
  return (origin) =>
    listed.has(normalOrigin(origin)) || normalOrigin(origin) === normalOrigin(own()) || isLoopbackTwin(origin, own());
}

/** False when the page may not ask at all. */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, isAllowed: OriginRule): boolean {
  const { origin } = request.headers;
  if (origin === undefined) return true;
  if (!isAllowed(origin)) return false;
  response.setHeader("Access-Control-Allow-Origin", origin);
  response.setHeader("Access-Control-Allow-Credentials", "true");
  response.setHeader("Vary", "Origin");
  return true;
}

export function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  response
    .writeHead(204, {
      "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
      "Access-Control-Allow-Headers": request.headers["access-control-request-headers"] ?? "",
      "Access-Control-Max-Age": "600",
    })
    .end();
}

function normalOrigin(origin: string): string {
  return origin.toLowerCase().replace(/\/$/, "");
}

/** 127.0.0.1, localhost and [::1] on our port are one place under three names. */
function isLoopbackTwin(origin: string, own: string): boolean {
  if (!URL.canParse(origin) || !URL.canParse(own)) return false;
  const [a, b] = [new URL(origin), new URL(own)];
  const names = new Set(["127.0.0.1", "localhost", "[::1]"]);
  return a.port === b.port && a.protocol === b.protocol && names.has(a.hostname) && names.has(b.hostname);
}
