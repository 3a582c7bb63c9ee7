/**
 * What programs elsewhere were allowed, on disk: who they say they are, what the owner granted, and hashes of the refresh tokens they hold. Tokens
 * themselves are nowhere; what lives for minutes (codes, access tokens, sign-ins under way) is in memory alone.
 */
import { join } from "node:path";
import type { Adapter, AdapterPayload } from "oidc-provider";
import { keep, sha256 } from "../pool/kept.ts";

type Row = { readonly payload: AdapterPayload; readonly until: number | undefined; readonly at: number };
type Rows = Record<string, Row>;

/** One program that may use the owner's tools. */
export type GrantedClient = {
  readonly id: string;
  readonly name: string;
  /** Where its sign-in goes back to. */
  readonly redirects: readonly string[];
  readonly grantedAt: number;
  /** When it last fetched a token. */
  readonly usedAt: number;
};

export type GrantFile = {
  readonly adapter: (model: string) => Adapter;
  list(): readonly GrantedClient[];
  /** From now on nothing it holds is good. False when there is no such grant. */
  revoke(id: string): boolean;
  nameOf(clientId: string): string;
};
export type GrantFileOptions = {
  readonly dataDir: string;
  readonly now: () => number;
  readonly log: (line: string) => void;
};

const durable = new Set(["Client", "Grant", "RefreshToken"]);
/** Whoever has one of these may act by it: of it, only the hash is kept. */
const bearer = new Set(["AccessToken", "AuthorizationCode", "RefreshToken"]);
/** Anybody may register a program; those that nobody allowed go first. */
const clientsMax = 200;
const passingMax = 2_000;

/** Reads the file; begins with none. */
export function openGrantFile({ dataDir, now, log }: GrantFileOptions): GrantFile {
  const kept = keep<Rows>(join(dataDir, "mcp", "clients.json"), log);
  const passing = new Map<string, Row>();
  const rowOf = (key: string): Row | undefined => {
    const row = kept.value[key] ?? passing.get(key);
    return row && (row.until === undefined || row.until > now()) ? row : undefined;
  };
  const of = (model: string): [string, Row][] =>
    [...Object.entries(kept.value), ...passing].filter(([key]) => key.startsWith(`${model}:`));
  const drop = (keys: readonly string[]): void => {
    let isOnDisk = false;
    for (const key of keys) {
      passing.delete(key);
      if (kept.value[key]) {
        delete kept.value[key];
        isOnDisk = true;
      }
    }
    if (isOnDisk) kept.save();
  };
  /** What is over, and registrations that came to nothing, oldest first. */
  const sweep = (): void => {
    for (const [key, { until }] of Object.entries(kept.value)) if (until !== undefined && until <= now()) delete kept.value[key];
    const granted = new Set(of("Grant").map(([, { payload }]) => payload.clientId));
    const idle = of("Client").filter(([, { payload }]) => !granted.has(payload.client_id as string));
    for (const [key] of idle
      .toSorted(([, left], [, right]) => left.at - right.at)
      .slice(0, Math.max(0, of("Client").length - clientsMax)))
      delete kept.value[key];
    for (const [key, { until }] of passing)
      if ((until !== undefined && until <= now()) || passing.size > passingMax) passing.delete(key);
  };
  const byGrant = (grantId: string): string[] =>
    [...Object.entries(kept.value), ...passing].flatMap(([key, { payload }]) => (payload.grantId === grantId ? [key] : []));
  const clientOf = (clientId: string): AdapterPayload | undefined => rowOf(`Client:${sha256(clientId)}`)?.payload;
  const nameOf = (clientId: string): string => {
    const name = clientOf(clientId)?.["client_name"];
    // What a program calls itself is shown to the owner and written into the log.
    return (typeof name === "string" ? name : clientId)
      .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, " ")
      .slice(0, 80)
      .trim();
  };

  const adapter = (model: string): Adapter => {
    const keyOf = (id: string): string => `${model}:${sha256(id)}`;
    const answer = (id: string, row: Row | undefined): AdapterPayload | undefined =>
      row && { ...structuredClone(row.payload), ...(bearer.has(model) && { jti: id }) };
    return {
      upsert(id, payload, expiresIn) {
        sweep();
        const { jti, ...rest } = structuredClone(payload);
        const until = expiresIn === undefined ? undefined : now() + expiresIn * 1000;
        const row: Row = { payload: bearer.has(model) || jti === undefined ? rest : { ...rest, jti }, until, at: now() };
        if (durable.has(model)) {
          kept.value[keyOf(id)] = row;
          kept.save();
        } else passing.set(keyOf(id), row);
        return Promise.resolve();
      },
      find: (id) => Promise.resolve(answer(id, rowOf(keyOf(id)))),
      findByUid(uid) {
        const [, row] = of(model).find(([, { payload }]) => payload.uid === uid) ?? [];
        return Promise.resolve(row && structuredClone(row.payload));
      },
      findByUserCode: () => Promise.resolve(undefined),
      consume(id) {
        const row = rowOf(keyOf(id));
        if (row) row.payload.consumed = Math.floor(now() / 1000);
        if (row && durable.has(model)) kept.save();
        return Promise.resolve();
      },
      destroy: (id) => Promise.resolve(drop([keyOf(id)])),
      revokeByGrantId: (grantId) => Promise.resolve(drop(byGrant(grantId))),
    };
  };

  return {
    adapter,
    nameOf,
    list: () =>
      of("Grant").flatMap(([, { payload, at, until }]) => {
        const { jti: id, clientId } = payload;
        if (id === undefined || clientId === undefined || (until !== undefined && until <= now())) return [];
        const members = byGrant(id).flatMap((key) => rowOf(key)?.at ?? []);
        // One that was granted and whose tokens are all gone holds nothing.
        if (members.length === 0) return [];
        const redirects = clientOf(clientId)?.["redirect_uris"];
        return [
          {
            id,
            name: nameOf(clientId),
            redirects: Array.isArray(redirects) ? redirects.map(String) : [],
            grantedAt: at,
            usedAt: Math.max(...members),
          },
        ];
      }),
    revoke(id) {
      const key = `Grant:${sha256(id)}`;
      if (!kept.value[key]) return false;
      drop([...byGrant(id), key]);
      return true;
    },
  };
}
