/**
 * Signing in at the service behind a made server: OAuth 2.0 with PKCE at the addresses of its document. The tokens are one secret; the server is only
 * ever handed the access token, so what runs in the sandbox can neither renew it nor keep it for long.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  exchangeAuthorization,
  OAuthError,
  refreshAuthorization,
  startAuthorization,
  type AuthorizationServerMetadata,
  type OAuthTokens,
} from "@modelcontextprotocol/client";
import { parse } from "smol-toml";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";
import { openReach } from "../auth/reach.ts";
import { entriesOf, isObject, listOf, own } from "./json.ts";

/** What is kept as the secret, as JSON. */
export type Grant = {
  readonly type: "nika.oauth";
  readonly authorizationUrl: string;
  readonly tokenUrl: string;
  readonly client: { readonly client_id: string; readonly client_secret?: string };
  readonly tokens: OAuthTokens;
  /** Milliseconds since 1970. */
  readonly givenAt: number;
};

/** One of the ways in that a made server's mcp.toml describes. */
export type Way = {
  readonly secret: string;
  readonly authorizationUrl: string;
  readonly tokenUrl: string;
  readonly scopes: readonly string[];
};

/** Fails with `invalid` when its mcp.toml names no way in by OAuth, or one without encryption. */
export function wayIn(manifest: string): Way {
  let root: unknown;
  try {
    root = parse(manifest);
  } catch (cause) {
    throw new NikaError("invalid", "mcp.toml cannot be read.", { cause });
  }
  const way = entriesOf(own(root, "auth")).find(([, one]) => own(one, "kind") === "oauth2")?.[1];
  const [secret, authorizationUrl, tokenUrl] = ["secret", "authorization_url", "token_url"].map((key) => own(way, key));
  if (typeof secret !== "string" || typeof authorizationUrl !== "string" || typeof tokenUrl !== "string")
    throw new NikaError("invalid", "This server does not sign in by OAuth; `nika secrets set` keeps what it signs in with.");
  for (const url of [authorizationUrl, tokenUrl]) mustBeSafe(url);
  return { secret, authorizationUrl, tokenUrl, scopes: listOf(own(way, "scopes")).filter((one) => typeof one === "string") };
}

function mustBeSafe(url: string): void {
  const { protocol, hostname } = URL.parse(url) ?? {};
  const isHere = hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
  if (protocol !== "https:" && !(protocol === "http:" && isHere))
    throw new NikaError("invalid", `Tokens would travel without encryption: ${url.slice(0, 200)}.`);
}

/** The document says where; what it does not say is what every service of this kind does. */
const metadataOf = ({ authorizationUrl, tokenUrl }: Pick<Way, "authorizationUrl" | "tokenUrl">): AuthorizationServerMetadata => ({
  issuer: new URL(tokenUrl).origin,
  authorization_endpoint: authorizationUrl,
  token_endpoint: tokenUrl,
  response_types_supported: ["code"],
  code_challenge_methods_supported: ["S256"],
});

export type SignInOptions = {
  readonly way: Way;
  readonly client: Grant["client"];
  /** Of this machine, where the browser comes back; 0 for any that is free. */
  readonly port: number;
  /** Shown the address that the owner is to open. */
  readonly show: (url: string, redirectUrl: string) => void;
  readonly now: () => number;
  readonly signal: AbortSignal;
};

/** Waits for the owner's browser on a port of this machine alone. Fails with `denied` where he, or the service, says no. */
export async function signIn({ way, client, port, show, now, signal }: SignInOptions): Promise<Grant> {
  const state = randomBytes(24).toString("base64url");
  const metadata = metadataOf(way);
  const answer = Promise.withResolvers<URLSearchParams>();
  answer.promise.catch(() => undefined);
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? "/", "http://127.0.0.1");
    const isOurs =
      request.method === "GET" && url?.pathname === "/callback" && isSame(url.searchParams.get("state") ?? "", state);
    response.writeHead(isOurs ? 200 : 404, {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      connection: "close",
    });
    response.end(isOurs ? "You can close this page and go back to Nika.\n" : "There is nothing here.\n");
    if (isOurs) answer.resolve(url.searchParams);
  });
  const stop = (): void => answer.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    await new Promise<void>((done, fail) => {
      server.once("error", () => fail(new NikaError("conflict", `Port ${port} is taken; name another with --port.`)));
      server.listen(port, "127.0.0.1", done);
    });
    const redirectUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
    const scope = way.scopes.join(" ");
    const { authorizationUrl, codeVerifier } = await startAuthorization(metadata.issuer, {
      metadata,
      clientInformation: client,
      redirectUrl,
      state,
      ...(scope !== "" && { scope }),
    });
    show(authorizationUrl.href, redirectUrl);
    const came = await answer.promise;
    const code = came.get("code");
    if (code === null)
      throw new NikaError("denied", `The service says no: ${(came.get("error") ?? "it gave no code").slice(0, 200)}.`);
    const tokens = await exchangeAuthorization(metadata.issuer, {
      metadata,
      clientInformation: client,
      authorizationCode: code,
      codeVerifier,
      redirectUri: redirectUrl,
      fetchFn: openReach(way.tokenUrl),
    }).catch((error: unknown) => {
      throw toSentence(error, way.tokenUrl);
    });
    const { authorizationUrl: page, tokenUrl } = way;
    return { type: "nika.oauth", authorizationUrl: page, tokenUrl, client, tokens, givenAt: now() };
  } finally {
    signal.removeEventListener("abort", stop);
    server.closeAllConnections();
    server.close();
  }
}

/** In constant time. */
function isSame(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

/** The same with fresh tokens. Fails with `denied` when the service wants the owner to sign in again. */
export async function renewed(grant: Grant, now: () => number): Promise<Grant> {
  const { client, tokens } = grant;
  const metadata = metadataOf(grant);
  const fresh = await refreshAuthorization(metadata.issuer, {
    metadata,
    clientInformation: client,
    refreshToken: tokens.refresh_token ?? "",
    fetchFn: openReach(grant.tokenUrl),
  }).catch((error: unknown) => {
    throw toSentence(error, grant.tokenUrl);
  });
  const scope = fresh.scope ?? tokens.scope;
  return { ...grant, tokens: { ...fresh, ...(scope !== undefined && { scope }) }, givenAt: now() };
}

function toSentence(error: unknown, tokenUrl: string): NikaError {
  if (isNikaError(error)) return error;
  const { host } = new URL(tokenUrl);
  if (error instanceof OAuthError && error.code !== "server_error" && error.code !== "temporarily_unavailable")
    return new NikaError("denied", `${host} gives no token (${error.code.slice(0, 60)}); sign in again.`, {
      cause: error,
    });
  return new NikaError("unavailable", `${host} could not be asked for a token.`, { cause: error });
}

/** What a secret's value is, when it is one of these. */
export function toGrant(value: string): Grant | undefined {
  if (!value.startsWith('{"type":"nika.oauth"')) return undefined;
  try {
    const grant: unknown = JSON.parse(value);
    return isObject(grant) && typeof own(own(grant, "tokens"), "access_token") === "string"
      ? (grant as unknown as Grant)
      : undefined;
  } catch {
    return undefined;
  }
}
