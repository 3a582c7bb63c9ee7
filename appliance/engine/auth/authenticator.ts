/** Who is asking: an admin key, a signed token, or nobody. */
import { createHash, timingSafeEqual } from "node:crypto";
import { NikaError } from "../../../convex/model/error.ts";
import type { Identity } from "../model/call.ts";
import { openTokenChecker, type Provider } from "./token.ts";

export type Asker = {
  readonly identity: Identity;
  /** When the credential ends; infinity when it does not. */
  readonly expiresAtMs: number;
  /** The signed token itself, when it was one. */
  readonly token?: string;
};

export type Credential =
  | { readonly type: "none" }
  | { readonly type: "user"; readonly token: string }
  | { readonly type: "admin"; readonly key: string; readonly actingAs?: Readonly<Record<string, unknown>> | undefined };

export type Authenticator = {
  /** Fails with `denied` when the credential is not good, `unavailable` when that could not be found out. */
  identify(credential: Credential): Promise<Asker>;
  /** The same for the value of an Authorization header: `Bearer <token>`, `Convex <admin key>[:<identity>]`, or none. */
  identifyHeader(header: string | undefined): Promise<Asker>;
};

export type AuthOptions = {
  readonly adminKey: string;
  /** auth.config.ts, evaluated. */
  readonly providers: readonly Provider[];
  readonly nowMs: () => number;
  /** How documents are fetched: keys and discovery of providers that live elsewhere. */
  readonly fetch?: typeof globalThis.fetch;
};

const nobody: Asker = { identity: { type: "none" }, expiresAtMs: Number.POSITIVE_INFINITY };

export function openAuthenticator(options: AuthOptions): Authenticator {
  const checkToken = openTokenChecker(options);
  const identify = async (credential: Credential): Promise<Asker> => {
    switch (credential.type) {
      case "none":
        return nobody;
      case "user": {
        const { attributes, expiresAtMs } = await checkToken(credential.token);
        return { identity: { type: "user", attributes }, expiresAtMs, token: credential.token };
      }
      case "admin": {
        if (!isSameSecret(credential.key, options.adminKey)) throw new NikaError("denied", "The admin key is not the right one.");
        const { actingAs } = credential;
        return { ...nobody, identity: actingAs ? { type: "admin", actingAs } : { type: "admin" } };
      }
    }
  };
  return {
    identify,
    identifyHeader: async (header) => identify(credentialOf(header)),
  };
}

function credentialOf(header: string | undefined): Credential {
  if (header === undefined || header === "") return { type: "none" };
  const [, scheme, value] = /^(\S+)\s+(.+)$/.exec(header.trim()) ?? [];
  switch ((scheme ?? "").toLowerCase()) {
    case "bearer":
      return { type: "user", token: value ?? "" };
    case "convex": {
      const [key = "", acting] = (value ?? "").split(":");
      return acting === undefined ? { type: "admin", key } : { type: "admin", key, actingAs: attributesOf(acting) };
    }
    default:
      throw new NikaError("denied", "The Authorization header must be `Bearer <token>` or `Convex <admin key>`.");
  }
}

function attributesOf(base64: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64, "base64").toString());
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, like every other wrong shape.
  }
  throw new NikaError("denied", "The identity to act as is not JSON in base64.");
}

/** Hashed first, so that neither the time nor the length tells anything. */
function isSameSecret(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
