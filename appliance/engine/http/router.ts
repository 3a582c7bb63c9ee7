/** Which request goes where. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { NikaError } from "../../../convex/model/error.ts";
import { adminRoutes } from "../admin/routes.ts";
import { allowOrigin, answerPreflight, type OriginRule } from "./cors.ts";
import { download } from "./download.ts";
import { functionRoutes, type FunctionParts } from "./functions.ts";
import { runHttpAction } from "./httpActions.ts";
import { Refusal, sendError, sendJsonText, sendText } from "./reply.ts";
import { upload } from "./upload.ts";
import type { RunLog } from "../logs/runLog.ts";
import { streamLogs } from "../logs/streamLogs.ts";

export type RouterParts = FunctionParts & {
  readonly origin: () => string;
  readonly isAllowedOrigin: OriginRule;
  readonly uploadsDir: string;
  /** Holds the engine's data. */
  readonly dir: string;
  readonly runs?: RunLog | undefined;
  readonly log: (line: string) => void;
};

/** Answers when the path is the engine's; false otherwise. */
export type Router = (request: IncomingMessage, response: ServerResponse) => boolean;

const name = "nika";
/** Addresses that most calls have, parsed once. */
const plainUrls: ReadonlyMap<string, URL> = new Map(
  ["query", "mutation", "action"].map((one) => [`/api/${one}`, new URL(`http://localhost/api/${one}`)]),
);

export function openRouter(parts: RouterParts): Router {
  const findFunction = functionRoutes(parts);
  const findAdmin = adminRoutes(parts);

  async function answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { pathname } = url;
    if (pathname === "/http" || pathname.startsWith("/http/")) return runHttpAction(parts, request, response, url);
    if (!allowOrigin(request, response, parts.isAllowedOrigin))
      throw new Refusal(403, "denied", "Pages of this origin may not use the API.");
    if (request.method === "OPTIONS") return answerPreflight(request, response);
    if (pathname === "/version" || pathname === "/instance_version") return sendText(response, name);
    if (pathname === "/instance_name") return sendText(response, name);
    return answerApi(request, response, url);
  }

  async function answerApi(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { pathname } = url;
    const method = request.method ?? "";
    if (pathname === "/api/storage/upload") {
      if (method !== "POST") throw new Refusal(405, "invalid", "Files are uploaded with POST.");
      const { storageId } = await upload(
        { core: parts.core, dir: parts.uploadsDir },
        request,
        url.searchParams.get("token") ?? "",
      );
      return sendJsonText(response, 200, JSON.stringify({ storageId }));
    }
    if (pathname.startsWith("/api/storage/")) {
      if (method !== "GET" && method !== "HEAD") throw new Refusal(405, "invalid", "Stored files are only read.");
      return download(parts.core, request, response, pathname.slice("/api/storage/".length));
    }
    if (pathname === "/api/stream_function_logs")
      return sendJsonText(response, 200, await streamLogs({ auth: parts.auth, runs: parts.runs }, request, url));
    const admin = findAdmin(method, pathname);
    if (admin) return admin(request, response, url);
    const route = findFunction(method, pathname);
    if (!route) throw new NikaError("missing", `There is nothing at ${method} ${pathname}.`);
    return sendJsonText(response, 200, await route(request, url));
  }

  return (request, response) => {
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    if (!/^\/(?:api|http)(?:\/|$)|^\/(?:version|instance_name|instance_version)$/.test(path)) return false;
    const url = plainUrls.get(request.url ?? "") ?? URL.parse(request.url ?? "", "http://localhost");
    if (url) answer(request, response, url).catch((error: unknown) => sendError(response, error, parts.log));
    else sendError(response, new NikaError("invalid", "This is not an address."), parts.log);
    return true;
  };
}
