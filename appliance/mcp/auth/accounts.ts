/**
 * Signing in at remote servers (OAuth 2.1 as MCP has it): the SDK finds out where, registers Nika, and proves by PKCE that whoever fetches the tokens
 * is who asked. The owner's browser carries the code back, by itself or pasted; tokens go into the secret store.
 */
import { randomBytes } from "node:crypto";
import {
  auth,
  computeScopeUnion,
  discoverOAuthProtectedResourceMetadata,
  discoverOAuthServerInfo,
  extractWWWAuthenticateParams,
  IssuerMismatchError,
  OAuthError,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
} from "@modelcontextprotocol/client";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";
import type { HttpTransport } from "../../../convex/model/server.ts";
import type { Secrets } from "../../../functions/ports/secrets.ts";
import { isAlone } from "./alone.ts";
import { openAccount, type Account, type Challenge, type SignIn } from "./account.ts";
import { openGrants, type Grant, type KnownClient } from "./grants.ts";
import { openReach } from "./reach.ts";

export type Accounts = {
  /** Undefined for a server that is shown a header of the owner's instead. `transport` without references. */
  of(server: string, transport: HttpTransport): Account | undefined;
  /** Where the owner is to go. Fails with `missing` for a server that was not tried yet, and with what its sign-in says. */
  begin(server: string, redirectUrl: string): Promise<{ readonly url: string }>;
  /** Takes what the browser brought back; the server's name. Fails with `denied` for what nobody began. */
  finish(answer: URLSearchParams): Promise<string>;
  logout(server: string): Promise<void>;
  signIn(server: string): SignIn;
  onChange(listener: () => void): () => void;
  /** Told of a server that may be used now. */
  onSignIn(listener: (server: string) => void): () => void;
};
export type AccountsOptions = {
  readonly secrets: Pick<Secrets, "find" | "set" | "remove">;
  /** Nika's own description, where sign-in servers can fetch it; undefined while Nika has no public address. */
  readonly clientUrl: () => string | undefined;
  readonly now: () => number;
};

type Pending = { readonly server: string; readonly provider: OAuthClientProvider; readonly until: number };

const pendingMs = 10 * 60_000;
const pendingMax = 64;
const probe = JSON.stringify({
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "nika", version: "0" } },
});

/** What Nika says of itself where it registers. */
export function clientMetadata(redirectUrls: readonly string[]): OAuthClientMetadata {
  return {
    client_name: "Nika",
    redirect_uris: [...redirectUrls],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
  };
}

/** Knows of no server before one is used. */
export function openAccounts({ secrets, clientUrl, now }: AccountsOptions): Accounts {
  const accounts = new Map<string, Account>();
  const pending = new Map<string, Pending>();
  const listeners = new Set<() => void>();
  const signInListeners = new Set<(server: string) => void>();
  const grants = openGrants(secrets);
  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const get = (server: string): Account => {
    const account = accounts.get(server);
    if (account) return account;
    throw new NikaError("missing", `"${server}" is no remote server that can be signed in to; see \`nika mcp show ${server}\`.`);
  };

  return {
    of(server, { url, headers, oauth }) {
      if (Object.keys(headers).some((name) => name.toLowerCase() === "authorization")) return undefined;
      const known = accounts.get(server);
      if (known?.url === url && JSON.stringify(known.wish) === JSON.stringify(oauth)) return known;
      const account = openAccount({ server, url, wish: oauth, grants, reach: openReach(url), changed, now });
      accounts.set(server, account);
      return account;
    },
    async begin(server, redirectUrl) {
      const account = get(server);
      if (isAlone(account.wish))
        throw new NikaError("invalid", `"${server}" is signed in to with the key in its configuration; nobody has to.`);
      const met = account.challenge() ?? (await challengeOf(account));
      const state = randomBytes(32).toString("base64url");
      let grant = await account.grant();
      let url: URL | undefined;
      const save = (next: Grant): void => {
        grant = next;
      };
      const provider = providerOf(account, {
        state,
        redirectUrl,
        clientUrl: clientUrl(),
        grant: () => grant,
        save,
        show: (to) => {
          url = to;
        },
        now,
      });
      const scope = computeScopeUnion(grant.tokens?.scope, met.scope);
      const ask = (isOfOld: boolean): Promise<unknown> => {
        grant = { ...grant, isOfOld };
        return auth(provider, {
          serverUrl: account.url,
          fetchFn: account.reach,
          forceReauthorization: true,
          skipIssuerMetadataValidation: isOfOld,
          ...(met.resourceMetadataUrl && { resourceMetadataUrl: met.resourceMetadataUrl }),
          ...(scope !== undefined && { scope }),
        });
      };
      await said(server, async () => {
        try {
          await ask(false);
        } catch (error) {
          if (!(await isOfOldServer(account, error))) throw error;
          await ask(true);
        }
      });
      if (!url || !/^https?:$/.test(url.protocol))
        throw new NikaError("unavailable", `The sign-in of "${server}" gave no address to go to.`);
      for (const [old, { until }] of pending) if (until < now() || pending.size >= pendingMax) pending.delete(old);
      pending.set(state, { server, provider, until: now() + pendingMs });
      return { url: url.href };
    },
    async finish(answer) {
      const state = answer.get("state") ?? "";
      const begun = pending.get(state);
      // Good once, whatever comes of it.
      pending.delete(state);
      if (!begun || begun.until < now())
        throw new NikaError(
          "denied",
          "Nobody began this sign-in, or it took more than ten minutes; begin again with `nika mcp login NAME`.",
        );
      const { server, provider } = begun;
      const account = get(server);
      const [code, iss] = [answer.get("code"), answer.get("iss")];
      if (code === null || code === "")
        throw new NikaError(
          "denied",
          `The sign-in of "${server}" was refused${answer.get("error") === "access_denied" ? " there" : ""}.`,
        );
      await said(server, () =>
        auth(provider, { serverUrl: account.url, fetchFn: account.reach, authorizationCode: code, ...(iss !== null && { iss }) }),
      );
      for (const listener of signInListeners) listener(server);
      return server;
    },
    async logout(server) {
      const account = get(server);
      const { tokens, clients } = await account.grant();
      await account.forget();
      // Forgotten here whatever the other side says.
      if (tokens) await revoke(account, tokens, Object.values(clients)).catch(() => undefined);
    },
    signIn: (server) => accounts.get(server)?.signIn(),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onSignIn(listener) {
      signInListeners.add(listener);
      return () => signInListeners.delete(listener);
    },
  };
}

/**
 * Before 2025-06-18 a server was its own sign-in, found at its origin and free to name itself otherwise (a path of that origin). Where a server describes
 * itself as a protected resource, a wrong name is a mix-up, and stays refused.
 */
async function isOfOldServer({ url, reach }: Account, error: unknown): Promise<boolean> {
  if (!(error instanceof IssuerMismatchError) || error.kind !== "metadata") return false;
  if (URL.parse(error.received ?? "")?.origin !== new URL(url).origin) return false;
  return discoverOAuthProtectedResourceMetadata(url, {}, reach).then(
    () => false,
    () => true,
  );
}

/** What it says to somebody who shows no token. */
async function challengeOf({ url, reach }: Account): Promise<Challenge> {
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const response = await reach(new URL(url), { method: "POST", headers, body: probe });
  return response.status === 401 || response.status === 403 ? extractWWWAuthenticateParams(response) : {};
}

type Wish = {
  readonly state: string;
  readonly redirectUrl: string;
  readonly clientUrl: string | undefined;
  readonly grant: () => Grant;
  readonly save: (grant: Grant) => void;
  readonly show: (url: URL) => void;
  readonly now: () => number;
};

/** For one sign-in, from its beginning to its end; only what it brings outlives it. */
function providerOf(account: Account, { state, redirectUrl, clientUrl, grant, save, show, now }: Wish): OAuthClientProvider {
  let verifier = "";
  let discovered: OAuthDiscoveryState | undefined;
  const { wish } = account;
  const metadata = { ...clientMetadata([redirectUrl]), ...(wish?.scope !== undefined && { scope: wish.scope }) };
  return {
    redirectUrl,
    ...(clientUrl !== undefined && { clientMetadataUrl: clientUrl }),
    clientMetadata: metadata,
    state: () => state,
    clientInformation(context) {
      if (wish?.clientId !== undefined)
        return { client_id: wish.clientId, ...(wish.clientSecret !== undefined && { client_secret: wish.clientSecret }) };
      const known = context && grant().clients[context.issuer];
      // Registered with another address to come back to, it would be refused.
      return known?.redirectUrl === redirectUrl ? known.information : undefined;
    },
    saveClientInformation(information, context) {
      if (wish?.clientId !== undefined || !context) return;
      const client: KnownClient = { information, redirectUrl };
      save({ ...grant(), clients: { ...grant().clients, [context.issuer]: client } });
    },
    tokens: () => undefined,
    async saveTokens(tokens, context) {
      // A refusal to say which rights were given means those that were asked for (RFC 6749 section 5.1).
      const clients =
        wish?.clientId !== undefined && context
          ? {
              ...grant().clients,
              [context.issuer]: {
                redirectUrl,
                information: {
                  client_id: wish.clientId,
                  ...(wish.clientSecret !== undefined && { client_secret: wish.clientSecret }),
                },
              },
            }
          : grant().clients;
      await account.accept({ url: account.url, clients, tokens, givenAt: now(), isOfOld: grant().isOfOld === true });
    },
    redirectToAuthorization: show,
    saveCodeVerifier(one) {
      verifier = one;
    },
    codeVerifier: () => verifier,
    // Only where the sign-in says that it binds tokens to keys.
    dpop: () => (bindsTokens(discovered) ? account.proof() : undefined),
    discoveryState: () => discovered,
    saveDiscoveryState(found) {
      discovered = found;
    },
    invalidateCredentials(scope) {
      if (scope === "client" || scope === "all") save({ ...grant(), clients: {} });
    },
  };
}

const bindsTokens = (found: OAuthDiscoveryState | undefined): boolean => {
  const algorithms = (found?.authorizationServerMetadata as Record<string, unknown> | undefined)?.[
    "dpop_signing_alg_values_supported"
  ];
  return Array.isArray(algorithms) && algorithms.includes("ES256");
};

/** What the other side says about an error may hold anything; its code is what the owner can act on. */
async function said<T>(server: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isNikaError(error)) throw error;
    if (error instanceof OAuthError)
      throw new NikaError(
        "denied",
        `The sign-in of "${server}" was refused there (${error.code}); begin again with \`nika mcp login ${server}\`.`,
        {
          cause: error,
        },
      );
    const why = error instanceof Error ? error.message.slice(0, 200) : String(error);
    throw new NikaError("unavailable", `"${server}" cannot be signed in to: ${why}`, { cause: error });
  }
}

/** RFC 7009, where the sign-in server has it. */
async function revoke(
  { url, reach }: Account,
  tokens: NonNullable<Grant["tokens"]>,
  clients: readonly KnownClient[],
): Promise<void> {
  const { authorizationServerMetadata: metadata } = await discoverOAuthServerInfo(url, { fetchFn: reach });
  const endpoint = metadata && "revocation_endpoint" in metadata ? metadata.revocation_endpoint : undefined;
  const client = clients.at(-1)?.information;
  if (typeof endpoint !== "string" || !client || tokens.issuer !== metadata?.issuer) return;
  const body = new URLSearchParams({ token: tokens.refresh_token ?? tokens.access_token, client_id: client.client_id });
  if (client.client_secret !== undefined) body.set("client_secret", client.client_secret);
  await reach(new URL(endpoint), {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: body.toString(),
  });
}
