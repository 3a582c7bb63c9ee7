/** `nika mcp grant` and `restart`: signing in at the service behind a server that was made, and starting it anew. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { Config } from "../config.ts";
import { serversDir } from "../mcp/build/build.ts";
import { signIn, wayIn } from "../mcp/build/grant.ts";
import type { Client } from "./client.ts";
import { readHidden } from "./hidden.ts";
import { interrupted } from "./live.ts";
import type { Terminal } from "./terminal.ts";

export type GrantOptions = {
  readonly name: string;
  /** Where it stands, if not in the data directory. */
  readonly folder: string | undefined;
  readonly clientId: string;
  /** Whether the program that is registered there has a secret of its own; asked for, or read from the file. */
  readonly hasSecret: boolean;
  readonly secretFile: string | undefined;
  readonly port: number;
  readonly json: boolean;
  readonly signal: AbortSignal;
};

/** The owner's browser goes to the service and comes back to this machine. */
const waitMs = 10 * 60_000;

export async function runMcpGrant(terminal: Terminal, client: Client, config: Config, options: GrantOptions): Promise<void> {
  const { name, clientId, signal, json } = options;
  const file = join(options.folder ?? join(serversDir(config.dataDir), name), "mcp.toml");
  const manifest = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new NikaError("missing", `There is no ${file}; name the server's folder with --folder.`, { cause });
  });
  const way = wayIn(manifest);
  const secret =
    options.hasSecret || options.secretFile !== undefined
      ? await readHidden(`The secret of ${clientId}`, { file: options.secretFile, signal })
      : undefined;
  const grant = await signIn({
    way,
    client: { client_id: clientId, ...(secret !== undefined && { client_secret: secret }) },
    port: options.port,
    show: (url, redirectUrl) => {
      terminal.note(`Open this in your browser; the service must know ${redirectUrl} as an address to come back to:`);
      terminal.note(`  ${url}`);
    },
    now: () => Date.now(),
    signal: AbortSignal.any([signal, AbortSignal.timeout(waitMs)]),
  }).catch((error: unknown) => {
    if (signal.aborted) throw interrupted();
    if (error instanceof Error && error.name === "TimeoutError")
      throw new NikaError("timeout", "Nobody came back from the service within ten minutes.", { cause: error });
    throw error;
  });
  await client.post("/nika/secrets", {
    authorization: client.adminAuthorization,
    body: { name: way.secret, value: JSON.stringify(grant) },
  });
  await restart(client, name).catch(() => undefined);
  const { scope, expires_in: seconds, refresh_token: refresh } = grant.tokens;
  if (json) return terminal.json({ name, secret: way.secret, scope, isRenewed: refresh !== undefined });
  terminal.line(`Signed in: kept as the secret ${way.secret}${refresh === undefined ? "" : ", and renewed by Nika"}.`);
  if (refresh === undefined && seconds !== undefined)
    terminal.line(`The service gave nothing to renew it with: it ends in ${Math.round(seconds / 60)} minutes.`);
}

const restart = async (client: Client, name: string): Promise<void> => {
  await client.post("/nika/mcp/restart", { authorization: `Bearer ${await client.token()}`, body: { name } });
};

export async function runMcpRestart(
  terminal: Terminal,
  client: Client,
  { name, json }: { readonly name: string; readonly json: boolean },
): Promise<void> {
  await restart(client, name);
  if (json) return terminal.json({ name });
  terminal.line(`${name} was stopped, and starts anew with its next call.`);
}
