/** The command line's way into the running appliance: the same doors every other client uses. */
import type { ConvexClient, ConvexHttpClient } from "convex/browser";
import { codes, NikaError, type Code } from "../../convex/model/error.ts";
import type { Config } from "../config.ts";
import { getRun, readAdminKey, type Run } from "./running.ts";

type Request = {
  readonly body?: unknown;
  readonly authorization?: string;
  /** The version of what is changed, as it was seen. */
  readonly ifMatch?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

type Method = "GET" | "POST" | "PATCH" | "DELETE";

export type Client = {
  readonly run: Run;
  /** POST to one of the appliance's own routes; the parsed reply, or undefined when it is empty. */
  post<T>(path: string, request?: Request): Promise<T>;
  get<T>(path: string, request?: Request): Promise<T>;
  send<T>(method: "PATCH" | "DELETE", path: string, request?: Request): Promise<T>;
  /** As the holder of the admin key. */
  readonly adminAuthorization: string;
  /** An owner token, good for an hour. */
  token(): Promise<string>;
  /** Where this command reaches the control plane. */
  convexUrl(): Promise<string>;
  /** To the control plane itself, with its administrator's key. */
  admin<T>(method: "GET" | "POST", path: string, request?: Request): Promise<T>;
  /** The same for queries: one-shot, and live (close that). */
  adminHttp(): Promise<ConvexHttpClient>;
  adminLive(): Promise<ConvexClient>;
  /** For one-shot queries and mutations. */
  http(): Promise<ConvexHttpClient>;
  /** For live queries. Close it, or the command does not end. */
  live(): Promise<ConvexClient>;
};

/** An administrator has no name of his own; functions that look for one find the owner. */
const asOwner = Buffer.from(
  JSON.stringify({ issuer: "https://nika.internal", subject: "owner", tokenIdentifier: "https://nika.internal|owner" }),
).toString("base64");

/** Long enough for a machine that swaps, short enough to notice a hung appliance. */
const replyMs = 30_000;

/** Fails with `unavailable` when no appliance runs on this data directory. */
export function openClient({ dataDir, state }: Pick<Config, "dataDir" | "state">): Client {
  const run = getRun(dataDir);
  const adminAuthorization = `Convex ${readAdminKey(dataDir)}`;
  const send = <T>(method: Method, path: string, request: Request = {}): Promise<T> =>
    sendTo<T>(`${run.localUrl}${path}`, method, request);
  const token = async (): Promise<string> =>
    (await send<{ token: string }>("POST", "/nika/token", { authorization: adminAuthorization })).token;
  // What the appliance tells is for browsers, which may be elsewhere. We are on its machine and take the short way.
  const convexUrl = async (): Promise<string> => {
    if (state.type === "convex") return state.url;
    const told = (await send<{ convexUrl: string }>("GET", "/nika/config")).convexUrl;
    return told === run.url ? run.localUrl : told;
  };
  const controlKey = (): string => (state.type === "convex" ? state.adminKey : readAdminKey(dataDir));
  return {
    run,
    admin: async (method, path, request) =>
      sendTo(`${await convexUrl()}${path}`, method, { ...request, authorization: `Convex ${controlKey()}:${asOwner}` }),
    async adminHttp() {
      const [{ ConvexHttpClient }, url] = await Promise.all([import("convex/browser"), convexUrl()]);
      return asAdmin(new ConvexHttpClient(url, { logger: false, skipConvexDeploymentUrlCheck: true }), controlKey());
    },
    async adminLive() {
      const [{ ConvexClient }, url] = await Promise.all([import("convex/browser"), convexUrl()]);
      const client = new ConvexClient(url, { logger: false, skipConvexDeploymentUrlCheck: true });
      asAdmin(client.client, controlKey());
      return client;
    },
    adminAuthorization,
    post: (path, request) => send("POST", path, request),
    get: (path, request) => send("GET", path, request),
    send,
    token,
    convexUrl,
    async http() {
      const [{ ConvexHttpClient }, url, auth] = await Promise.all([import("convex/browser"), convexUrl(), token()]);
      return new ConvexHttpClient(url, { auth, logger: false, skipConvexDeploymentUrlCheck: true });
    },
    async live() {
      const [{ ConvexClient }, url] = await Promise.all([import("convex/browser"), convexUrl()]);
      const client = new ConvexClient(url, { logger: false, skipConvexDeploymentUrlCheck: true });
      client.setAuth(() => token());
      return client;
    },
  };
}

async function sendTo<T>(
  url: string,
  method: Method,
  { body, authorization, ifMatch, timeoutMs = replyMs, signal }: Request,
): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(authorization === undefined ? {} : { authorization }),
      ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]),
  }).catch((error: unknown) => {
    if (error instanceof Error && error.name === "TimeoutError")
      throw new NikaError("timeout", "Nika took too long to answer; see `nika doctor`.", { cause: error });
    throw error;
  });
  const text = await response.text();
  if (!response.ok) throw refusal(response.status, text);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** The appliance's errors are `{code, message}`; anything else came from something that is not Nika. */
function refusal(status: number, text: string): NikaError {
  try {
    const { code, message } = JSON.parse(text) as { code?: string; message?: string };
    if (code !== undefined && code in codes && message !== undefined) return new NikaError(code as Code, message);
  } catch {
    // Not JSON: falls through to the sentence below.
  }
  return new NikaError("unavailable", `Nika answered with an unexpected status ${status}; see its log.`, {
    cause: text.slice(0, 500),
  });
}

/** Convex's own tools reach what is not in the clients' types. */
function asAdmin<T extends object>(client: T, key: string): T {
  (client as unknown as { setAdminAuth(key: string): void }).setAdminAuth(key);
  return client;
}
