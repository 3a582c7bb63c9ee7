/** MCP as a whole: files, pool, gateway and log, joined and begun; and what the owner may do about them. */
import { internal } from "../../convex/_generated/api.js";
import { join } from "node:path";
import { ProtocolError } from "@modelcontextprotocol/server";
import { NikaError } from "../../convex/model/error.ts";
import type { Sandboxes } from "../../functions/ports/sandboxes.ts";
import type { Secrets } from "../../functions/ports/secrets.ts";
import type { State } from "../../functions/ports/state.ts";
import type { Tools } from "../../functions/ports/tools.ts";
import { openAccounts } from "./auth/accounts.ts";
import { openAuthServer } from "./auth/authServer.ts";
import { clientPath } from "./auth/callback.ts";
import { openVerbs } from "./auth/verbs.ts";
import { openTokens } from "./build/tokens.ts";
import { openBuilder } from "./build/verbs.ts";
import type { McpControl } from "./control.ts";
import { configFiles } from "./pool/configFiles.ts";
import { openDeclared } from "./pool/declared.ts";
import { openDiscover } from "./discover/discover.ts";
import { groundOf } from "./discover/ground.ts";
import { openPackages } from "./discover/packages.ts";
import { openEdge } from "./edge.ts";
import { openGateway } from "./gateway.ts";
import { openKnown } from "./guard/known.ts";
import { mcpRoutes, type McpRoutes } from "./http.ts";
import { openLauncher, resolved } from "./pool/launch.ts";
import { acceptedType, openLedger, readEvents } from "./log/ledger.ts";
import { ledgerDir } from "./log/ledgerDir.ts";
import type { OwnPrompt, OwnResource } from "./own.ts";
import { openPool } from "./pool/pool.ts";
import type { Tool } from "./server.ts";
import { readStats } from "./log/stats.ts";
import { openRecordings, recordingsDir } from "./log/recordings.ts";
import { openReporter, toFacts } from "./pool/reporter.ts";

export type McpOptions = {
  readonly dataDir: string;
  /** Declarations that other programs read too. */
  readonly sharedFile: string;
  readonly version: string;
  readonly state: State;
  readonly sandboxes: Sandboxes | undefined;
  readonly secrets: Pick<Secrets, "find" | "set" | "remove" | "renew">;
  /** Where Nika is reached: by browsers and programs elsewhere (its public address, when it has one), and its port on this machine. */
  readonly address: { readonly origin: string; readonly port: number; readonly publicUrl: string | undefined };
  /** Seals what a browser carries during a sign-in of others. */
  readonly cookieKey: string;
  /** The environment Nika was started in, for `${VAR}`. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly tools: readonly Tool[];
  readonly resources: readonly OwnResource[];
  readonly prompts: readonly OwnPrompt[];
  readonly log: (line: string) => void;
};

export type Mcp = McpControl & {
  readonly routes: McpRoutes;
  readonly port: Tools;
  close(): Promise<void>;
};

/** Returns at once: servers nobody knows yet are started and listed in the background. */
export function openMcp(options: McpOptions): Mcp {
  const { dataDir, sharedFile, version, state, sandboxes, secrets, variables, address, log } = options;
  const now = (): number => Date.now();
  const isOnline = address.publicUrl?.startsWith("https:") === true;
  const accounts = openAccounts({ secrets, clientUrl: () => (isOnline ? `${address.publicUrl}${clientPath}` : undefined), now });
  const authServer = openAuthServer({ dataDir, ...address, fetchesDocuments: isOnline, cookieKey: options.cookieKey, log, now });
  const ledger = openLedger(ledgerDir(dataDir), { now, log, keysDir: join(dataDir, "keys") });
  const known = openKnown();
  const packages = openPackages({ dataDir, log });
  const tokens = openTokens({ secrets, now });
  const launcher = openLauncher({
    dataDir,
    sandboxes,
    variables,
    known,
    secret: tokens.find,
    log,
    accounts,
    check: (config) => packages.check(config, pool.locks()[config.name]),
  });
  const reserved = new Set(options.tools.map(({ name }) => name));
  const pool = openPool({ dataDir, version, launcher, accounts, staleAt: tokens.staleAt, log, now, reserved });
  const { tools, resources, prompts } = options;
  const recordings = openRecordings({ dir: recordingsDir(dataDir), log });
  const gateway = openGateway({ pool, recordings, tools, resources, prompts, ledger, known, version, log, now });
  const edge = openEdge({ gateway, log, now });
  const unlisten = pool.onRoutes(() => edge.announce());
  const files = configFiles({ dataDir, sharedFile });
  const reload = (): Promise<void> => pool.apply(files.read());
  // The control plane was told of what may be missing here.
  const compared = state.query(internal.servers.lastHead, {}).then(
    (head) => head && ledger.expect(head, "The control plane"),
    (error: unknown) => log(`mcp: how far the log should reach is not known: ${String(error)}`),
  );
  const reporter = openReporter({ pool, ledger, state, log });
  const unwatch = files.watch(() => void reload().catch((error: unknown) => log(`mcp: ${String(error)}`)));
  void reload().catch((error: unknown) => log(`mcp: ${String(error)}`));
  const decide = (type: string, server: string, more: object = {}): void =>
    void ledger.append({ type, server, by: "owner", ...more });
  const secretOf = (name: string, reader: string): Promise<string | undefined> => secrets.find(name, reader);
  const origins = [
    ...new Set([address.publicUrl ?? address.origin, `http://127.0.0.1:${address.port}`, `http://localhost:${address.port}`]),
  ];
  const verbs = openVerbs({
    accounts,
    authServer,
    async prepare(name) {
      const { transport } = await resolved(pool.configOf(name), { variables, secret: secretOf });
      const account = transport.type === "stdio" ? undefined : accounts.of(name, transport);
      if (account) return;
      throw new NikaError(
        "invalid",
        transport.type === "stdio"
          ? `"${name}" is a program, and needs no sign-in.`
          : `"${name}" is shown the header in its configuration; take that out to sign in instead.`,
      );
    },
    origins,
    decide,
    dropped: (name) => pool.revive(name),
  });
  accounts.onSignIn((name) => {
    decide("signedIn", name);
    void pool.revive(name).catch((error: unknown) => log(`mcp ${name}: ${String(error)}`));
  });
  const ground = groundOf(pool, reload);
  const discover = openDiscover({ dataDir, version, state, secrets, variables, packages, launcher, ground, log, now });
  const declared = openDeclared({ dataDir, pool, discover, packages, reload, decide });
  const mcp: Mcp = {
    builder: openBuilder({ dataDir, sharedFile, sandboxes }),
    list: () => pool.standings().map(toFacts),
    async test(name, signal) {
      const startedAt = performance.now();
      const listing = await pool.refresh(name, signal);
      return {
        name,
        ms: Math.round(performance.now() - startedAt),
        era: listing.era,
        server: listing.serverInfo,
        tools: listing.tools.length,
        prompts: listing.prompts.length,
        resources: listing.resources.length,
        offers:
          pool
            .standings()
            .map(toFacts)
            .find((one) => one.name === name)?.tools ?? [],
      };
    },
    async upgrade(name, accepted) {
      await pool.upgrade(name, accepted);
      decide(
        accepted === undefined ? "upgradeRefused" : "upgradeAccepted",
        name,
        accepted === undefined ? {} : { sha256: accepted },
      );
    },
    approve(name, seen) {
      const count = pool.approve(name, seen);
      decide("approved", name, { seen });
      return count;
    },
    restart: (name) => pool.revive(name),
    async allow(name, seen) {
      await pool.allowBare(name, seen);
      decide(seen === undefined ? "refusedBare" : "allowedBare", name, seen === undefined ? {} : { sha256: seen });
    },
    call: (name, args, signal) =>
      gateway.call(name, args, { principal: "owner", isApproved: true, signal }).catch((error: unknown) => {
        // What a client is told in the protocol's own way.
        if (error instanceof ProtocolError) throw new NikaError("missing", error.message, { cause: error });
        throw error;
      }),
    remove: declared.remove,
    turn: declared.turn,
    discover,
    reload,
    seen(isOver) {
      if (isOver) {
        gateway.taints.clear();
        decide("seenCleared", "nika");
      }
      return gateway.taints.list();
    },
    stats: (days) => readStats(ledgerDir(dataDir), now() - days * 86_400_000),
    acceptLog: () => void ledger.append({ type: acceptedType, by: "owner" }),
    events: (limit) => readEvents(ledgerDir(dataDir), limit),
    routes: mcpRoutes({ mcp: () => mcp, edge: () => edge, accounts, authServer, verbs, origins, state, now, log }),
    port: gateway.port,
    async close() {
      unwatch();
      unlisten();
      mcp.routes.close();
      await edge.close();
      await pool.close();
      await compared;
      await reporter.close();
      await ledger.close();
      discover.close();
    },
  };
  return mcp;
}
