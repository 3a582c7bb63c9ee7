/** Tailscale's API as far as Nika uses it, on a socket of this machine: OAuth clients mint tagged keys only, a key lets one device in, once. */
import { randomUUID } from "node:crypto";
import { serve, type Heard, type Reply } from "./cloud.ts";
import { mismatches, type Shape } from "./shape.ts";

export type FakeTailscale = {
  readonly url: string;
  readonly credentials: { readonly clientId: string; readonly clientSecret: string };
  readonly devices: ReadonlyMap<string, { readonly hostname: string; readonly tags: readonly string[] }>;
  /** A machine joins with a key, as its client does; false when it is refused. */
  join(key: string, hostname: string): boolean;
  /** Somebody's laptop. */
  addForeign(hostname: string): void;
  revoke(): void;
  readonly heard: readonly Heard[];
  close(): Promise<void>;
};

const keyShape: Shape = {
  must: {
    capabilities: {
      must: {
        devices: {
          must: {
            create: {
              must: {},
              may: { reusable: "boolean", ephemeral: "boolean", preauthorized: "boolean", tags: { list: "string" } },
            },
          },
        },
      },
    },
  },
  may: { expirySeconds: "integer", description: "string" },
};

export async function openFakeTailscale({ now }: { readonly now: () => number }): Promise<FakeTailscale> {
  const credentials = { clientId: "kExample", clientSecret: `tskey-client-${randomUUID()}` };
  const devices = new Map<string, { hostname: string; tags: readonly string[] }>();
  const keys = new Map<string, { secret: string; tags: string[]; until: number; isUsed: boolean }>();
  const tokens = new Map<string, number>();
  let isRevoked = false;
  let serial = 0;

  const server = await serve((heard): Reply => {
    const { pathname } = heard.url;
    if (pathname === "/api/v2/oauth/token") {
      const form = new URLSearchParams(heard.body);
      if (isRevoked || form.get("client_secret") !== credentials.clientSecret)
        return json(401, { message: `invalid client ${form.get("client_secret") ?? ""}` });
      const token = `tskey-api-${randomUUID()}`;
      tokens.set(token, now() + 3_600_000);
      return json(200, { access_token: token, token_type: "Bearer", expires_in: 3_600, scope: "auth_keys devices:core" });
    }
    if (isRevoked || (tokens.get(heard.headers.authorization?.replace("Bearer ", "") ?? "") ?? 0) <= now())
      return json(401, { message: "API token invalid" });
    if (heard.method === "POST" && pathname === "/api/v2/tailnet/-/keys") {
      const body = JSON.parse(heard.body) as {
        capabilities: { devices: { create: { tags?: string[] } } };
        expirySeconds?: number;
      };
      const wrong = mismatches(keyShape, body);
      const { tags = [] } = body.capabilities.devices.create;
      if (wrong.length > 0 || tags.length === 0)
        return json(400, { message: wrong[0] ?? "an OAuth client makes tagged keys only" });
      serial += 1;
      const made = {
        secret: `tskey-auth-${randomUUID()}`,
        tags,
        until: now() + (body.expirySeconds ?? 7_776_000) * 1000,
        isUsed: false,
      };
      keys.set(`k${serial}`, made);
      return json(200, {
        id: `k${serial}`,
        key: made.secret,
        created: new Date(now()).toISOString(),
        expires: new Date(made.until).toISOString(),
        capabilities: body.capabilities,
      });
    }
    if (heard.method === "GET" && pathname === "/api/v2/tailnet/-/devices")
      return json(200, {
        devices: [...devices].map(([nodeId, one]) => ({
          nodeId,
          id: "1",
          name: `${one.hostname}.example.ts.net`,
          addresses: [],
          ...one,
        })),
      });
    const [, kind, id = ""] = /^\/api\/v2\/(tailnet\/-\/keys|device)\/([^/]+)$/.exec(pathname) ?? [];
    if (heard.method === "DELETE" && kind !== undefined)
      return (kind === "device" ? devices : keys).delete(id) ? json(200, {}) : json(404, { message: "not found" });
    return json(404, { message: "not found" });
  });
  return {
    url: server.url,
    credentials,
    devices,
    join(key, hostname) {
      const found = [...keys.values()].find(({ secret }) => secret === key);
      if (!found || found.isUsed || found.until <= now()) return false;
      found.isUsed = true;
      devices.set(`n${devices.size + 1}`, { hostname, tags: found.tags });
      return true;
    },
    addForeign: (hostname) => void devices.set(`n${devices.size + 1}`, { hostname, tags: [] }),
    revoke: () => void (isRevoked = true),
    heard: server.heard,
    close: server.close,
  };
}

const json = (status: number, body: object): Reply => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
