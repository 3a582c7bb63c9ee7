/**
 * Keys with which rented machines join the owner's tailnet (Tailscale, or Headscale where it serves the same API): each for one machine, for
 * a quarter of an hour, ephemeral and tagged, so that the tailnet's rules say what it may reach. The owner's own key is an OAuth client that
 * owns the tag and can make nothing else.
 */
import type { Failure } from "../../convex/model/gpu.ts";
import { ProviderError } from "../../functions/ports/gpu.ts";
import { failureOf, openHttp, unlessMissing, vendorWords, type Answer, type HttpOptions } from "./http.ts";
import { isRecord, numberOf, recordsIn, textOf } from "./record.ts";

export type MeshOptions = {
  readonly credentials: () => Promise<{ readonly clientId: string; readonly clientSecret: string }>;
  readonly now: () => number;
  readonly tag?: string;
  /** "-" is the tailnet that the client belongs to. */
  readonly tailnet?: string;
  readonly journal?: HttpOptions["journal"];
  readonly url?: string;
};

export type Mesh = {
  /** Good for one machine, which joins under this name. Fails with `ProviderError`. */
  mint(machineName: string, signal: AbortSignal): Promise<{ readonly id: string; readonly key: string }>;
  /** Takes away the key and every device of that name with our tag. Said again, it finds nothing. */
  remove(machine: { readonly name: string; readonly keyId?: string }, signal: AbortSignal): Promise<void>;
  /** Devices with our tag, whoever's: an install's are known by their names. */
  list(signal: AbortSignal): Promise<readonly { readonly id: string; readonly name: string }[]>;
};

const keySeconds = 900;
const spareMs = 30_000;

export function tailscale(options: MeshOptions): Mesh {
  const { now, tag = "tag:nika-worker", tailnet = "-", url = "https://api.tailscale.com" } = options;
  let token: { readonly value: string; readonly until: number } | undefined;
  let secrets: readonly string[] = [];
  const base = { vendor: "Tailscale", url, now, secrets: () => secrets, ...(options.journal && { journal: options.journal }) };
  const signIn = openHttp(base);

  const fresh = async (signal: AbortSignal): Promise<string> => {
    if (token && token.until > now()) return token.value;
    const { clientId, clientSecret } = await options.credentials();
    secrets = [clientSecret];
    const form = { client_id: clientId, client_secret: clientSecret, grant_type: "client_credentials" };
    const { body } = await signIn.ask({ method: "POST", path: "/api/v2/oauth/token", form }, signal, meshFailure);
    const [value, seconds] = isRecord(body) ? [textOf(body.access_token), numberOf(body.expires_in)] : ["", 0];
    if (value === "") throw new ProviderError(failureOf("transient", "provider", "Tailscale's sign-in gave no token"));
    token = { value, until: now() + Math.max(0, seconds * 1000 - spareMs) };
    secrets = [clientSecret, value];
    return value;
  };
  const http = openHttp({ ...base, headers: async (signal) => ({ authorization: `Bearer ${await fresh(signal)}` }) });
  const home = `/api/v2/tailnet/${encodeURIComponent(tailnet)}`;

  const list = async (signal: AbortSignal): Promise<{ readonly id: string; readonly name: string }[]> => {
    const { body } = await http.ask({ method: "GET", path: `${home}/devices` }, signal, meshFailure);
    const devices = recordsIn(body, "devices");
    if (!devices)
      throw new ProviderError(failureOf("transient", "provider", "Tailscale answered with something else than devices"));
    return devices
      .filter(({ tags }) => Array.isArray(tags) && tags.includes(tag))
      .map((one) => ({ id: textOf(one.nodeId) || textOf(one.id), name: textOf(one.hostname) }));
  };

  return {
    list,
    async mint(machineName, signal) {
      const create = { reusable: false, ephemeral: true, preauthorized: true, tags: [tag] };
      const json = { capabilities: { devices: { create } }, expirySeconds: keySeconds, description: machineName };
      const { body } = await http.ask({ method: "POST", path: `${home}/keys`, json }, signal, meshFailure);
      const [id, key] = isRecord(body) ? [textOf(body.id), textOf(body.key)] : ["", ""];
      if (key === "") throw new ProviderError(failureOf("transient", "provider", "Tailscale made a key and did not show it"));
      return { id, key };
    },
    async remove({ name, keyId }, signal) {
      if (keyId !== undefined)
        await unlessMissing(
          http.ask({ method: "DELETE", path: `${home}/keys/${encodeURIComponent(keyId)}` }, signal, meshFailure),
        );
      for (const device of await list(signal))
        if (device.name === name)
          await unlessMissing(
            http.ask({ method: "DELETE", path: `/api/v2/device/${encodeURIComponent(device.id)}` }, signal, meshFailure),
          );
    },
  };
}

function meshFailure({ status, body }: Answer): Failure {
  const words = vendorWords(isRecord(body) ? body.message : undefined) || "no reason given";
  if (status === 401)
    return failureOf("auth", "account", "Tailscale does not take the OAuth client; make a new one and connect again");
  if (status === 403)
    return failureOf(
      "forbidden",
      "account",
      "The Tailscale OAuth client may not do this; it needs to write auth keys and devices, and to own the tag",
    );
  if (status === 404) return failureOf("missing", "type", "Tailscale knows no such thing");
  if (status === 429) return failureOf("rateLimit", "provider", "Tailscale was asked too often and wants us to wait");
  return status >= 500
    ? failureOf("transient", "provider", `Tailscale is in trouble (${status})`)
    : failureOf("invalid", "type", `Tailscale refused the request (${status}): ${words}`);
}
