/** Signing in where nobody is at a browser: by a program's own key, by what the firm's sign-in says of somebody, or by what a platform says of its workload. */
import {
  ClientCredentialsProvider,
  CrossAppAccessProvider,
  discoverAndRequestJwtAuthGrant,
  PrivateKeyJwtProvider,
  requestJwtAuthorizationGrant,
  type FetchLike,
  type OAuthClientProvider,
  type StoredOAuthTokens,
} from "@modelcontextprotocol/client";
import type { OAuthWish } from "../../../convex/model/server.ts";

/** RFC 7523, section 2.1. */
const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/** Whether it takes no person. */
export const isAlone = (wish: OAuthWish | undefined): wish is OAuthWish =>
  wish !== undefined && wish.grant !== "authorization_code";

/** For one signing in. What the configuration must hold for its grant was checked when it was read. */
export function providerAlone(wish: OAuthWish, reach: FetchLike): OAuthClientProvider {
  const { clientId = "", clientSecret = "", privateKey, scope, issuer: expectedIssuer } = wish;
  const issued = expectedIssuer === undefined ? {} : { expectedIssuer };
  const common = { clientId, ...issued, ...(scope !== undefined && { scope }) };
  if (wish.grant === "workload") return workload(wish);
  if (wish.grant === "enterprise")
    return new CrossAppAccessProvider({
      clientId,
      clientSecret,
      clientName: "Nika",
      ...issued,
      fetchFn: reach,
      assertion: (met) => firmsWord(wish, met),
    });
  return privateKey === undefined
    ? new ClientCredentialsProvider({ ...common, clientSecret })
    : new PrivateKeyJwtProvider({ ...common, privateKey, algorithm: wish.algorithm ?? "ES256" });
}

/** The firm's sign-in exchanges its word on who asks for one that the server's sign-in takes (RFC 8693; SEP-990). */
async function firmsWord(
  { idpUrl = "", idpTokenUrl, idpClientId = "", idpClientSecret, idToken = "", scope }: OAuthWish,
  met: {
    readonly authorizationServerUrl: string;
    readonly resourceUrl: string;
    readonly scope?: string;
    readonly fetchFn: FetchLike;
  },
): Promise<string> {
  const wanted = met.scope ?? scope;
  const question = {
    audience: met.authorizationServerUrl,
    resource: met.resourceUrl,
    idToken,
    clientId: idpClientId,
    fetchFn: met.fetchFn,
    ...(idpClientSecret !== undefined && { clientSecret: idpClientSecret }),
    ...(wanted !== undefined && { scope: wanted }),
  };
  const { jwtAuthGrant } = await (idpTokenUrl === undefined
    ? discoverAndRequestJwtAuthGrant({ ...question, idpUrl })
    : requestJwtAuthorizationGrant({ ...question, tokenEndpoint: idpTokenUrl }));
  return jwtAuthGrant;
}

/** What the platform signed is shown once; refused, it is not shown in another way (SEP-1933). */
function workload({ clientId = "", assertion = "", scope: own, issuer }: OAuthWish): OAuthClientProvider {
  let tokens: StoredOAuthTokens | undefined;
  return {
    redirectUrl: undefined,
    clientMetadata: { client_name: "Nika", redirect_uris: [], grant_types: [jwtBearer], token_endpoint_auth_method: "none" },
    clientInformation: () => ({ client_id: clientId, ...(issuer !== undefined && { issuer }) }),
    tokens: () => tokens,
    saveTokens(next) {
      tokens = next;
    },
    redirectToAuthorization: () => undefined,
    saveCodeVerifier: () => undefined,
    codeVerifier: () => "",
    prepareTokenRequest(scope = own) {
      return new URLSearchParams({ grant_type: jwtBearer, assertion, ...(scope !== undefined && { scope }) });
    },
  };
}
