/** Starts a server that nobody approved yet, with no network and no secrets, only to hear what it offers. */
import type { ServerConfig } from "../../../convex/model/server.ts";
import type { Listing } from "../pool/kept.ts";
import type { Launcher } from "../pool/launch.ts";
import { isHandshakeShy } from "../pool/connections.ts";
import { openPeer, type Peer } from "../pool/peer.ts";
import { everything, nobody } from "../scope.ts";

/** Stands where a secret would: many servers end at once when they have none. */
const placeholder = "not-set-yet";

let trials = 0;

/** Fails as a start does: `unavailable`, `timeout`, `denied` (nothing here can hold it). */
export async function listApart(
  config: ServerConfig,
  { launcher, version, signal }: { readonly launcher: Launcher; readonly version: string; readonly signal: AbortSignal },
): Promise<Omit<Listing, "hash" | "listedAt" | "eraAt">> {
  const { transport, sandbox } = config;
  if (transport.type !== "stdio") throw new TypeError("Only a program can be tried apart.");
  const env = Object.fromEntries(
    Object.entries(transport.env).map(([name, text]) => [name, text.replace(/\$\{secret:[^}]*\}/g, placeholder)]),
  );
  const alone: ServerConfig = { ...config, transport: { ...transport, env }, sandbox: { ...sandbox, egress: [] } };
  const start = async (era: "legacy" | undefined): Promise<Peer> => {
    const id = `nika-mcp-trial-${config.name}-${process.pid}-${trials++}`;
    const launched = await launcher(alone, { id, isBareAllowed: false }, signal);
    return openPeer({
      version,
      launched,
      era,
      capabilities: everything,
      owner: "trial",
      asked: nobody,
      told: () => undefined,
      signal,
    });
  };
  const peer = await start(undefined).catch((error: unknown) => {
    if (signal.aborted || !isHandshakeShy(error)) throw error;
    return start("legacy");
  });
  try {
    return await peer.list(signal);
  } finally {
    await peer.close();
  }
}
