/**
 * Signed tokens (RFC 7519) and the providers of auth.config.ts: which one a token claims to be from, where its keys are, what must be true
 * of the claims. The only user of `jose`.
 */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from "jose";
import { NikaError } from "../../../convex/model/error.ts";
import { toAttributes } from "./attributes.ts";

export type Provider = Readonly<Record<string, unknown>>;

/** Clocks differ a little; the original allows the same. */
const leewaySeconds = 5;
const fetchMsMax = 5_000;
/** How long a provider's discovery document is believed. */
const discoveryMsMax = 600_000;

type Rules = {
  readonly issuer: string;
  readonly audience: string | undefined;
  readonly algorithms: readonly string[];
  readonly keys: () => Promise<JWTVerifyGetKey>;
};

export type CheckedToken = { readonly attributes: Readonly<Record<string, unknown>>; readonly expiresAtMs: number };

export type TokenOptions = {
  readonly providers: readonly Provider[];
  readonly nowMs: () => number;
  readonly fetch?: typeof globalThis.fetch;
};

/** Returns a check that fails with `denied` (the token) or `unavailable` (its provider). */
export function openTokenChecker(options: TokenOptions): (token: string) => Promise<CheckedToken> {
  const rules = options.providers.map((provider) => toRules(provider, options));
  return async (token) => {
    const rule = pick(rules, token);
    const getKey = await rule.keys();
    try {
      const { payload } = await jwtVerify(token, getKey, {
        algorithms: [...rule.algorithms],
        ...(rule.audience === undefined ? {} : { audience: rule.audience }),
        requiredClaims: ["sub", "exp"],
        clockTolerance: leewaySeconds,
        currentDate: new Date(options.nowMs()),
      });
      return {
        attributes: toAttributes(rule.issuer, payload),
        expiresAtMs: ((payload.exp as number) + leewaySeconds) * 1000,
      };
    } catch (thrown) {
      throw explained(thrown);
    }
  };
}

/**
 * By the issuer and audience that the token says it has: the signature is then checked with that provider's keys alone, over these same
 * claims, so they need not be compared again.
 */
function pick(rules: readonly Rules[], token: string): Rules {
  let claims: JWTPayload;
  try {
    claims = decodeJwt(token);
    if (typeof decodeProtectedHeader(token).kid !== "string")
      throw new NikaError("denied", "The token does not name its key (kid).");
  } catch (thrown) {
    throw thrown instanceof NikaError ? thrown : new NikaError("denied", "The token is not a JWT.", { cause: thrown });
  }
  const issuer = normal(claims.iss ?? "");
  const audiences = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  const found = rules.find(
    (rule) => rule.issuer === issuer && (rule.audience === undefined || audiences.includes(rule.audience)),
  );
  if (found) return found;
  const known = rules.map((rule) => `${rule.issuer}${rule.audience === undefined ? "" : ` for ${rule.audience}`}`).join(", ");
  throw new NikaError("denied", `No auth provider matches the token; configured are: ${known || "none"}.`);
}

function toRules(provider: Provider, options: TokenOptions): Rules {
  const audience = typeof provider["applicationID"] === "string" ? provider["applicationID"] : undefined;
  if (provider["type"] === "customJwt") {
    const jwks = String(provider["jwks"]);
    const algorithm = provider["algorithm"];
    if (algorithm !== "RS256" && algorithm !== "ES256")
      throw new NikaError("invalid", "auth.config.ts: the algorithm of a customJwt provider must be RS256 or ES256.");
    return {
      issuer: normal(String(provider["issuer"])),
      audience,
      algorithms: [algorithm],
      keys: once(async () => keysAt(jwks, options)),
    };
  }
  const issuer = normal(String(provider["domain"]));
  if (audience === undefined) throw new NikaError("invalid", "auth.config.ts: a provider with a domain needs an applicationID.");
  return { issuer, audience, algorithms: ["RS256", "EdDSA"], keys: discovered(issuer, options) };
}

function keysAt(jwks: string, { fetch }: TokenOptions): JWTVerifyGetKey {
  if (jwks.startsWith("data:")) return createLocalJWKSet(parseDataUrl(jwks));
  return createRemoteJWKSet(new URL(jwks), { timeoutDuration: fetchMsMax, ...(fetch ? { [customFetch]: fetch } : {}) });
}

function parseDataUrl(url: string): JSONWebKeySet {
  const [, parameters = "", body] = /^data:([^,]*),(.*)$/s.exec(url) ?? [];
  try {
    const text = /;base64$/i.test(parameters) ? Buffer.from(body ?? "", "base64").toString() : decodeURIComponent(body ?? "");
    return JSON.parse(text) as JSONWebKeySet;
  } catch (cause) {
    throw new NikaError("invalid", "auth.config.ts: the data URL of the keys holds no JSON.", { cause });
  }
}

/** OpenID Connect discovery: the keys are where the provider's own document says. */
function discovered(issuer: string, options: TokenOptions): () => Promise<JWTVerifyGetKey> {
  let held: { keys: JWTVerifyGetKey; untilMs: number } | undefined;
  return async () => {
    if (held && held.untilMs > options.nowMs()) return held.keys;
    try {
      const response = await (options.fetch ?? globalThis.fetch)(`${issuer}/.well-known/openid-configuration`, {
        signal: AbortSignal.timeout(fetchMsMax),
      });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const document = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
      if (normal(String(document.issuer)) !== issuer || typeof document.jwks_uri !== "string")
        throw new Error("the document names another issuer or no keys");
      held = { keys: keysAt(document.jwks_uri, options), untilMs: options.nowMs() + discoveryMsMax };
      return held.keys;
    } catch (cause) {
      // Old keys are better than none while the provider is away.
      if (held) return held.keys;
      throw new NikaError("unavailable", `The auth provider ${issuer} does not answer.`, { cause });
    }
  };
}

/** `https://` unless it says otherwise, and no slash at the end. */
function normal(issuer: string): string {
  return (/^https?:\/\//.test(issuer) ? issuer : `https://${issuer}`).replace(/\/$/, "");
}

function explained(thrown: unknown): NikaError {
  if (thrown instanceof errors.JWTExpired) return new NikaError("denied", "The token has expired.", { cause: thrown });
  if (thrown instanceof errors.JWKSTimeout || !(thrown instanceof errors.JOSEError))
    return new NikaError("unavailable", "The auth provider's keys could not be fetched.", { cause: thrown });
  return new NikaError("denied", `The token was not accepted: ${thrown.message}.`, { cause: thrown });
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
