/**
 * One scenario of the protocol's conformance suite against Nika as a client: the suite starts this with its server's address, and everything goes through
 * the gateway, the pool and the accounts that the appliance uses. What a person would do is done at once: approving, signing in (the suite's sign-in page
 * sends back by itself), and signing in again for more rights, three times at most.
 */
import { Client, StreamableHTTPClientTransport, type Result } from "@modelcontextprotocol/client";
import { openAccounts } from "../../appliance/mcp/auth/accounts.ts";
import { headersFor } from "../../appliance/mcp/paramHeaders.ts";
import { openMcpPlace } from "../../tests/appliance/mcp/place.ts";

type Context = {
  readonly client_id?: string;
  readonly client_secret?: string;
  readonly private_key_pem?: string;
  readonly signing_algorithm?: string;
  readonly idp_client_id?: string;
  readonly idp_token_endpoint?: string;
  readonly idp_id_token?: string;
  readonly valid_jwt?: string;
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: Record<string, unknown> }[];
};

const url = process.argv.at(-1) ?? "";
const scenario = process.env["MCP_CONFORMANCE_SCENARIO"] ?? "";
const context = JSON.parse(process.env["MCP_CONFORMANCE_CONTEXT"] ?? "{}") as Context;
const signInsMax = 3;
const redirectUrl = "http://localhost:3000/callback";
/** Where the suite expects a client to describe itself. */
const clientUrl = "https://conformance-test.local/client-metadata.json";
const patienceMs = 25_000;

const kept = new Map<string, string>();
const accounts = openAccounts({
  secrets: {
    find: (name) => Promise.resolve(kept.get(name)),
    set: (name, value) => Promise.resolve(void kept.set(name, value)),
    remove: (name) => Promise.resolve(void kept.delete(name)),
  },
  clientUrl: () => clientUrl,
  now: () => Date.now(),
});
const variables = {
  clientSecret: context.client_secret,
  privateKey: context.private_key_pem,
  idToken: context.idp_id_token,
  assertion: context.valid_jwt,
};
const place = await openMcpPlace({ launch: { accounts, variables }, pool: { accounts }, mode: "all" });
let signIns = 0;
// Timers of the pool keep no process alive.
const alive = setInterval(() => undefined, 1_000);
try {
  await place.configure({ suite: { url, expose: { prefix: false }, policy: { "*": { approval: "never" } }, ...credentials() } });
  for (let isListed = false; !isListed;)
    isListed = await place.pool.refresh("suite", AbortSignal.timeout(patienceMs)).then(() => true, signInAgain);
  place.approve("suite");
  const tools = [...place.pool.routes().tools.keys()];
  if (/elicitation|2322/.test(scenario)) await callAsClient(tools);
  else for (const [name, args] of callsOf(tools)) await callTool(name, args);
} finally {
  clearInterval(alive);
  await place.close();
}
process.exit(0);

/** What the suite asks for, or every tool once. */
function callsOf(tools: readonly string[]): [string, Record<string, unknown>][] {
  if (context.toolCalls) return context.toolCalls.map(({ name, arguments: args }) => [name, args]);
  // Its server only lists.
  if (scenario === "json-schema-ref-no-deref") return [];
  const focal = place.pool.routes().tools.get("json_schema_2020_12_tool");
  if (focal) return [["json_schema_echo", { schema: focal.tool.inputSchema }]];
  const args: Readonly<Record<string, Record<string, unknown>>> = { add_numbers: { a: 5, b: 3 }, valid_tool: { region: "here" } };
  return tools.map((name) => [name, args[name] ?? {}]);
}

async function callTool(name: string, args: Record<string, unknown>): Promise<void> {
  for (;;) {
    const signal = AbortSignal.timeout(patienceMs);
    const result: Result = await place.gateway.call(name, args, { principal: "suite", isApproved: true, signal });
    if (result["isError"] !== true) return;
    if (JSON.stringify(result["content"]).includes("do not fit")) return callUnchecked(name, args);
    const error = new Error(`${JSON.stringify(result["content"])} ${place.logged.join("\n")}`);
    await signInAgain(error);
  }
}

/** What the suite sends against the tool's own schema stops at the gateway; behind it the pool takes it as it is. */
async function callUnchecked(name: string, args: Record<string, unknown>): Promise<void> {
  const tool = place.pool.routes().tools.get(name)?.tool;
  const headers = tool && headersFor(tool, args);
  const wish = {
    timeoutMs: patienceMs,
    timeoutMsMax: patienceMs,
    signal: AbortSignal.timeout(patienceMs),
    ...(headers && { headers }),
  };
  await place.pool.use("suite", undefined, wish.signal, (peer) => peer.request("tools/call", { name, arguments: args }, wish));
}

/** A client that says yes to every question, and leaves all answers to their defaults. */
async function callAsClient(tools: readonly string[]): Promise<void> {
  const client = new Client(
    { name: "suite", version: "1" },
    { capabilities: { elicitation: { form: { applyDefaults: true } } } },
  );
  client.setRequestHandler("elicitation/create", () => Promise.resolve({ action: "accept", content: {} }));
  await client.connect(new StreamableHTTPClientTransport(new URL(place.url)));
  for (const name of tools) await client.callTool({ name, arguments: {} });
  await client.close();
}

/** What is registered already, and keys of programs that sign in alone. */
function credentials(): object {
  const { client_id: clientId, client_secret: clientSecret, private_key_pem: privateKey, signing_algorithm: algorithm } = context;
  if (clientId === undefined) return {};
  const secret = clientSecret === undefined ? {} : { clientSecret: "${clientSecret}" };
  if (context.valid_jwt !== undefined) return { oauth: { grant: "workload", clientId, assertion: "${assertion}" } };
  const { idp_token_endpoint: idpTokenUrl, idp_client_id: idpClientId } = context;
  if (idpTokenUrl !== undefined)
    return { oauth: { grant: "enterprise", clientId, ...secret, idpTokenUrl, idpClientId, idToken: "${idToken}" } };
  if (!scenario.startsWith("auth/client-credentials")) return { oauth: { clientId, ...secret } };
  const key = privateKey === undefined ? secret : { privateKey: "${privateKey}", algorithm: algorithm ?? "ES256" };
  return { oauth: { grant: "client_credentials", clientId, ...key } };
}

/** As the owner would; what went wrong is thrown when that is no help. */
async function signInAgain(error: unknown): Promise<false> {
  if (accounts.signIn("suite") !== "wanted" || signIns === signInsMax) throw error;
  signIns += 1;
  const begun = await accounts.begin("suite", redirectUrl);
  const answer = await fetch(begun.url, { redirect: "manual" });
  const location = answer.headers.get("location");
  if (location === null) throw new Error(`The sign-in page sent nobody back (${answer.status}).`, { cause: error });
  await accounts.finish(new URL(location).searchParams);
  await place.pool.revive("suite");
  return false;
}
