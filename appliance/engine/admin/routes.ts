/** What Convex's command line asks over HTTP. Every one of these needs the admin key, in the header or, for pushes, in the body. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { NikaError } from "../../../convex/model/error.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { DeveloperError } from "../codec/value.ts";
import type { Core } from "../core.ts";
import type { DeploymentChanges, EnvChange } from "../deploy/deployable.ts";
import { readJsonObject } from "../http/body.ts";
import { sendJsonText } from "../http/reply.ts";

export type AdminParts = {
  readonly core: Core;
  readonly auth: Authenticator;
  readonly origin: () => string;
  readonly dir: string;
  readonly log: (line: string) => void;
};

type AdminRoute = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>;

/** A route found here checks who asks by itself. */
export function adminRoutes(parts: AdminParts): (method: string, path: string) => AdminRoute | undefined {
  const { core } = parts;

  const answering =
    (work: (request: IncomingMessage, url: URL) => Promise<unknown>): AdminRoute =>
    async (request, response, url) => {
      await mustBeAdmin(parts.auth, request.headers.authorization);
      sendJsonText(response, 200, JSON.stringify(await plainly(() => work(request, url))));
    };

  const table: Readonly<Record<string, AdminRoute>> = {
    "POST /api/update_environment_variables": answering(async (request) => {
      await changesOf(core).setEnv(envChangesOf((await readJsonObject(request))["changes"]));
      return null;
    }),
    "GET /api/v1/get_canonical_urls": answering(async () => canonicalUrls(parts.origin())),
  };
  return (method, path) => table[`${method} ${path}`];
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
