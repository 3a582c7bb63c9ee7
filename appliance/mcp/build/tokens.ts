/**
 * Secrets for servers that start: as they are kept, but of a grant only its access token, renewed first when it is about to end. A server that
 * was given one is started anew when that ends, so that nothing needs to reach a running server.
 */
import { NikaError } from "../../../convex/model/error.ts";
import type { Secrets } from "../../../functions/ports/secrets.ts";
import { renewed, toGrant, type Grant } from "./grant.ts";

export type Tokens = {
  /** As the store's; fails with `denied` when the owner has to sign in again. `reader` is "mcp NAME". */
  find(name: string, reader: string): Promise<string | undefined>;
  /** From when on a server should be started anew; undefined for one whose secrets do not end. Milliseconds since 1970. */
  staleAt(server: string): number | undefined;
};

/** A token is renewed when this share of its life is over. */
const renewedAfter = 0.8;

export function openTokens({
  secrets,
  now,
}: {
  readonly secrets: Pick<Secrets, "find" | "renew">;
  readonly now: () => number;
}): Tokens {
  const given = new Map<string, Map<string, number>>();
  return {
    async find(name, reader) {
      const value = await secrets.find(name, reader);
      const grant = value === undefined ? undefined : toGrant(value);
      if (!grant) return value;
      const held = dueAt(grant) > now() ? grant : await renew(name, grant, { secrets, now });
      const server = reader.replace(/^mcp /u, "");
      given.set(server, (given.get(server) ?? new Map<string, number>()).set(name, dueAt(held)));
      return held.tokens.access_token;
    },
    staleAt(server) {
      const times = [...(given.get(server)?.values() ?? [])].filter(Number.isFinite);
      return times.length === 0 ? undefined : Math.min(...times);
    },
  };
}

const lifeMs = ({ tokens }: Grant): number =>
  tokens.expires_in === undefined ? Number.POSITIVE_INFINITY : tokens.expires_in * 1000;
const dueAt = (grant: Grant): number =>
  // Without a way to renew it, it is good until it ends.
  grant.givenAt + lifeMs(grant) * (grant.tokens.refresh_token === undefined ? 1 : renewedAfter);

type Renewing = { readonly secrets: Pick<Secrets, "renew">; readonly now: () => number };

async function renew(name: string, grant: Grant, { secrets, now }: Renewing): Promise<Grant> {
  const ended = new NikaError(
    "denied",
    `The sign-in "${name}" has ended; sign in again with \`nika mcp grant ${name.split(".", 1)[0] ?? name}\`.`,
  );
  if (grant.tokens.refresh_token === undefined) throw ended;
  try {
    const value = await secrets.renew(
      name,
      async (current) => {
        const latest = toGrant(current);
        // Somebody else renewed it, or signed in again, since it was read.
        if (!latest || dueAt(latest) > now()) return current;
        return JSON.stringify(await renewed(latest, now));
      },
      "mcp",
    );
    return toGrant(value) ?? grant;
  } catch (error) {
    // What is good for a while yet is used; the next start tries again.
    if (grant.givenAt + lifeMs(grant) > now() + 10_000) return grant;
    throw error instanceof NikaError && error.code === "unavailable" ? error : ended;
  }
}
