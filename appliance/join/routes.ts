/** What workers on other machines ask of this appliance over HTTP, each time with the secret that they were given. */
import { createReadStream } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../convex/model/error.ts";
import type { Door } from "./door.ts";

/** The models that workers may have: what there is of one, and where a file of it lies. Fails with `missing` for any other. */
type Models = {
  list(embedderId: string): Promise<object>;
  find(embedderId: string, sha256: string): Promise<{ readonly file: string; readonly sizeBytes: number }>;
};

type Route = (
  request: IncomingMessage,
  response: ServerResponse,
  answer: { readonly send: (status: number, body: object) => void },
) => Promise<void>;

const modelPath = /^\/nika\/worker\/models\/(?<embedderId>[\w.%-]{1,200})(?:\/(?<sha256>[0-9a-f]{64}))?$/u;

export function workerRoutes({ door, models }: { readonly door: Door; readonly models: Models }) {
  return (path: string): Route | undefined => {
    if (path === "/nika/worker")
      return async (request, _response, { send }) => {
        if (request.method !== "POST") throw new NikaError("missing", `There is no ${request.method ?? "GET"} ${path} here.`);
        send(200, await door.enter(secretOf(request)));
      };
    const { embedderId, sha256 } = modelPath.exec(path)?.groups ?? {};
    if (embedderId === undefined) return undefined;
    return async (request, response, { send }) => {
      if (request.method !== "GET") throw new NikaError("missing", `There is no ${request.method ?? "?"} ${path} here.`);
      await door.mustBeKnown(secretOf(request));
      const id = decoded(embedderId);
      if (sha256 === undefined) return send(200, await models.list(id));
      const { file, sizeBytes } = await models.find(id, sha256);
      response.writeHead(200, {
        "Content-Type": "application/octet-stream",
        "Content-Length": sizeBytes,
        "Cache-Control": "no-store",
      });
      await pipeline(createReadStream(file), response);
    };
  };
}

function secretOf({ headers }: IncomingMessage): string {
  const [scheme, secret] = (headers.authorization ?? "").split(" ", 2);
  return scheme === "Bearer" ? (secret ?? "") : "";
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new NikaError("missing", "There is no such model here.");
  }
}
