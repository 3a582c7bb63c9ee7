/** Where the control plane runs: our engine, in this process, or a Convex backend that was configured. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "./config.ts";
import { deployFunctions } from "./deploy.ts";
import { openEngine, type Engine } from "./engine/engine.ts";
import type { HttpServer } from "./http/server.ts";
import type { Log } from "./log.ts";
import type { Keys } from "./secrets/keys.ts";

const rootDir = fileURLToPath(new URL("..", import.meta.url));

type BackendOptions = { readonly config: Config; readonly keys: Keys; readonly log: Log; readonly origin: () => string };

/** The control plane's backend: our engine in this process, or undefined when a Convex backend was configured, brought up to date. */
export async function openBackend({ config, keys, log, origin }: BackendOptions): Promise<Engine | undefined> {
  const env = { NIKA_JWKS: keys.jwksUrl };
  if (config.state.type === "convex") {
    const { url, adminKey, deploys } = config.state;
    if (deploys) await deployFunctions({ rootDir, url, adminKey, variables: env, log });
    return undefined;
  }
  const dir = join(config.dataDir, "engine");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  // Only our own page may open the API from a browser; other programs on the machine need a token anyway.
  return openEngine({
    dir,
    functionsDir: join(rootDir, "convex"),
    env,
    adminKey: keys.adminKey,
    origin,
    allowedOrigins: [],
    // The Functions page is the owner's.
    isOperator: (identity) => identity.type === "user" && identity.attributes["subject"] === "owner",
    log,
  });
}

export type Addresses = { readonly url: string; readonly publicUrl: string; readonly adminKey: string };

/** How the backend is reached. With our engine this process goes the short way round, browsers by the name they know. */
export function addressesOf({ state }: Config, server: HttpServer, keys: Keys): Addresses {
  if (state.type === "convex") return state;
  return { url: `http://127.0.0.1:${server.port}`, publicUrl: server.origin, adminKey: keys.adminKey };
}
