/** What Convex's command line asks over HTTP. Every one of these needs the admin key, in the header or, for pushes, in the body. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { NikaError } from "../../../convex/model/error.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { DeveloperError } from "../codec/value.ts";
import type { Core } from "../core.ts";
import type { DeploymentChanges, EnvChange } from "../model/deployment.ts";
import { openPushes, PushRefusal } from "../deploy/push.ts";
import { readBody, readJsonObject } from "../http/body.ts";
import { sendJsonText } from "../http/reply.ts";
import { openExports } from "./exports.ts";
import { openImports } from "./imports.ts";

export type AdminParts = {
  readonly core: Core;
  readonly auth: Authenticator;
  readonly origin: () => string;
  readonly dir: string;
  readonly log: (line: string) => void;
};

type AdminRoute = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>;

const snapshotPrefix = "/api/export/zip/";
const packedPushBytesMax = 64 * 1024 * 1024;
const pushBytesMax = 256 * 1024 * 1024;
const unpack = promisify(brotliDecompress);

/** A route found here checks who asks by itself. */
export function adminRoutes(parts: AdminParts): (method: string, path: string) => AdminRoute | undefined {
  const { core } = parts;

  const answering =
    (work: (request: IncomingMessage, url: URL) => Promise<unknown>): AdminRoute =>
    async (request, response, url) => {
      await mustBeAdmin(parts.auth, request.headers.authorization);
      sendJsonText(response, 200, JSON.stringify(await plainly(() => work(request, url))));
    };

  const pushes = openPushes(parts);
  const exports = openExports(parts);
  const imports = openImports(parts);
  const pushing =
    (work: (body: Readonly<Record<string, unknown>>) => Promise<unknown>): AdminRoute =>
    async (request, response) => {
      const body = await readPush(request);
      const key = body["adminKey"];
      await mustBeAdmin(parts.auth, typeof key === "string" ? `Convex ${key}` : request.headers.authorization);
      try {
        sendJsonText(response, 200, JSON.stringify(await plainly(() => work(body))));
      } catch (error) {
        // The command line has more to say to some refusals, and knows them by these codes.
        if (!(error instanceof NikaError) || !(error.cause instanceof PushRefusal)) throw error;
        sendJsonText(response, 400, JSON.stringify({ code: error.cause.code, message: error.message }));
      }
    };

  const table: Readonly<Record<string, AdminRoute>> = {
    "POST /api/update_environment_variables": answering(async (request) => {
      await changesOf(core).setEnv(envChangesOf((await readJsonObject(request))["changes"]));
      return null;
    }),
    "POST /api/get_config_hashes": pushing(async () => ({
      config: { functions: "convex/" },
      moduleHashes: pushes.hashes(),
      nodeDependencies: [],
      udfServerVersion: null,
      nodeVersion: null,
    })),
    "POST /api/deploy2/evaluate_schema": pushing((body) => pushes.evaluateSchema(body)),
    "POST /api/deploy2/evaluate_push": pushing((body) => pushes.evaluate(body)),
    "POST /api/deploy2/start_push": pushing((body) => pushes.start(body)),
    "POST /api/deploy2/wait_for_schema": pushing((body) => pushes.waitForSchema(body)),
    "POST /api/deploy2/finish_push": pushing((body) => pushes.finish(body)),
    "POST /api/deploy2/report_push_completed": pushing(async () => null),
    "POST /api/export/request/zip": answering(async (_request, url) => {
      await exports.request(url.searchParams.get("includeStorage") === "true");
      return {};
    }),
    "POST /api/import/start_upload": answering(async () => imports.start()),
    "POST /api/import/upload_part": answering(async (request, url) =>
      imports.part(
        url.searchParams.get("uploadToken") ?? "",
        Number(url.searchParams.get("partNumber")),
        await readBody(request, packedPushBytesMax),
      ),
    ),
    "POST /api/import/finish_upload": answering(async (request) => {
      const body = await readJsonObject(request);
      return imports.finish(textOf(body["uploadToken"]), body);
    }),
    "POST /api/perform_import": answering(async (request) => {
      await imports.perform(textOf((await readJsonObject(request))["importId"]));
      return null;
    }),
    "GET /api/v1/get_canonical_urls": answering(async () => canonicalUrls(parts.origin())),
  };
  const download: AdminRoute = async (request, response, url) => {
    await mustBeAdmin(parts.auth, request.headers.authorization);
    const ts = url.pathname.slice(snapshotPrefix.length);
    const path = await plainly(async () => exports.path(ts));
    const { size } = await stat(path).catch((cause: unknown) => {
      throw new NikaError("missing", "There is no snapshot of that time.", { cause });
    });
    response.writeHead(200, {
      "Content-Type": "application/zip",
      "Content-Length": size,
      "Content-Disposition": `attachment; filename=snapshot_${ts}.zip`,
    });
    await pipeline(createReadStream(path), response);
  };

  return (method, path) => (method === "GET" && path.startsWith(snapshotPrefix) ? download : table[`${method} ${path}`]);
}

export async function mustBeAdmin(auth: Authenticator, authorization: string | undefined): Promise<void> {
  const { identity } = await auth.identifyHeader(authorization);
  if (identity.type !== "admin") throw new NikaError("denied", "Only an admin key may do this.");
}

export function changesOf(core: Core): DeploymentChanges {
  if (core.changes) return core.changes;
  throw new NikaError("invalid", "This engine was opened without the means to change its deployment.");
}

/** What an administrator can mend is told; anything else stays inside. */
async function plainly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DeveloperError) throw new NikaError("invalid", error.message, { cause: error });
    throw error;
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function canonicalUrls(origin: string): { convexCloudUrl: string; convexSiteUrl: string } {
  return { convexCloudUrl: origin, convexSiteUrl: `${origin}/http` };
}

function envChangesOf(value: unknown): readonly EnvChange[] {
  if (!Array.isArray(value)) throw new NikaError("invalid", "changes must be a list.");
  return value.map((one: unknown) => {
    const { name, value: text } = (one ?? {}) as Record<string, unknown>;
    if (typeof name !== "string" || (typeof text !== "string" && text !== null))
      throw new NikaError("invalid", "Each change has a name, and a value or null.");
    return { name, value: text };
  });
}

/** The command line packs large bodies. What unpacks to more than a push may be is refused while it is unpacked. */
async function readPush(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const packed = await readBody(request, packedPushBytesMax);
  let body: unknown;
  try {
    const bytes = request.headers["content-encoding"] === "br" ? await unpack(packed, { maxOutputLength: pushBytesMax }) : packed;
    body = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new NikaError("invalid", "The body of this push cannot be read.", { cause });
  }
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  throw new NikaError("invalid", "The body must be a JSON object.");
}
