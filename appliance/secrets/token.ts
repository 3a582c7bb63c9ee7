/**
 * Owner tokens: the JWTs the control plane trusts (RFC 7519, ES256). Signing a fixed claim set takes a few lines of node:crypto; the
 * library that verifies foreign tokens belongs to the engine.
 */
import { createPublicKey, sign, verify, type KeyObject } from "node:crypto";

/** Must match convex/auth.config.ts. */
const issuer = "https://nika.internal";
const audience = "nika";
/** Short, because a token cannot be called back; the page fetches the next one by its session. */
export const tokenLifeMs = 60 * 60_000;

export type SigningKey = { readonly key: KeyObject; readonly kid: string };

/** A token that says its bearer is the owner, valid from `nowMs` for an hour. */
export function mintOwnerToken(signing: SigningKey, nowMs: number): MintedToken {
  return mintToken(signing, "owner", nowMs);
}

export type MintedToken = { readonly token: string; readonly expiresAt: number };

/** A token for whoever `subject` names, valid from `nowMs` for an hour. */
export function mintToken(signing: SigningKey, subject: string, nowMs: number): MintedToken {
  const iat = Math.floor(nowMs / 1000);
  const exp = iat + tokenLifeMs / 1000;
  const head = encode({ alg: "ES256", typ: "JWT", kid: signing.kid });
  const body = `${head}.${encode({ iss: issuer, aud: audience, sub: subject, iat, exp })}`;
  const signature = sign("sha256", Buffer.from(body), { key: signing.key, dsaEncoding: "ieee-p1363" });
  return { token: `${body}.${signature.toString("base64url")}`, expiresAt: exp * 1000 };
}

/** Whether this is an owner token of ours that has not expired at `nowMs`. */
export function isOwnerToken(token: string, signing: SigningKey, nowMs: number): boolean {
  const [head, body, signature, ...rest] = token.split(".");
  if (!head || !body || !signature || rest.length > 0) return false;
  const publicKey = createPublicKey(signing.key);
  const isSigned = verify(
    "sha256",
    Buffer.from(`${head}.${body}`),
    { key: publicKey, dsaEncoding: "ieee-p1363" },
    Buffer.from(signature, "base64url"),
  );
  if (!isSigned) return false;
  // Only what this key signed gets here, so the claims are ours and well formed.
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as { iss: string; aud: string; sub: string; exp: number };
  return claims.iss === issuer && claims.aud === audience && claims.sub === "owner" && claims.exp * 1000 > nowMs;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
