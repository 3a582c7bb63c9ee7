/** Nika's own few routes. Everything about state goes through the control plane; these are what a query cannot be. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Answer, OpenedPassage, PictureAnswer } from "../../convex/model/answer.ts";
import { httpStatuses, NikaError, toNikaError } from "../../convex/model/error.ts";
import { isOwnerToken, mintOwnerToken, type SigningKey } from "../secrets/token.ts";
import { findMediaRoute, type Media } from "./media.ts";
import { answerSchedules, type Schedules } from "./schedules.ts";
import { answerSecrets } from "./secrets.ts";
import type { SecretStore } from "../secrets/store.ts";
import {
  toOpenRequest,
  toPictureRequest,
  toSearchRequest,
  type OpenRequest,
  type PictureRequest,
  type SearchRequest,
} from "./vault.ts";
import { endedCookie, isSame, openSessions, type Sessions } from "./session.ts";

const bodyBytesMax = 64 * 1024;
/** A picture to look for others like it, in base64. */
const pictureBodyBytesMax = 24 * 1024 * 1024;

export type RouteOptions = {
  readonly version: string;
  readonly adminKey: string;
  readonly signing: SigningKey;
  readonly sessionKey: Buffer;
  /** Where this appliance is reached, without a slash at the end. */
  readonly origin: string;
  /** Where browsers reach the control plane. */
  readonly convexUrl: string;
  readonly ask: (args: SearchRequest, signal: AbortSignal) => Promise<Answer>;
  readonly search: (args: SearchRequest, signal: AbortSignal) => Promise<Answer>;
  readonly pictures: (args: PictureRequest, signal: AbortSignal) => Promise<PictureAnswer>;
  readonly open: (args: OpenRequest, signal: AbortSignal) => Promise<OpenedPassage>;
  readonly media: Media;
  readonly schedules: Schedules;
  readonly secrets: SecretStore;
  readonly bridge: BridgeRoutes;
  /** The owner's functions, and the hooks by which others call them. */
  readonly functions: BridgeRoutes;
  /** What the owner does about rented machines, and what these dial. */
  readonly gpu: BridgeRoutes;
  /** The chat that mirrors the bridge. The token of its bot travels over loopback and stops in a file. */
  readonly telegram: { connect(token: string): Promise<object>; disconnect(): Promise<void> };
  /** What workers on other machines ask, which show their secrets. */
  readonly workers: BridgeRoutes;
  readonly stop: () => void;
  readonly log: (line: string) => void;
  readonly now: () => number;
};

/** Routes that check their callers themselves: agents show tokens of their own. Undefined for paths that are none of theirs. */
type BridgeRoutes = (
  path: string,
) => ((request: IncomingMessage, response: ServerResponse, exchange: BridgeExchange) => Promise<void>) | undefined;
type BridgeExchange = {
  readonly isOwner: (token: string) => boolean;
  readonly readJson: (request: IncomingMessage, bytesMax?: number) => Promise<Record<string, unknown>>;
  readonly send: (status: number, body: object) => void;
};

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;
export type Routes = {
  /** Answers when the path is one of ours; false otherwise. */
  handle(path: string, request: IncomingMessage, response: ServerResponse): boolean;
};

export function nikaRoutes(options: RouteOptions): Routes {
  const sessions = openSessions(options.sessionKey);
  const table: Readonly<Record<string, Handler>> = {
    "GET /nika/health": (_request, response) => send(response, 200, { status: "ok", version: options.version, pid: process.pid }),
    "GET /nika/config": (_request, response) => send(response, 200, { convexUrl: options.convexUrl, version: options.version }),
    "POST /nika/links": (request, response) => {
      mustBeAdmin(request, options.adminKey);
      const { code, expiresAt } = sessions.link(options.now());
      send(response, 200, { url: `${options.origin}/#link=${code}`, expiresAt });
    },
    "POST /nika/link": async (request, response) => openSession(request, response, sessions, options.now()),
    "POST /nika/token": (request, response) => {
      if (!isAdmin(request, options.adminKey) && !sessions.isOpen(request.headers.cookie, options.now()))
        throw new NikaError("denied", "This browser is not signed in; open a link made by `nika link`.");
      send(response, 200, mintOwnerToken(options.signing, options.now()));
    },
    "POST /nika/logout": (_request, response) => {
      response.setHeader("Set-Cookie", endedCookie);
      send(response, 204);
    },
    "POST /nika/ask": owners(options, (body, signal) => options.ask(toSearchRequest(body), signal)),
    "POST /nika/search": owners(options, (body, signal) => options.search(toSearchRequest(body), signal)),
    "POST /nika/pictures": owners(
      options,
      (body, signal) => options.pictures(toPictureRequest(body), signal),
      pictureBodyBytesMax,
    ),
    "POST /nika/open": owners(options, (body, signal) => options.open(toOpenRequest(body), signal)),
    "POST /nika/telegram": async (request, response) => {
      mustBeAdmin(request, options.adminKey);
      const { token } = await readJson(request);
      if (typeof token !== "string") throw new NikaError("invalid", "Give the bot's token.");
      send(response, 200, await options.telegram.connect(token));
    },
    "DELETE /nika/telegram": async (request, response) => {
      mustBeAdmin(request, options.adminKey);
      await options.telegram.disconnect();
      send(response, 204);
    },
    "POST /nika/stop": (request, response) => {
      mustBeAdmin(request, options.adminKey);
      send(response, 202, { status: "stopping" });
      options.stop();
    },
  };
  /** Images in a page carry no token, so the browser's session will do. */
  const isOwner = (request: IncomingMessage): boolean =>
    isAdmin(request, options.adminKey) ||
    sessions.isOpen(request.headers.cookie, options.now()) ||
    isOwnerToken(request.headers.authorization?.replace(/^Bearer /, "") ?? "", options.signing, options.now());
  const findMedia = (path: string, request: IncomingMessage): Handler | undefined => {
    if (request.method !== "GET") return undefined;
    const route = findMediaRoute(options.media, path, new URL(request.url ?? "/", "http://nika").searchParams);
    return (
      route &&
      (async (_request, response) => {
        if (!isOwner(request)) throw new NikaError("denied", "Only the owner may look at this.");
        const gone = new AbortController();
        response.on("close", () => gone.abort());
        await route(response, gone.signal);
      })
    );
  };
  const find = (path: string, request: IncomingMessage): Handler | undefined =>
    table[`${request.method ?? "GET"} ${path}`] ??
    bridge(options, options.bridge, path) ??
    bridge(options, options.functions, path) ??
    bridge(options, options.gpu, path) ??
    bridge(options, options.workers, path) ??
    (path.startsWith("/nika/secrets") ? secrets(options, path) : undefined) ??
    (path.startsWith("/api/schedules") ? schedules(options, path) : findMedia(path, request));
  return {
    handle(path, request, response) {
      // An address may be such that looking for who answers it fails: that is an answer, too, and not the end of the process.
      let found: Handler | undefined | Error;
      try {
        found = find(path, request);
      } catch (thrown) {
        found = toNikaError(thrown);
      }
      const handler = found;
      if (!handler && !path.startsWith("/nika/")) return false;
      void respond(response, options.log, async () => {
        if (handler instanceof Error) throw handler;
        if (!handler) throw new NikaError("missing", `There is no ${request.method ?? "GET"} ${path} here.`);
        await handler(request, response);
      });
      return true;
    },
  };
}

/** Runs a handler; what it throws becomes a status and one sentence, and the cause goes to the log. */
async function respond(response: ServerResponse, log: (line: string) => void, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (thrown) {
    const error = toNikaError(thrown);
    if (error.code === "bug") log(`http: ${String(error.cause instanceof Error ? error.cause.stack : error.cause)}`);
    if (!response.headersSent) send(response, httpStatuses[error.code], { code: error.code, message: error.message });
    else response.destroy();
  }
}

async function openSession(request: IncomingMessage, response: ServerResponse, sessions: Sessions, nowMs: number): Promise<void> {
  const { code } = await readJson(request);
  const cookie = typeof code === "string" ? sessions.open(code, nowMs) : undefined;
  if (cookie === undefined) {
    send(response, 410, {
      code: "denied",
      message: "This link was used already or has expired; make a new one with `nika link`.",
    });
    return;
  }
  response.setHeader("Set-Cookie", cookie);
  send(response, 204);
}

/** A call for the owner alone. Who hangs up is no longer worked for. */
function owners(
  options: RouteOptions,
  run: (body: Record<string, unknown>, signal: AbortSignal) => Promise<object>,
  bytesMax = bodyBytesMax,
): Handler {
  return async (request, response) => {
    mustBeOwner(request, options);
    const body = await readJson(request, bytesMax);
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    send(response, 200, await run(body, gone.signal));
  };
}

/** Schedules carry their version in a header, as the web has it: an edit of what moved on is refused. */
function schedules(options: RouteOptions, path: string): Handler {
  return async (request, response) => {
    mustBeOwner(request, options);
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const answer = await answerSchedules(options.schedules, {
      method: request.method ?? "GET",
      path,
      ifMatch: request.headers["if-match"],
      body: () => readJson(request),
      signal: gone.signal,
    });
    if (!answer) throw new NikaError("missing", `There is no ${path} here.`);
    if (answer.etag !== undefined) response.setHeader("ETag", answer.etag);
    send(response, answer.status, answer.body);
  };
}

/** The page and the command line; see http/secrets.ts for what only the latter may. */
function secrets(options: RouteOptions, path: string): Handler {
  return async (request, response) => {
    const isByAdmin = isAdmin(request, options.adminKey);
    if (!isByAdmin) mustBeOwner(request, options);
    const answer = await answerSecrets(options.secrets, {
      method: request.method ?? "GET",
      path,
      isAdmin: isByAdmin,
      body: () => readJson(request),
    });
    if (!answer) throw new NikaError("missing", `There is no ${request.method ?? "GET"} ${path} here.`);
    send(response, 200, answer);
  };
}

function bridge({ signing, now }: RouteOptions, find: BridgeRoutes, path: string): Handler | undefined {
  const route = find(path);
  if (!route) return undefined;
  return (request, response) =>
    route(request, response, {
      isOwner: (token) => isOwnerToken(token, signing, now()),
      readJson,
      send: (status, body) => send(response, status, body),
    });
}

function mustBeOwner(request: IncomingMessage, { signing, now }: RouteOptions): void {
  const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
  if (!isOwnerToken(token, signing, now())) throw new NikaError("denied", "Only the owner may ask.");
}

function isAdmin(request: IncomingMessage, adminKey: string): boolean {
  const [scheme, key] = (request.headers.authorization ?? "").split(" ", 2);
  return scheme === "Convex" && key !== undefined && isSame(key, adminKey);
}

function mustBeAdmin(request: IncomingMessage, adminKey: string): void {
  if (!isAdmin(request, adminKey))
    throw new NikaError("denied", "Only the machine's owner may do this, with the appliance's own key.");
}

async function readJson(request: IncomingMessage, bytesMax = bodyBytesMax): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > bytesMax) throw new NikaError("invalid", `The request is larger than ${bytesMax / 1024} KB.`);
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through: malformed and not-an-object are one mistake to the sender.
  }
  throw new NikaError("invalid", "The request must be a JSON object.");
}

function send(response: ServerResponse, status: number, body?: object): void {
  response.setHeader("Cache-Control", "no-store");
  if (body === undefined) response.writeHead(status).end();
  else response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}
