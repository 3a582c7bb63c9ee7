/**
 * Nika as a sign-in server for programs elsewhere that use its tools (OAuth 2.1 as MCP has it). The protocol is oidc-provider's; here is what Nika allows:
 * public clients with PKCE, a consent by the owner each time, tokens for Nika's own address alone, refresh tokens that turn over and betray their theft.
 */
import { generateKeyPairSync } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { default as Provider, Configuration, InteractionResults, KoaContextWithOIDC } from "oidc-provider";
import { NikaError } from "../../../convex/model/error.ts";
import { openGrantFile, type GrantedClient } from "./grantFile.ts";

export const scope = "tools";
const metadataPath = "/.well-known/oauth-protected-resource";
const paths = /^\/(?:oauth\/|\.well-known\/(?:oauth-authorization-server|openid-configuration)(?:\/|$))/;

export type Consent = {
  /** As the program calls itself. */
  readonly name: string;
  /** The host that the owner's browser would carry the code to; of loopback and private schemes, that it stays on his machine. */
  readonly host: string;
  readonly isLocal: boolean;
};
type Exchange = readonly [IncomingMessage, ServerResponse];

export type AuthServer = {
  /** Undefined when the path is none of ours. */
  find(path: string): ((request: IncomingMessage, response: ServerResponse) => Promise<void>) | undefined;
  /** Who shows this token; undefined when it is not one of ours, is over, or is for another address. */
  holderOf(token: string): Promise<string | undefined>;
  /** What to say to whoever shows none that is good. */
  challenge(request: IncomingMessage, wasShown: boolean): string;
  /** What the owner is asked in this browser. Fails with `missing` when nothing is. */
  asked(exchange: Exchange, uid: string): Promise<Consent>;
  /** His answer; where the browser goes on. */
  decide(exchange: Exchange, uid: string, isAllowed: boolean): Promise<string>;
  list(): readonly GrantedClient[];
  /** Fails with `missing`. */
  revoke(id: string): void;
};
export type AuthServerOptions = {
  readonly dataDir: string;
  /** Where Nika is reached, without a slash at the end: its public address when it has one, else this machine; and its port here. */
  readonly origin: string;
  readonly port: number;
  /** Whether programs may be described by a document of theirs, which Nika would have to fetch. */
  readonly fetchesDocuments: boolean;
  /** Seals the browser's part of a sign-in under way. */
  readonly cookieKey: string;
  readonly log: (line: string) => void;
  readonly now: () => number;
};

const accessTokenS = 15 * 60;
const refreshTokenS = 30 * 24 * 3600;
const grantS = 180 * 24 * 3600;
const signInS = 10 * 60;
const registrationsPerHour = 30;
const hourMs = 3_600_000;
const loopback = /^(?:127\.0\.0\.1|localhost|\[::1\])$/;

/** Loads nothing before the first program comes. */
export function openAuthServer(options: AuthServerOptions): AuthServer {
  const { origin, port, log, now } = options;
  const file = openGrantFile(options);
  let loading: Promise<Provider> | undefined;
  const registrations: number[] = [];
  const provider = (): Promise<Provider> => (loading ??= load());

  /** Every address this machine has for itself: a token for one of them is for us. */
  const resources = new Set(
    [origin, ...["127.0.0.1", "localhost", "[::1]"].map((host) => `http://${host}:${port}`)].map((one) => `${one}/mcp`),
  );

  async function load(): Promise<Provider> {
    const { default: OidcProvider, interactionPolicy, errors } = await import("oidc-provider");
    const policy = interactionPolicy.base();
    const { Check } = interactionPolicy;
    // Whatever was granted before: each sign-in is the owner's word.
    policy
      .get("consent")
      ?.checks.add(
        new Check("owner", "the owner is asked each time", (context: KoaContextWithOIDC) =>
          context.oidc.result?.consent === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
        ),
      );
    const mustBeOurs = (resource: string): void => {
      if (!resources.has(resource)) throw new errors.InvalidTarget("tokens are for the MCP endpoint of this server alone");
    };
    const isOff = { enabled: false } as const;
    const configuration: Configuration = {
      adapter: file.adapter,
      clientAuthMethods: ["none"],
      clientDefaults: {
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token"],
        id_token_signed_response_alg: "ES256",
      },
      cookies: { keys: [options.cookieKey], names: { interaction: "nika_ask", resume: "nika_resume", session: "nika_oauth" } },
      // Nothing is ever signed by it: no identity is told to programs, and their tokens are only names of what stands here.
      jwks: { keys: [generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" })] },
      enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
      responseTypes: ["code"],
      // Programs register with what they will ask for, so it stands here, too; it counts for our address alone.
      scopes: ["offline_access", scope],
      claims: {},
      pkce: { required: () => true },
      rotateRefreshToken: true,
      issueRefreshToken: (_context, client) => client.grantTypeAllowed("refresh_token"),
      expiresWithSession: () => false,
      allowOmittingSingleRegisteredRedirectUri: false,
      clientBasedCORS: () => false,
      findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
      ttl: {
        AccessToken: accessTokenS,
        AuthorizationCode: 60,
        RefreshToken: refreshTokenS,
        Grant: grantS,
        Interaction: signInS,
        Session: signInS,
        IdToken: accessTokenS,
      },
      interactions: { policy, url: (_context, { uid }) => `/#tools/consent/${uid}` },
      extraClientMetadata: {
        properties: ["nika"],
        validator(_context, _key, _value, { redirect_uris: redirects }) {
          for (const one of (redirects as string[] | undefined) ?? []) {
            const { protocol, hostname } = new URL(one);
            if (protocol === "http:" && !loopback.test(hostname))
              throw new errors.InvalidClientMetadata("a redirect over http must be to this very machine");
          }
        },
      },
      features: {
        devInteractions: isOff,
        userinfo: isOff,
        rpInitiatedLogout: isOff,
        dPoP: isOff,
        pushedAuthorizationRequests: isOff,
        introspection: isOff,
        registration: { enabled: true, initialAccessToken: false, issueRegistrationAccessToken: false },
        revocation: { enabled: true, allowedPolicy: (_context, client, token) => client.clientId === token.clientId },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => `${origin}/mcp`,
          useGrantedResource: () => true,
          getResourceServerInfo(_context, resource) {
            mustBeOurs(resource);
            return { scope, audience: resource, accessTokenTTL: accessTokenS, accessTokenFormat: "opaque" };
          },
        },
        ...(options.fetchesDocuments && { clientIdMetadataDocument: { enabled: true, ack: "draft-02" } }),
      },
      routes: {
        authorization: "/oauth/authorize",
        token: "/oauth/token",
        registration: "/oauth/register",
        revocation: "/oauth/revoke",
        jwks: "/oauth/jwks",
      },
      renderError(context, out) {
        context.type = "json";
        context.body = JSON.stringify(out);
      },
    };
    const made = new OidcProvider(origin, configuration);
    // Addresses are made of what stands in the request; `forUs` puts there what we are called.
    made.proxy = true;
    made.on("server_error", (_context, error) => log(`mcp: sign-in server: ${String(error)}`));
    return made;
  }

  function forUs(request: IncomingMessage): void {
    const own = new URL(origin);
    for (const name of Object.keys(request.headers)) if (name.startsWith("x-forwarded-")) delete request.headers[name];
    request.headers["x-forwarded-proto"] = own.protocol.slice(0, -1);
    request.headers.host = own.host;
    const url = new URL(request.url ?? "/", own);
    if (url.pathname !== "/oauth/authorize") return;
    // There is only one thing to ask for, and many programs leave it out.
    const wanted = new Set((url.searchParams.get("scope") ?? "").split(" ").filter((one) => one !== ""));
    url.searchParams.set("scope", [...wanted.add(scope)].join(" "));
    request.url = `${url.pathname}${url.search}`;
  }

  function mayRegister(): boolean {
    while ((registrations[0] ?? now()) < now() - hourMs) registrations.shift();
    return registrations.push(now()) <= registrationsPerHour;
  }

  /** Under which name we were called just now: a client must find the address it knows. */
  function calledAs({ headers: { host = "" } }: IncomingMessage): string {
    const { hostname } = URL.parse(`http://${host}`) ?? { hostname: "" };
    return loopback.test(hostname) ? `http://${host}` : origin;
  }

  const describe = (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = {
      resource: `${calledAs(request)}/mcp`,
      authorization_servers: [origin],
      scopes_supported: [scope],
      bearer_methods_supported: ["header"],
      resource_name: "Nika",
    };
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" }).end(JSON.stringify(body));
    return Promise.resolve();
  };

  async function interactionOf([request, response]: Exchange, uid: string) {
    const made = await provider();
    const details = await made.interactionDetails(request, response).catch(() => undefined);
    // The cookie says which question this browser was asked; another's is not his to answer.
    if (details?.uid !== uid)
      throw new NikaError("missing", "Nothing is asked in this browser now; begin again in the program that wants to connect.");
    return { made, details };
  }

  return {
    find(path) {
      if (path === metadataPath || path === `${metadataPath}/mcp`) return describe;
      if (!paths.test(path)) return undefined;
      return async (request, response) => {
        if (path === "/oauth/register" && request.method === "POST" && !mayRegister())
          throw new NikaError("full", `At most ${registrationsPerHour} programs may register in an hour.`);
        const made = await provider();
        forUs(request);
        await made.callback()(request, response);
      };
    },
    async holderOf(token) {
      // None was given out in this life yet.
      if (!loading) return undefined;
      const found = await (await loading).AccessToken.find(token);
      if (!found || found.isExpired || !found.scopes.has(scope)) return undefined;
      const audiences = Array.isArray(found.aud) ? found.aud : [found.aud];
      if (!audiences.some((one) => typeof one === "string" && resources.has(one))) return undefined;
      return file.nameOf(found.clientId ?? "");
    },
    challenge: (request, wasShown) =>
      `Bearer realm="nika", ${wasShown ? 'error="invalid_token", ' : ""}resource_metadata="${calledAs(request)}${metadataPath}/mcp", scope="${scope}"`,
    async asked(exchange, uid) {
      const { made, details } = await interactionOf(exchange, uid);
      const client = await made.Client.find(String(details.params["client_id"]));
      const to = URL.parse(String(details.params["redirect_uri"]));
      const isWeb = to !== null && /^https?:$/.test(to.protocol);
      const isLocal = !isWeb || loopback.test(to.hostname);
      const name = file.nameOf(client?.clientId ?? "");
      return { name: client?.clientName ?? name, host: to === null ? "" : isWeb ? to.host : to.protocol, isLocal };
    },
    async decide(exchange, uid, isAllowed) {
      const { made, details } = await interactionOf(exchange, uid);
      const answer = async (): Promise<InteractionResults> => {
        if (!isAllowed) return { error: "access_denied", error_description: "the owner said no" };
        const grant = new made.Grant({ accountId: "owner", clientId: String(details.params["client_id"]) });
        const resource = details.params["resource"] ?? `${origin}/mcp`;
        for (const one of Array.isArray(resource) ? resource : [resource]) grant.addResourceScope(String(one), scope);
        grant.addOIDCScope(`offline_access ${scope}`);
        return { login: { accountId: "owner", remember: false }, consent: { grantId: await grant.save() } };
      };
      return made.interactionResult(...exchange, await answer(), { mergeWithLastSubmission: false });
    },
    list: file.list,
    revoke(id) {
      if (!file.revoke(id)) throw new NikaError("missing", "There is no such program; see `nika mcp clients`.");
    },
  };
}
