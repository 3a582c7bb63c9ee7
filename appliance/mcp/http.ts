/** MCP on the appliance's own socket: the gateway under /mcp, and what the owner does about servers under /nika/mcp/. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { Seen } from "../../convex/model/serverView.ts";
import type { State } from "../../functions/ports/state.ts";
import type { Accounts } from "./auth/accounts.ts";
import type { AuthServer } from "./auth/authServer.ts";
import { answerCallback, answerClient, callbackPath, clientPath } from "./auth/callback.ts";
import type { Verbs } from "./auth/verbs.ts";
import { registryPath } from "./discover/serve.ts";
import type { McpControl } from "./control.ts";
import type { Edge } from "./edge.ts";
import type { Visitor } from "./conversation.ts";
import type { ToolMode } from "./lists.ts";
import { isRecord } from "./meta.ts";

export const gatewayPath = "/mcp";
export const pipePath = "/mcp/pipe";
const apiPrefix = "/nika/mcp/";
const bodyBytesMax = 1024 * 1024;
/** A token that was right a moment ago is not looked at again; checking one costs more than a call. */
const trustedMs = 20_000;
const trustedMax = 64;

export type Exchange = {
  readonly isOwner: (token: string) => boolean;
  readonly readJson: (request: IncomingMessage, bytesMax?: number) => Promise<Record<string, unknown>>;
  readonly send: (status: number, body: object) => void;
};
export type McpRoutes = {
  /** Undefined when the path is none of ours. */
  find(path: string): ((request: IncomingMessage, response: ServerResponse, exchange: Exchange) => Promise<void>) | undefined;
  /** Takes the socket when it is for us. */
  upgrade(request: IncomingMessage, socket: Duplex, isOwner: (token: string) => boolean): boolean;
  close(): void;
};

export type McpRoutesOptions = {
  readonly mcp: () => McpControl;
  readonly edge: () => Edge;
  readonly accounts: Accounts;
  readonly authServer: AuthServer;
  readonly verbs: Verbs;
  /** Where browsers reach Nika, the first one its own name. */
  readonly origins: readonly string[];
  readonly state: State;
  readonly now: () => number;
  readonly log: (line: string) => void;
};

export function mcpRoutes(options: McpRoutesOptions): McpRoutes {
  const { mcp, edge, accounts, authServer, verbs, origins, state, now, log } = options;
  const trusted = new Map<string, number>();
  let holders = new Map<string, string>();
  const isKnown = Promise.withResolvers<void>();
  // Told at once when one is revoked.
  const unwatch = state.watch(
    internal.servers.tokenHashes,
    {},
    (rows) => {
      holders = new Map(rows.map(({ hash, name }) => [hash, name]));
      isKnown.resolve();
    },
    (error) => log(`mcp: tokens cannot be told: ${String(error)}`),
  );
  const ownerOf = (token: string, isOwner: (token: string) => boolean): boolean => {
    if ((trusted.get(token) ?? 0) > now()) return true;
    if (!isOwner(token)) return false;
    if (trusted.size >= trustedMax) trusted.clear();
    trusted.set(token, now() + trustedMs);
    return true;
  };
  const tokenOf = ({ headers }: IncomingMessage): string | undefined =>
    /^Bearer ([\x21-\x7e]{16,4096})$/iu.exec(headers.authorization ?? "")?.[1];
  const visitorOf = async (request: IncomingMessage, isOwner: (token: string) => boolean): Promise<Visitor> => {
    const token = tokenOf(request);
    const mode = modeOf(request);
    if (token?.startsWith("nkm_") === true) {
      await isKnown.promise;
      const name = holders.get(createHash("sha256").update(token).digest("hex"));
      if (name !== undefined) return { principal: `token:${name}`, mode };
    } else if (token !== undefined && ownerOf(token, isOwner)) return { principal: "owner", mode };
    const client = token === undefined ? undefined : await authServer.holderOf(token);
    if (client !== undefined) return { principal: `client:${client}`, mode };
    throw new NikaError("denied", "This needs a token for Nika's tools; make one with `nika mcp token NAME`.");
  };
  return {
    find(path) {
      if (path === gatewayPath)
        return async (request, response, { isOwner }) => {
          mustNotBeAPage(request);
          const visitor = await visitorOf(request, isOwner).catch((error: unknown) => {
            // Clients look for a sign-in when they are told where it is.
            response.setHeader("WWW-Authenticate", authServer.challenge(request, tokenOf(request) !== undefined));
            throw error;
          });
          await edge().answer(request, response, visitor);
        };
      const signIn = authServer.find(path);
      if (signIn) return signIn;
      if (path === callbackPath)
        return ({ url = "", headers }, response) =>
          answerCallback(response, { url, language: headers["accept-language"], accounts });
      if (path === clientPath)
        return (_request, response) => {
          const [publicUrl = ""] = origins;
          answerClient(response, { publicUrl, redirectUrls: origins.map((one) => one + callbackPath) });
          return Promise.resolve();
        };
      if (path.startsWith(registryPath))
        return async (request, _response, { isOwner, send }) => {
          mustNotBeAPage(request);
          await visitorOf(request, isOwner);
          if (request.method !== "GET") throw new NikaError("invalid", "Only GET works here.");
          send(200, mcp().discover.serve(new URL(request.url ?? "/", "http://nika")));
        };
      if (!path.startsWith(apiPrefix)) return undefined;
      const verb = path.slice(apiPrefix.length);
      return async (request, response, { isOwner, readJson, send }) => {
        const token = tokenOf(request);
        if (token === undefined || !isOwner(token)) throw new NikaError("denied", "Only the owner may do this.");
        if (request.method !== "POST") throw new NikaError("invalid", "Only POST works here.");
        const gone = new AbortController();
        response.on("close", () => gone.abort());
        const body = await readJson(request, bodyBytesMax);
        const answer =
          (await verbs.answer(verb, body, [request, response])) ?? (await answerOwner(mcp(), verb, body, gone.signal));
        if (!gone.signal.aborted) send(200, answer);
      };
    },
    upgrade(request, socket, isOwner) {
      if ((request.url ?? "").split("?", 1)[0] !== pipePath) return false;
      const refuse = (): void => void socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
      if (request.headers.origin !== undefined) refuse();
      else
        visitorOf(request, isOwner).then((visitor) => {
          socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: mcp\r\nConnection: Upgrade\r\n\r\n");
          edge().serve(socket, visitor);
        }, refuse);
      return true;
    },
    close: unwatch,
  };
}

function modeOf({ url }: IncomingMessage): ToolMode {
  const mode = new URL(url ?? "/", "http://nika").searchParams.get("tools");
  return mode === "all" || mode === "search" ? mode : "auto";
}

/** A page elsewhere must not speak through the owner's browser; ours does not use MCP. */
function mustNotBeAPage({ headers: { origin, host } }: IncomingMessage): void {
  if (origin !== undefined && URL.parse(origin)?.host !== host)
    throw new NikaError("denied", "Pages of other sites may not use this.");
}

type Body = Readonly<Record<string, unknown>>;

const isDigest = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/u.test(value);

function seenIn({ seen }: Body, what: string): string {
  if (isDigest(seen)) return seen;
  throw new NikaError("invalid", `A yes names what it is for by the digest that was shown: "seen" is the SHA-256 of ${what}.`);
}

/** What the owner does, by page or command line. */
async function answerOwner(mcp: McpControl, verb: string, body: Body, signal: AbortSignal): Promise<object> {
  const name = (): string => {
    const { name: given } = body;
    if (typeof given !== "string" || given === "" || given.length > 300)
      throw new NikaError("invalid", "Say which, by its name.");
    return given;
  };
  switch (verb) {
    case "list":
      return { servers: mcp.list() };
    case "test":
      return mcp.test(name(), signal);
    case "approve": {
      const { seen } = body;
      if (
        body["tools"] !== undefined ||
        !isRecord(seen) ||
        Object.keys(seen).length === 0 ||
        !Object.values(seen).every(isDigest)
      )
        throw new NikaError(
          "invalid",
          'An approval names what it approves by the digest that was shown: "seen" is an object such as {"tool NAME": sha256}, and nothing else is approved.',
        );
      return { approved: mcp.approve(name(), seen as Seen) };
    }
    case "upgrade": {
      if (typeof body["isAccepted"] !== "boolean") throw new NikaError("invalid", 'Say "isAccepted": true or false.');
      await mcp.upgrade(name(), body["isAccepted"] ? seenIn(body, "the differences") : undefined);
      return { name: name(), isAccepted: body["isAccepted"] };
    }
    case "allow": {
      const isAllowed = body["isAllowed"] !== false;
      await mcp.allow(name(), isAllowed ? seenIn(body, "its command") : undefined);
      return { name: name(), isAllowed };
    }
    case "restart":
      await mcp.restart(name());
      return { name: name() };
    case "call": {
      const { arguments: args = {} } = body;
      if (typeof args !== "object" || args === null || Array.isArray(args))
        throw new NikaError("invalid", "Arguments are an object.");
      return mcp.call(name(), args as Record<string, unknown>, signal);
    }
    case "remove":
      return { removed: await mcp.remove(name()) };
    case "turn":
      await mcp.turn(name(), body["isOn"] !== false);
      return { name: name(), isOn: body["isOn"] !== false };
    case "reload":
      await mcp.reload();
      return { servers: mcp.list() };
    case "stats":
      return mcp.stats(typeof body["days"] === "number" ? Math.min(3_660, Math.max(1, body["days"])) : 30);
    case "acceptLog":
      mcp.acceptLog();
      return {};
    case "seen":
      return { seen: mcp.seen(body["isOver"] === true) };
    case "events":
      return { events: mcp.events(typeof body["limit"] === "number" ? Math.min(1_000, Math.max(1, body["limit"])) : 50) };
    default: {
      const answer = mcp.discover.answer(verb, body, signal) ?? mcp.builder.answer(verb, body, signal);
      if (answer) return answer;
      throw new NikaError("missing", `There is no /nika/mcp/${verb} here.`);
    }
  }
}
