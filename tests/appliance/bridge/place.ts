/** The bridge on a socket of its own, over a control plane in memory. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBridge } from "../../../appliance/bridge/bridge.ts";
import { bridgeRoutes } from "../../../appliance/bridge/http.ts";
import { nikaRoutes, type RouteOptions } from "../../../appliance/http/routes.ts";
import { openServer } from "../../../appliance/http/server.ts";
import { openKeys } from "../../../appliance/secrets/keys.ts";
import { mintOwnerToken } from "../../../appliance/secrets/token.ts";
import { api } from "../../../convex/_generated/api.js";
import type { Lab } from "../../contracts/lab.ts";

export type Place = {
  readonly url: string;
  readonly dataDir: string;
  readonly ownerToken: string;
  /** Makes a token and adds its target. */
  readonly token: (name: string, role: "client" | "agent", target?: string) => Promise<string>;
  readonly post: (verb: string, token: string, body: object) => Promise<{ status: number; body: Record<string, unknown> }>;
  readonly close: () => Promise<void>;
};

/** Nothing but the bridge is asked of these routes. */
export async function openPlace(state: Lab): Promise<Place> {
  const dataDir = mkdtempSync(join(tmpdir(), "nika-bridge-"));
  const keys = openKeys(dataDir);
  const server = await openServer({ host: "127.0.0.1", port: 0, publicUrl: undefined, webDir: join(dataDir, "web") });
  const bridge = bridgeRoutes({ bridge: openBridge(state), state, version: "1", log: () => {} });
  const options = {
    version: "1",
    adminKey: keys.adminKey,
    signing: keys.signing,
    sessionKey: keys.session,
    origin: server.origin,
  };
  const routes = nikaRoutes({
    ...options,
    bridge,
    functions: () => undefined,
    gpu: () => undefined,
    workers: () => undefined,
    convexUrl: server.origin,
    log: () => {},
    now: () => Date.now(),
  } as unknown as RouteOptions);
  server.serve({ backend: undefined, connectTo: "", routes });
  const run = { pid: process.pid, port: server.port, url: server.origin, version: "1", startedAt: 0 };
  writeFileSync(join(dataDir, "run.json"), JSON.stringify(run));
  return {
    url: server.origin,
    dataDir,
    ownerToken: mintOwnerToken(keys.signing, Date.now()).token,
    async token(name, role, target) {
      if (target !== undefined) await state.owner.mutation(api.bridge.addTarget, { name: target });
      const token = `nkb_${name}_0123456789abcdef`;
      const hash = createHash("sha256").update(token).digest("hex");
      await state.owner.mutation(api.bridgeTokens.add, { name, role, hash, ...(target !== undefined && { target }) });
      return token;
    },
    async post(verb, token, body) {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const response = await fetch(`${server.origin}/api/bridge/${verb}`, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    async close() {
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
