/** A pool with its gateway on a real socket, in a folder of its own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFiles } from "../../../appliance/mcp/pool/configFiles.ts";
import type { Visitor } from "../../../appliance/mcp/conversation.ts";
import { openEdge } from "../../../appliance/mcp/edge.ts";
import { openGateway, type Gateway, type GatewayOptions } from "../../../appliance/mcp/gateway.ts";
import { openKnown } from "../../../appliance/mcp/guard/known.ts";
import { openLauncher, type LaunchOptions } from "../../../appliance/mcp/pool/launch.ts";
import { openLedger, type Ledger } from "../../../appliance/mcp/log/ledger.ts";
import type { ToolMode } from "../../../appliance/mcp/lists.ts";
import { openRecordings, recordingsDir } from "../../../appliance/mcp/log/recordings.ts";
import { toFacts } from "../../../appliance/mcp/pool/reporter.ts";
import { seenOf, type Seen, type ServerFacts } from "../../../convex/model/serverView.ts";
import { openPool, type Pool, type PoolOptions } from "../../../appliance/mcp/pool/pool.ts";

const root = join(import.meta.dirname, "../../..");
export const packagePath = (name: string): string => join(root, "node_modules/@modelcontextprotocol", name, "dist/index.js");
export const everything = { command: process.execPath, args: [packagePath("server-everything"), "stdio"] };

export function factsIn(pool: Pool, name: string): ServerFacts {
  const standing = pool.standings().find((one) => one.name === name);
  if (!standing) throw new Error(`no server ${name}`);
  return toFacts(standing);
}

export type McpPlace = {
  readonly dir: string;
  readonly url: string;
  readonly port: number;
  readonly pool: Pool;
  readonly gateway: Gateway;
  readonly ledger: Ledger;
  readonly logged: string[];
  /** Writes the file, reads it, and waits until every server was looked at. */
  configure(servers: object): Promise<void>;
  /** Allows and approves all that is configured. */
  trust(...names: string[]): Promise<void>;
  /** What is shown of it now, or of these of its tools. */
  seen(name: string, only?: readonly string[]): Seen;
  /** Approves that. */
  approve(name: string, only?: readonly string[]): number;
  /** Lets it run without a sandbox, as it is declared now. */
  allowBare(name: string): Promise<void>;
  reload(): Promise<void>;
  close(): Promise<void>;
};

type Wish = {
  readonly dir?: string;
  readonly tools?: GatewayOptions["tools"];
  readonly mode?: ToolMode;
  readonly pool?: Partial<PoolOptions>;
  readonly launch?: Partial<LaunchOptions>;
};

export async function openMcpPlace(wish: Wish = {}): Promise<McpPlace> {
  const dir = wish.dir ?? mkdtempSync(join(tmpdir(), "nika-mcp-"));
  const logged: string[] = [];
  const log = (line: string): void => void logged.push(line);
  const now = (): number => Date.now();
  const known = openKnown();
  const launcher = openLauncher({
    known,
    dataDir: dir,
    sandboxes: undefined,
    variables: process.env,
    secret: () => Promise.resolve(undefined),
    log,
    ...wish.launch,
  });
  const pool = openPool({ dataDir: dir, version: "0", launcher, log, now, ...wish.pool });
  const ledger = openLedger(join(dir, "mcp", "events"), { now, log, keysDir: join(dir, "keys") });
  const recordings = openRecordings({ dir: recordingsDir(dir), log });
  const gateway = openGateway({ pool, tools: wish.tools ?? [], ledger, known, recordings, version: "0", log, now });
  const edge = openEdge({ gateway, log, now });
  pool.onRoutes(() => edge.announce());
  const visitorOf = ({ url = "" }: { readonly url?: string | undefined }): Visitor => ({
    principal: "owner",
    mode: url.endsWith("?tools=all") ? "all" : (wish.mode ?? "auto"),
  });
  const server = createServer((request, response) => {
    edge.answer(request, response, visitorOf(request)).catch((error: unknown) => {
      logged.push(String(error));
      if (!response.headersSent) response.writeHead(500).end();
      else response.destroy();
    });
  });
  server.on("upgrade", (request, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: mcp\r\nConnection: Upgrade\r\n\r\n");
    edge.serve(socket, visitorOf(request));
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  const { port } = server.address() as AddressInfo;
  const files = configFiles({ dataDir: dir, sharedFile: join(dir, "home.mcp.json") });
  const reload = (): Promise<void> => pool.apply(files.read());
  const place: McpPlace = {
    dir,
    url: `http://127.0.0.1:${port}/mcp`,
    port,
    pool,
    gateway,
    ledger,
    logged,
    reload,
    async configure(servers) {
      writeFileSync(join(dir, "mcp-servers.json"), JSON.stringify(servers));
      await reload();
    },
    async trust(...names) {
      for (const name of names) {
        if (pool.configOf(name).transport.type === "stdio") await place.allowBare(name);
        place.approve(name);
      }
    },
    seen: (name, only) => seenOf(factsIn(pool, name), only),
    approve: (name, only) => pool.approve(name, place.seen(name, only)),
    allowBare: (name) => pool.allowBare(name, factsIn(pool, name).targetSha256),
    async close() {
      server.closeAllConnections();
      await edge.close();
      await new Promise<void>((done) => {
        server.close(() => done());
      });
      await pool.close();
      await ledger.close();
      if (wish.dir === undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
  return place;
}
