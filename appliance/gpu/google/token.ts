/** A service account's way in (RFC 7523): what it signed with its key is exchanged for a token of an hour. */
import { createPrivateKey, createSign } from "node:crypto";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { failureOf, type Http } from "../http.ts";
import { isRecord, numberOf, textOf } from "../record.ts";

export type ServiceAccount = { readonly email: string; readonly privateKey: string; readonly project: string };

const scope = "https://www.googleapis.com/auth/cloud-platform";
const audience = "https://oauth2.googleapis.com/token";
const lifeSeconds = 3_600;
/** A token is replaced this long before it ends. */
const earlyMs = 120_000;

/** The JSON that Google hands out for a key. Fails with `ProviderError` of kind `auth`; nothing of the key stands in its message. */
export function readServiceAccount(json: string): ServiceAccount {
  let read: unknown;
  try {
    read = JSON.parse(json);
  } catch {
    read = undefined;
  }
  const account = isRecord(read) ? read : {};
  const privateKey = textOf(account["private_key"]);
  try {
    createPrivateKey(privateKey);
  } catch {
    throw refused("Google Cloud needs the JSON of a service account's key, as its console hands it out");
  }
  return { email: textOf(account["client_email"]), privateKey, project: textOf(account["project_id"]) };
}

export type Tokens = {
  /** Renewed when it runs out. Fails with `ProviderError`. */
  now(signal: AbortSignal): Promise<string>;
  /** The next one is a new one: this one was refused. */
  forget(): void;
};

export function openTokens({
  account,
  http,
  now,
  path,
}: {
  readonly account: ServiceAccount;
  readonly http: () => Http;
  readonly now: () => number;
  /** Where tokens are had. */
  readonly path: string;
}): Tokens {
  let kept: { readonly text: string; readonly endsAt: number } | undefined;
  return {
    async now(signal) {
      if (kept && kept.endsAt - earlyMs > now()) return kept.text;
      const form = { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: assertionOf(account, now()) };
      const sent = await http().send({ method: "POST", path, form, isBare: true }, signal);
      if (sent.type === "none") throw new ProviderError(sent.failure);
      const { status, body } = sent.answer;
      if (status >= 500) throw new ProviderError(failureOf("transient", "provider", "Google Cloud has trouble signing in"));
      const token = isRecord(body) ? textOf(body["access_token"]) : "";
      if (status !== 200 || token === "")
        throw refused("Google Cloud does not take the service account's key: it was deleted, or this machine's clock is wrong");
      const seconds = isRecord(body) ? numberOf(body["expires_in"]) : 0;
      kept = { text: token, endsAt: now() + (seconds || lifeSeconds) * 1_000 };
      return token;
    },
    forget() {
      kept = undefined;
    },
  };
}

function assertionOf({ email, privateKey }: ServiceAccount, now: number): string {
  const seconds = Math.floor(now / 1_000);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const unsigned = `${part({ alg: "RS256", typ: "JWT" })}.${part({ iss: email, scope, aud: audience, iat: seconds, exp: seconds + lifeSeconds })}`;
  return `${unsigned}.${createSign("RSA-SHA256").update(unsigned).sign(privateKey, "base64url")}`;
}

const refused = (says: string): ProviderError => new ProviderError(failureOf("auth", "account", says));
