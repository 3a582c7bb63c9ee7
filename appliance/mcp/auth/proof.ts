/**
 * The key that an account's tokens are bound to, where its sign-in knows such tokens (DPoP, RFC 9449): whoever finds a token cannot use it without. It lies
 * with the tokens in the secret store, because a refresh token is bound to it too.
 */
import { DpopSession, generateDpopKeyPair } from "@modelcontextprotocol/client";
import type { BoundKey, Grant } from "./grants.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const { subtle } = globalThis.crypto;

export async function makeBoundKey(): Promise<BoundKey> {
  const { privateKey, thumbprint } = await generateDpopKeyPair({ alg: "ES256", extractable: true });
  return { jwk: await subtle.exportKey("jwk", privateKey), thumbprint };
}

export async function openProof({ jwk, thumbprint }: BoundKey): Promise<DpopSession> {
  const { kty = "EC", crv = "P-256", x = "", y = "" } = jwk;
  const publicJwk = { kty, crv, x, y };
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey("jwk", jwk, algorithm, false, ["sign"]),
    subtle.importKey("jwk", publicJwk, algorithm, true, ["verify"]),
  ]);
  return DpopSession.create({ keyPair: { privateKey, publicKey, publicJwk, thumbprint, alg: "ES256" } });
}

/** Whether the tokens of a grant are of use only with its key. */
export const isBound = ({ tokens }: Grant): boolean => tokens?.token_type.toLowerCase() === "dpop";
