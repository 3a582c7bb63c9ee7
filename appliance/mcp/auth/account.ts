/**
 * Nika's account at one remote server: the token its requests carry, renewed before it ends and by one request however many wait for it, and the word
 * that the owner must sign in when there is none. A token is shown to that server alone.
 */
import {
  auth,
  computeScopeUnion,
  discoverOAuthServerInfo,
  extractWWWAuthenticateParams,
  OAuthError,
  refreshAuthorization,
  selectResourceURL,
  withDpop,
  type AuthProvider,
  type DpopSession,
  type FetchLike,
  type OAuthClientProvider,
} from "@modelcontextprotocol/client";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";
import type { OAuthWish } from "../../../convex/model/server.ts";
import { isAlone, providerAlone } from "./alone.ts";
import type { Grant, Grants } from "./grants.ts";
import { isBound, makeBoundKey, openProof } from "./proof.ts";

/** What a server said when it refused. */
export type Challenge = { readonly scope?: string | undefined; readonly resourceMetadataUrl?: URL | undefined };
/** As the owner sees it; undefined for a server that never asked who Nika is. */
export type SignIn = "wanted" | "done" | undefined;

export type Account = {
  readonly server: string;
  readonly url: string;
  readonly wish: OAuthWish | undefined;
  readonly reach: FetchLike;
  /** For one connection, which tells it of refusals. */
  connect(): { readonly authProvider: AuthProvider; readonly fetch: FetchLike };
  /** It wants rights that the token does not have: what to tell the asker. */
  lacks(challenge: Challenge): NikaError;
  /** What it last refused with. */
  challenge(): Challenge | undefined;
  grant(): Promise<Grant>;
  /** What signs requests with the key that tokens are bound to; made when there is none yet. */
  proof(): Promise<DpopSession>;
  /** Takes what a sign-in brought. */
  accept(grant: Grant): Promise<void>;
  forget(): Promise<void>;
  signIn(): SignIn;
};
export type AccountOptions = {
  readonly server: string;
  readonly url: string;
  readonly wish: OAuthWish | undefined;
  readonly grants: Grants;
  readonly reach: FetchLike;
  /** Told after how it stands changed. */
  readonly changed: () => void;
  readonly now: () => number;
};

/** A token is renewed when this share of its life is over, or this close to its end. */
const renewedAfter = 0.8;
const renewedBeforeMs = 60_000;

/** Reads nothing before the first request. */
export function openAccount({ server, url, wish, grants, reach, changed, now }: AccountOptions): Account {
  let known: Promise<Grant> | undefined;
  let renewing: Promise<void> | undefined;
  let challenge: Challenge | undefined;
  let standing: SignIn;
  let proving: Promise<DpopSession> | undefined;

  const grant = (): Promise<Grant> => {
    known ??= grants.find(server, url).then((found) => {
      if (found.tokens && standing === undefined) stand("done");
      return found;
    });
    return known;
  };
  const stand = (next: SignIn): void => {
    if (standing === next) return;
    standing = next;
    changed();
  };
  const keep = async (next: Grant): Promise<void> => {
    // A program that signs in by itself needs nothing on disk.
    if (!isAlone(wish)) await grants.keep(server, next);
    known = Promise.resolve(next);
  };

  function proof(): Promise<DpopSession> {
    proving ??= (async () => {
      const held = await grant();
      const boundKey = held.boundKey ?? (await makeBoundKey());
      known = Promise.resolve({ ...held, boundKey });
      return openProof(boundKey);
    })();
    return proving;
  }

  function wants(met: Challenge): NikaError {
    challenge = { ...challenge, ...met };
    stand("wanted");
    return new NikaError(
      "denied",
      met.resourceMetadataUrl !== undefined || challenge.resourceMetadataUrl !== undefined
        ? `"${server}" wants you to sign in: \`nika mcp login ${server}\`, or Sign in on the Tools page.`
        : `"${server}" wants to know who asks; sign in with \`nika mcp login ${server}\`, or give it a header such as "Authorization": "Bearer \${secret:NAME}".`,
    );
  }

  /** One at a time: a second use of the same refresh token would look like theft to the other side. */
  function renew(met: Challenge): Promise<void> {
    renewing ??= (isAlone(wish) ? signInAlone(met, wish) : refresh(met)).finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  async function refresh(met: Challenge): Promise<void> {
    const before = await grant();
    const { tokens } = before;
    if (tokens?.refresh_token === undefined) throw wants(met);
    const { resourceMetadataUrl } = met;
    const info = await discoverOAuthServerInfo(url, {
      fetchFn: reach,
      ...(resourceMetadataUrl && { resourceMetadataUrl }),
      ...(before.isOfOld === true && { skipIssuerMetadataValidation: true }),
    });
    if (before.isOfOld === true && info.resourceMetadata) throw wants(met);
    const metadata = info.authorizationServerMetadata;
    const issuer = metadata?.issuer ?? info.authorizationServerUrl;
    const client = before.clients[issuer];
    // The server trusts somebody else now; what the one before gave is not shown to him.
    if (tokens.issuer !== issuer || !client) throw wants(met);
    const resource = await selectResourceURL(url, {} as OAuthClientProvider, info.resourceMetadata);
    try {
      const fresh = await refreshAuthorization(info.authorizationServerUrl, {
        clientInformation: client.information,
        refreshToken: tokens.refresh_token,
        fetchFn: reach,
        ...(isBound(before) && { dpop: await proof() }),
        ...(metadata && { metadata }),
        ...(resource && { resource: info.resourceMetadata?.resource ?? resource }),
      });
      const scope = fresh.scope ?? tokens.scope;
      await keep({ ...before, tokens: { ...fresh, issuer, ...(scope !== undefined && { scope }) }, givenAt: now() });
      stand("done");
    } catch (error) {
      if (!(error instanceof OAuthError) || error.code === "server_error" || error.code === "temporarily_unavailable")
        throw error;
      const { tokens: _spent, ...rest } = before;
      await keep(rest);
      throw wants(met);
    }
  }

  /** With the account's own key, without anybody at a browser. Nothing is kept on disk. */
  async function signInAlone({ resourceMetadataUrl, scope }: Challenge, asWhom: OAuthWish): Promise<void> {
    const provider = providerAlone(asWhom, reach);
    await auth(provider, {
      serverUrl: url,
      fetchFn: reach,
      ...(resourceMetadataUrl && { resourceMetadataUrl }),
      ...(scope !== undefined && { scope }),
    });
    const tokens = await provider.tokens();
    if (!tokens) throw wants({ resourceMetadataUrl });
    await keep({ url, clients: {}, tokens, givenAt: now() });
    stand("done");
  }

  function isEnding({ tokens, givenAt = 0 }: Grant): boolean {
    if (tokens?.expires_in === undefined) return false;
    const lifeMs = tokens.expires_in * 1000;
    const ageMs = now() - givenAt;
    return ageMs > lifeMs * renewedAfter || (lifeMs > 2 * renewedBeforeMs && ageMs > lifeMs - renewedBeforeMs);
  }

  return {
    server,
    url,
    wish,
    reach,
    connect() {
      // What was refused is told without what was shown; many requests may be under way.
      const shown = new WeakMap<Response, string | null>();
      const boundToken = async (): Promise<string | undefined> => {
        const held = await grant();
        return isBound(held) ? held.tokens?.access_token : undefined;
      };
      const proven = withDpop(async () => (isBound(await grant()) ? proof() : undefined), boundToken)(fetch);
      const send: FetchLike = async (to, init) => {
        const response = await proven(to, init);
        shown.set(response, new Headers(init?.headers).get("authorization"));
        return response;
      };
      const authProvider: AuthProvider = {
        async token() {
          const held = await grant();
          if (held.tokens && isEnding(held) && (held.tokens.refresh_token !== undefined || isAlone(wish)))
            // While it is good it is used; the server says when it no longer is.
            await renew(challenge ?? {}).catch(() => undefined);
          return (await grant()).tokens?.access_token;
        },
        async onUnauthorized({ response }) {
          const { resourceMetadataUrl, scope } = extractWWWAuthenticateParams(response);
          await response.body?.cancel().catch(() => undefined);
          const current = (await grant()).tokens?.access_token;
          // Somebody else's request had it renewed meanwhile.
          if (current !== undefined && shown.get(response) !== `Bearer ${current}`) return;
          challenge = { resourceMetadataUrl, scope };
          await renew({ resourceMetadataUrl, scope }).catch((error: unknown) => {
            throw isNikaError(error)
              ? error
              : new NikaError(
                  "unavailable",
                  `The sign-in of "${server}" cannot be renewed now; it is tried again with the next call.`,
                  {
                    cause: error,
                  },
                );
          });
        },
      };
      return { authProvider, fetch: send };
    },
    lacks({ scope, resourceMetadataUrl }) {
      challenge = { scope: computeScopeUnion(challenge?.scope, scope), resourceMetadataUrl };
      stand("wanted");
      return new NikaError(
        "denied",
        `"${server}" wants more rights for this${scope === undefined ? "" : ` (${scope})`}; sign in again with \`nika mcp login ${server}\`, or on the Tools page.`,
      );
    },
    challenge: () => challenge,
    grant,
    proof,
    async accept(next) {
      const { boundKey } = await grant();
      await keep({ ...next, ...(isBound(next) && boundKey && { boundKey }) });
      challenge = undefined;
      stand("done");
    },
    async forget() {
      await grants.forget(server);
      known = Promise.resolve({ url, clients: {} });
      proving = undefined;
      stand("wanted");
    },
    signIn: () => standing,
  };
}
