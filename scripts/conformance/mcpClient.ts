/**
 * One scenario of the protocol's conformance suite against Nika as a client: the suite starts this with its server's address, and everything goes through
 * the pool and the accounts that the appliance uses. What a person would do is done at once: signing in (the suite's sign-in page sends back by itself),
 * and signing in again for more rights, three times at most.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Result } from "@modelcontextprotocol/client";
import { openAccounts } from "../../appliance/mcp/auth/accounts.ts";
import { openLauncher } from "../../appliance/mcp/launch.ts";
import { openPool } from "../../appliance/mcp/pool.ts";
import type { Scope } from "../../appliance/mcp/scope.ts";
import { parseServers } from "../../convex/model/server.ts";

const url = process.argv.at(-1) ?? "";
const scenario = process.env["MCP_CONFORMANCE_SCENARIO"] ?? "";
const context = JSON.parse(process.env["MCP_CONFORMANCE_CONTEXT"] ?? "{}") as Record<string, string>;
const signInsMax = 3;
const redirectUrl = "http://localhost:3000/callback";
/** Where the suite expects a client to describe itself. */
const clientUrl = "https://conformance-test.local/client-metadata.json";

const dir = mkdtempSync(join(tmpdir(), "nika-conformance-"));
const kept = new Map<string, string>();
const now = (): number => Date.now();
const log = (line: string): void => console.error(line);
const accounts = openAccounts({
  secrets: {
    find: (name) => Promise.resolve(kept.get(name)),
    set: (name, value) => Promise.resolve(void kept.set(name, value)),
    remove: (name) => Promise.resolve(void kept.delete(name)),
  },
  clientUrl: () => clientUrl,
  now,
});
const launcher = openLauncher({
  dataDir: dir,
  sandboxes: undefined,
  variables: { clientSecret: context["client_secret"], privateKey: context["private_key_pem"] },
  secret: () => Promise.resolve(undefined),
  accounts,
  log,
});
const pool = openPool({ dataDir: dir, version: "0", launcher, accounts, log, now });
const scope: Scope | undefined = scenario.startsWith("elicitation")
  ? {
      key: "suite",
      capabilities: { elicitation: { form: { applyDefaults: true } } },
      asked: () => Promise.resolve({ action: "accept", content: {} }),
      told: () => undefined,
    }
  : undefined;
let signIns = 0;
// Timers of the pool keep no process alive.
const alive = setInterval(() => undefined, 1_000);
try {
  await pool.apply(parseServers(JSON.stringify({ suite: { url, ...credentials() } }), "suite"));
  const tools = await attempt((signal) => pool.use("suite", scope, signal, (peer) => peer.list(signal))).then(
    ({ tools: found }) => found,
  );
  for (const tool of tools) await attempt((signal) => pool.use("suite", scope, signal, (peer) => call(peer.request, tool.name)));
} finally {
  clearInterval(alive);
  await pool.close();
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);

type Ask = (
  method: string,
  params: Record<string, unknown>,
  wish: { timeoutMs: number; timeoutMsMax: number; signal: AbortSignal },
) => Promise<Result>;

function call(request: Ask, name: string): Promise<Result> {
  const args = name === "add_numbers" ? { a: 5, b: 3 } : {};
  const signal = AbortSignal.timeout(20_000);
  return request("tools/call", { name, arguments: args }, { timeoutMs: 20_000, timeoutMsMax: 20_000, signal });
}

/** What is registered already, and keys of programs that sign in alone. */
function credentials(): object {
  const clientId = context["client_id"];
  if (clientId === undefined) return {};
  if (scenario.startsWith("auth/client-credentials"))
    return {
      oauth: {
        grant: "client_credentials",
        clientId,
        ...(context["private_key_pem"] === undefined
          ? { clientSecret: "${clientSecret}" }
          : { privateKey: "${privateKey}", algorithm: context["signing_algorithm"] ?? "ES256" }),
      },
    };
  return { oauth: { clientId, ...(context["client_secret"] !== undefined && { clientSecret: "${clientSecret}" }) } };
}

/** Does it, signing in whenever that is wanted. */
async function attempt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work(AbortSignal.timeout(25_000));
    } catch (error) {
      if (accounts.signIn("suite") !== "wanted" || signIns === signInsMax) throw error;
      signIns += 1;
      const begun = await accounts.begin("suite", redirectUrl);
      const answer = await fetch(begun.url, { redirect: "manual" });
      const location = answer.headers.get("location");
      if (location === null) throw new Error(`The sign-in page sent nobody back (${answer.status}).`, { cause: error });
      await accounts.finish(new URL(location).searchParams);
      await pool.revive("suite");
    }
  }
}
