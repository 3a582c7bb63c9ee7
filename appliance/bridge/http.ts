/** The bridge on the appliance's own socket: MCP under /mcp/bridge, plain JSON under /api/bridge. Everybody shows a token. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { State } from "../../functions/ports/state.ts";
import { bridgeVerbs, type Bridge, type BridgeVerb, type Speaker } from "./bridge.ts";
import { instructionsOf, toTools } from "./tools.ts";

export const mcpPath = "/mcp/bridge";
const apiPrefix = "/api/bridge/";

export type BridgeRoutesOptions = {
  readonly bridge: Bridge;
  readonly state: State;
  readonly version: string;
  readonly log: (line: string) => void;
};

/** What the routes need from the server around them. */
export type BridgeExchange = {
  /** The owner's own token is good for everything. */
  readonly isOwner: (token: string) => boolean;
  readonly readJson: (request: IncomingMessage) => Promise<Record<string, unknown>>;
  readonly send: (status: number, body: object) => void;
};

/** Undefined when the path is none of ours. */
export type BridgeRoutes = (
  path: string,
) => ((request: IncomingMessage, response: ServerResponse, exchange: BridgeExchange) => Promise<void>) | undefined;

export function bridgeRoutes({ bridge, state, version, log }: BridgeRoutesOptions): BridgeRoutes {
  const speakerOf = async (request: IncomingMessage, isOwner: (token: string) => boolean): Promise<Speaker> => {
    const [, token] = /^Bearer ([\x21-\x7e]{16,4096})$/iu.exec(request.headers.authorization ?? "") ?? [];
    if (token !== undefined) {
      if (isOwner(token)) return { name: "owner", role: "owner", target: undefined };
      const known = await state.query(internal.bridgeTokens.authorize, { hash: hashToken(token) });
      if (known) return { name: known.name, role: known.role, target: known.target };
    }
    throw new NikaError("denied", "This needs a token of the bridge; make one with `nika bridge token NAME`.");
  };
  return (path) => {
    if (path === mcpPath)
      return async (request, response, { isOwner }) => {
        mustNotBeAPage(request);
        const speaker = await speakerOf(request, isOwner).catch((error: unknown) => {
          // Clients ask for a token when they are told that they need one.
          response.setHeader("WWW-Authenticate", 'Bearer realm="nika"');
          throw error;
        });
        const { answerMcp } = await import("../mcp/server.ts");
        await answerMcp(request, response, {
          name: "nika-bridge",
          version,
          instructions: instructionsOf(speaker.role),
          tools: toTools(speaker.role, (verb, args, signal) => bridge.call(speaker, verb, args, signal)),
          log,
        });
      };
    const verb = path.startsWith(apiPrefix) ? path.slice(apiPrefix.length) : undefined;
    if (!bridgeVerbs.includes(verb as BridgeVerb)) return undefined;
    return async (request, response, { isOwner, readJson, send }) => {
      if (request.method !== "POST") throw new NikaError("invalid", "Only POST works here.");
      const speaker = await speakerOf(request, isOwner);
      const args = await readJson(request);
      const gone = new AbortController();
      response.on("close", () => gone.abort());
      const answer = await bridge.call(speaker, verb as BridgeVerb, args, gone.signal);
      if (!gone.signal.aborted) send(200, answer);
    };
  };
}

/** A page elsewhere must not speak through the owner's browser; ours does not use MCP. */
function mustNotBeAPage({ headers: { origin, host } }: IncomingMessage): void {
  if (origin !== undefined && URL.parse(origin)?.host !== host)
    throw new NikaError("denied", "Pages of other sites may not use this.");
}

/** Hex. Tokens are random, so a plain hash of one tells nothing. */
export const hashToken = (token: string): string => createHash("sha256").update(token).digest("hex");
