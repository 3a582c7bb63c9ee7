/** What a sign-in brought, one record a server, in the secret store and nowhere else. It is good for the very address it was given for. */
import type { webcrypto } from "node:crypto";
import type { StoredOAuthClientInformation, StoredOAuthTokens } from "@modelcontextprotocol/client";
import { NikaError } from "../../../convex/model/error.ts";
import type { Secrets } from "../../../functions/ports/secrets.ts";

/** As whom Nika is known at a sign-in server, and where that sends the browser back to. */
export type KnownClient = { readonly information: StoredOAuthClientInformation; readonly redirectUrl: string };
export type BoundKey = { readonly jwk: webcrypto.JsonWebKey; readonly thumbprint: string };
export type Grant = {
  /** The server's address when it was given. */
  readonly url: string;
  /** By the issuer who knows Nika under it. */
  readonly clients: Readonly<Record<string, KnownClient>>;
  readonly tokens?: StoredOAuthTokens;
  /** When the tokens came, in milliseconds since 1970. */
  readonly givenAt?: number;
  /** Its sign-in is of before protected resources described themselves, and calls itself otherwise than its address. */
  readonly isOfOld?: boolean;
  /** What the tokens are bound to. */
  readonly boundKey?: BoundKey;
};

export type Grants = {
  /** Empty when there is none for this address. */
  find(server: string, url: string): Promise<Grant>;
  keep(server: string, grant: Grant): Promise<void>;
  forget(server: string): Promise<void>;
};

const prefix = "oauth.";
const nameOf = (server: string): string => `${prefix}${server}`;

/** Names in the secret store that no configuration may refer to: what they hold is for one server alone. */
export function mustNotBeAGrant(secret: string): void {
  if (secret.startsWith(prefix))
    throw new NikaError("denied", `The secret "${secret}" is what a sign-in brought; it cannot be handed to another server.`);
}

/** Every reading and writing is in the secret store's audit. */
export function openGrants(secrets: Pick<Secrets, "find" | "set" | "remove">): Grants {
  return {
    async find(server, url) {
      const text = await secrets.find(nameOf(server), `mcp ${server}`);
      const grant = text === undefined ? undefined : (JSON.parse(text) as Grant);
      // Another address is another server: what was given for the one is not shown to the other.
      return grant?.url === url ? grant : { url, clients: {} };
    },
    keep: (server, grant) => secrets.set(nameOf(server), JSON.stringify(grant), `mcp ${server}`),
    forget: (server) => secrets.remove(nameOf(server), `mcp ${server}`),
  };
}
