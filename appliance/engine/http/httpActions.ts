/** The app's own HTTP endpoints (http.ts), under /http. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Asker, Authenticator } from "../auth/authenticator.ts";
import { clientOf } from "../auth/client.ts";
import type { Core } from "../core.ts";
import type { HttpRoute } from "../model/deployment.ts";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";
import { limited, mustFit } from "./body.ts";

const bodyBytesMax = 20 * 1024 * 1024;
const methods = new Set(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
/** Headers about one hop, which a program behind us neither gets nor gives. */
const hopHeaders = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "proxy-connection"]);

export type HttpActionParts = { readonly core: Core; readonly auth: Authenticator; readonly origin: () => string };

export async function runHttpAction(
  { core, auth, origin }: HttpActionParts,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const path = url.pathname.slice("/http".length) || "/";
  if (core.deployment.httpRoutes.length === 0)
    throw new NikaError("missing", "This deployment does not have HTTP actions enabled: there is no http.ts.");
  const route = findRoute(core.deployment.httpRoutes, request.method === "HEAD" ? "GET" : (request.method ?? ""), path);
  if (!route) throw new NikaError("missing", `No HttpAction routed for ${path}`);
  mustFit(Number(request.headers["content-length"] ?? 0), bodyBytesMax);
  const limit = limited(bodyBytesMax);
  let tooLarge: Error | undefined;
  limit.on("error", (error) => (tooLarge = error));
  const asked = toRequest(request, `${origin()}${path}${url.search}`, limit);
  const asker = await askerOf(auth, request);
  const answer = await core.http(asked, route, asker.identity, clientOf(request, asker));
  // Whatever the app made of a body that broke off.
  if (tooLarge) throw tooLarge;
  response.statusCode = answer.status;
  for (const [name, value] of answer.headers) if (!hopHeaders.has(name)) response.appendHeader(name, value);
  response.flushHeaders();
  if (request.method === "HEAD" || !answer.body) {
    await answer.body?.cancel();
    response.end();
  } else await pipeline(Readable.fromWeb(answer.body), response);
  // What the app did not read must not stand in the way of the connection's next request.
  request.unpipe();
  request.resume();
}

/** An exact path before a prefix, a long prefix before a short one. */
export function findRoute(routes: readonly HttpRoute[], method: string, path: string): HttpRoute | undefined {
  if (!methods.has(method)) return undefined;
  let best: HttpRoute | undefined;
  for (const route of routes) {
    if (route.method !== method) continue;
    if (route.path === path) return route;
    const isPrefix = route.path.endsWith("*") && path.startsWith(route.path.slice(0, -1));
    if (isPrefix && (!best || route.path.length > best.path.length)) best = route;
  }
  return best;
}

function toRequest(request: IncomingMessage, url: string, limit: Transform): Request {
  const headers = new Headers();
  for (const [name, values] of Object.entries(request.headersDistinct))
    if (!hopHeaders.has(name)) for (const value of values ?? []) headers.append(name, value);
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
  const hasBody = method !== "GET" && (request.headers["content-length"] ?? request.headers["transfer-encoding"]) !== undefined;
  if (!hasBody) return new Request(url, { method, headers });
  // A broken upload must break the reader's stream too.
  request.on("error", (error) => limit.destroy(error));
  const body = Readable.toWeb(request.pipe(limit));
  return new Request(url, { method, headers, body, duplex: "half" } as unknown as RequestInit);
}

/** The header may mean something else to the app, so one that we cannot read is no error. */
async function askerOf(auth: Authenticator, request: IncomingMessage): Promise<Asker> {
  try {
    return await auth.identifyHeader(request.headers.authorization);
  } catch (error) {
    if (isNikaError(error)) return { identity: { type: "none" }, expiresAtMs: Number.POSITIVE_INFINITY };
    throw error;
  }
}
