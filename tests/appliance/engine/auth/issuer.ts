/** A token issuer with a key of its own, as auth.config.ts would name it. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";

export type Issuer = {
  readonly provider: Readonly<Record<string, unknown>>;
  /** A token for "owner", valid for an hour, unless the claims say otherwise. */
  mint(claims?: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>;
};

export async function issuer(algorithm: "ES256" | "RS256" = "ES256", name = "https://test.internal"): Promise<Issuer> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm);
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg: algorithm, use: "sig" }] };
  return {
    provider: {
      type: "customJwt",
      issuer: name,
      applicationID: "app",
      algorithm,
      jwks: `data:application/json;base64,${Buffer.from(JSON.stringify(jwks)).toString("base64")}`,
    },
    mint: (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ iss: name, aud: "app", sub: "owner", iat: now, exp: now + 3600, ...claims })
        .setProtectedHeader({ alg: algorithm, kid: "one", ...header })
        .sign(privateKey);
    },
  };
}
