import type { AuthConfig } from "convex/server";

declare const process: { readonly env: { readonly NIKA_JWKS: string } };

/**
 * Whose tokens count: only those the appliance signs itself. `NIKA_JWKS` is a `data:` URL with its public key, put into the
 * deployment's environment when the appliance starts, so that nothing has to be fetched.
 */
export default {
  providers: [
    {
      type: "customJwt",
      issuer: "https://nika.internal",
      applicationID: "nika",
      jwks: process.env.NIKA_JWKS,
      algorithm: "ES256",
    },
  ],
} satisfies AuthConfig;
