/**
 * The gateway under what nobody would send: random JSON-RPC over HTTP and over a pipe, in both eras, and reloads without end under calls without end. Says
 * its seed, and does the same again with the same one.
 *
 *     node scripts/drills/mcp.ts [--short] [--seed N]
 *
 * It holds when: no answer is a failure of ours (5xx, or a pipe that ends), whatever has an id and a method gets exactly one answer in words of the
 * protocol, own tools work as before at the end, no call that was under way during a reload failed, and neither sessions, processes nor memory stay.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openEdge } from "../../appliance/mcp/edge.ts";
import { openGateway } from "../../appliance/mcp/gateway.ts";
import { openLauncher } from "../../appliance/mcp/pool/launch.ts";
import { openLedger, verifyLedger } from "../../appliance/mcp/log/ledger.ts";
import { openPool } from "../../appliance/mcp/pool/pool.ts";
import { toFacts } from "../../appliance/mcp/pool/reporter.ts";
import { parseServers } from "../../convex/model/server.ts";
import { seenOf } from "../../convex/model/serverView.ts";

const { values } = parseArgs({
  options: { short: { type: "boolean", default: false }, seed: { type: "string", default: "11" } },
});
const seed = Number(values.seed);
const messages = values.short ? 1_000 : 10_000;
const reloads = values.short ? 12 : 100;
const dir = mkdtempSync(join(tmpdir(), "nika-drill-mcp-"));
const logged: string[] = [];
const problems: string[] = [];
const log = (line: string): void => void logged.push(line);
const now = (): number => Date.now();

const launcher = openLauncher({
  dataDir: dir,
  sandboxes: undefined,
  variables: process.env,
  secret: () => Promise.resolve(undefined),
  log,
});
const pool = openPool({ dataDir: dir, version: "0", launcher, log, now });
const ledger = openLedger(join(dir, "events"), { now, log, keysDir: join(dir, "keys") });
const double = {
  name: "double",
  title: "Double",
  description: "Twice a number.",
  input: { type: "object" as const, properties: { n: { type: "number" } }, required: ["n"], additionalProperties: false },
  isReadOnly: true,
  call: ({ n }: Readonly<Record<string, unknown>>) => Promise.resolve({ twice: Number(n) * 2 }),
};
const gateway = openGateway({ pool, tools: [double], ledger, version: "0", log, now });
const edge = openEdge({ gateway, log, now });
const visitor = { principal: "owner", mode: "all" } as const;
const server = createServer((request, response) => {
  edge.answer(request, response, visitor).catch((error: unknown) => {
    problems.push(`HTTP: ${String(error)}`);
    if (response.headersSent) response.destroy();
    else response.writeHead(500).end();
  });
});
server.on("upgrade", (_request, socket: Socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: mcp\r\nConnection: Upgrade\r\n\r\n");
  edge.serve(socket, visitor);
});
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
const { port } = server.address() as AddressInfo;
const url = `http://127.0.0.1:${port}/mcp`;

// --- what is sent

/** Park and Miller's generator: the same seed, the same messages. */
let state = (seed % 2_147_483_646) + 1;
const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;

const methods = (
  "initialize notifications/initialized ping server/discover tools/list tools/call prompts/list prompts/get resources/list resources/read " +
  "resources/templates/list resources/subscribe resources/unsubscribe completion/complete logging/setLevel notifications/cancelled notifications/progress " +
  "notifications/roots/list_changed tasks/get subscriptions/listen a/b __proto__ constructor toString"
).split(" ");
const eras = ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28", "1999-01-01", "", "__proto__"];
const envelope = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "drill", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

function junk(depth = 0): unknown {
  const simple = [null, 0, -1, 1e308, 2 ** 53, "", "double", "x".repeat(random(3_000)), "\u0000\uD800", true, [], {}];
  if (depth > 3 || random(3) === 0) return pick(simple);
  if (random(2) === 0) return Array.from({ length: random(4) }, () => junk(depth + 1));
  const keys = [
    "name",
    "arguments",
    "uri",
    "cursor",
    "_meta",
    "params",
    "ref",
    "argument",
    "level",
    "requestState",
    "__proto__",
    "n",
    "id",
  ];
  return Object.fromEntries(Array.from({ length: random(4) }, () => [pick(keys), junk(depth + 1)]));
}

function params(method: string): unknown {
  const meta =
    random(2) === 0
      ? { _meta: { ...envelope, ...(random(4) === 0 && { progressToken: pick<unknown>([1, "t", {}, null]) }) } }
      : {};
  if (random(4) === 0) return junk();
  if (method === "tools/call")
    return {
      name: pick(["double", "nothing", "mcp_one__ok", "call_tool", "", "constructor"]),
      arguments: pick<unknown>([{ n: 2 }, junk(), {}]),
      ...meta,
    };
  if (method === "initialize")
    return { protocolVersion: pick(eras), capabilities: pick<unknown>([{}, junk()]), clientInfo: { name: "d", version: "1" } };
  return { ...(junk() as object), ...meta };
}

type Sent = { readonly text: string; readonly id: unknown; readonly method: unknown; readonly isWhole: boolean };
function message(id: number): Sent {
  const method = pick<unknown>([...methods, ...methods, 7, null]);
  const given = pick<unknown>([id, id, id, `s${id}`, null, {}, undefined]);
  const version = random(12) === 0 ? pick<unknown>(["1.0", 2, undefined]) : "2.0";
  const one = { jsonrpc: version, id: given, method, params: params(String(method)) };
  const whole = JSON.stringify(random(15) === 0 ? [one, junk()] : one);
  const text =
    random(12) === 0 ? whole.slice(0, random(whole.length) + 1) : random(40) === 0 ? whole.replace('"id"', '"id":1,"ID"') : whole;
  const isNamed = typeof given === "number" || typeof given === "string";
  return {
    text,
    id: given,
    method,
    isWhole: text === whole && whole.startsWith("{") && version === "2.0" && isNamed && typeof method === "string",
  };
}

// --- over HTTP

const bothKinds = "application/json, text/event-stream";
const sessions: string[] = [];
for (let at = 0; at < 20; at++) {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "d", version: "1" } };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: bothKinds },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }),
  });
  await response.arrayBuffer();
  sessions.push(response.headers.get("mcp-session-id") ?? "");
}
const statuses = new Map<number, number>();

async function post(id: number): Promise<void> {
  const { text, method: said } = message(id);
  const headers: Record<string, string> = {
    "content-type": pick(["application/json", "application/json", "application/json; charset=utf-8", "text/plain"]),
    accept: pick(["application/json, text/event-stream", "application/json, text/event-stream", "*/*"]),
  };
  if (random(3) === 0) headers["mcp-protocol-version"] = pick(eras);
  if (random(4) === 0) headers["mcp-method"] = pick(methods);
  if (random(6) === 0) headers["mcp-name"] = pick(["double", "=?base64?x?=", "\u00e9"]);
  if (random(3) === 0)
    headers["mcp-session-id"] = random(4) === 0 || sessions.length === 0 ? `none-${random(9)}` : pick(sessions);
  // Half of them are right as far as their head goes, so that what is odd in them gets further.
  const kind = random(4);
  if (kind === 0) {
    Object.assign(headers, { "mcp-protocol-version": "2026-07-28", "mcp-method": String(said), "mcp-name": "double" });
    delete headers["mcp-session-id"];
  } else if (kind === 1) {
    Object.assign(headers, { "mcp-session-id": pick(sessions), "content-type": "application/json", accept: bothKinds });
    for (const name of ["mcp-protocol-version", "mcp-method", "mcp-name"]) delete headers[name];
  }
  const method = random(60) === 0 ? "DELETE" : "POST";
  const gone = AbortSignal.timeout(10_000);
  try {
    const response = await fetch(url, { method, headers, signal: gone, ...(method === "POST" && { body: text }) });
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    if (response.status >= 500) problems.push(`HTTP ${response.status} to ${text.slice(0, 200)}`);
    const session = response.headers.get("mcp-session-id");
    if (session !== null && sessions.length < 40) sessions.push(session);
    // A stream that waits for news is left, as clients do.
    if (text.includes("subscriptions/listen")) await response.body?.cancel();
    else checkAnswer(await response.text(), response);
  } catch (error) {
    problems.push(`HTTP: no answer to ${text.slice(0, 200)} (${String(error)})`);
  }
}

function checkAnswer(answer: string, { status, headers }: Response): void {
  if (answer === "" || !(headers.get("content-type") ?? "").includes("json")) return;
  for (const one of [JSON.parse(answer)].flat() as { jsonrpc?: unknown; error?: { code?: unknown; message?: unknown } }[]) {
    const isProper =
      one.jsonrpc === "2.0" &&
      (one.error === undefined || (Number.isInteger(one.error.code) && typeof one.error.message === "string"));
    if (!isProper) problems.push(`HTTP ${status}: no JSON-RPC: ${answer.slice(0, 200)}`);
    if (/\bat .+\.(?:ts|mjs):\d+/.test(answer)) problems.push(`HTTP ${status}: a stack trace: ${answer.slice(0, 200)}`);
  }
}

// --- over a pipe

async function pipe(from: number, count: number, era: "legacy" | "modern"): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.write("GET /mcp/pipe HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: mcp\r\n\r\n");
  const answered = new Map<unknown, number>();
  let rest = "";
  const over = { hasEnded: false };
  let isOpen = false;
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    rest += chunk;
    if (!isOpen) return;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("{")) continue;
      const { id, method } = JSON.parse(line) as { id?: unknown; method?: unknown };
      if (method === undefined) answered.set(id, (answered.get(id) ?? 0) + 1);
    }
  });
  socket.on("close", () => {
    over.hasEnded = true;
  });
  socket.on("error", () => undefined);
  // What is said before the door opened would be lost.
  await Promise.race([once(socket, "data"), once(socket, "close")]);
  rest = "";
  isOpen = true;
  const hello = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "d", version: "1" } };
  const first =
    era === "legacy"
      ? { jsonrpc: "2.0", id: "first", method: "initialize", params: hello }
      : { jsonrpc: "2.0", id: "first", method: "server/discover", params: { _meta: envelope } };
  socket.write(`${JSON.stringify(first)}\n`);
  const expected: { readonly id: unknown; readonly text: string }[] = [];
  for (let at = 0; at < count && !over.hasEnded; at++) {
    const { text, id, isWhole } = message(from + at);
    // Another handshake in the middle, listening and withdrawing have answers of their own, or none.
    const isOdd = /initialize|subscriptions\/listen|cancelled|notifications\//.test(text);
    if (isWhole && !isOdd) expected.push({ id, text });
    if (!isOdd || random(20) === 0) if (!socket.write(`${text}\n`)) await new Promise((done) => socket.once("drain", done));
    if (at % 50 === 0) await new Promise((done) => setImmediate(done));
  }
  socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: "last", method: "tools/list", params: { _meta: envelope } })}\n`);
  for (let waited = 0; waited < 400 && !answered.has("last") && !over.hasEnded; waited++)
    await new Promise((done) => setTimeout(done, 25));
  if (over.hasEnded) problems.push(`pipe, ${era}: it was ended`);
  else if (!answered.has("last")) problems.push(`pipe, ${era}: no answer to the last`);
  for (const { id, text } of expected)
    if (answered.get(id) !== 1) problems.push(`pipe, ${era}: ${answered.get(id) ?? 0} answers to ${text.slice(0, 200)}`);
  socket.destroy();
}

// --- reloads under load

const program = `
process.stdin.on("data", (() => { let rest = ""; return (chunk) => { rest += chunk; const lines = rest.split("\\n"); rest = lines.pop(); for (const line of lines) take(JSON.parse(line)); }; })());
process.stdin.on("end", () => process.exit(0));
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n");
function take({ id, method, params }) {
  if (method === "initialize") say({ id, result: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "d", version: "1" } } });
  else if (method === "tools/list") say({ id, result: { tools: [{ name: "ok", inputSchema: { type: "object" }, annotations: { readOnlyHint: true } }] } });
  else if (method === "tools/call") setTimeout(() => say({ id, result: { content: [{ type: "text", text: "ok" }] } }), 20);
  else if (id !== undefined) say({ id, error: { code: -32601, message: "Method not found" } });
}`;
const file = join(dir, "server.cjs");
writeFileSync(file, program);
const configure = (cpus: number): Promise<void> =>
  pool.apply(parseServers(JSON.stringify({ one: { command: process.execPath, args: [file], sandbox: { cpus } } }), "drill.json"));

async function reloadUnderLoad(): Promise<{ readonly calls: number }> {
  const stop = new AbortController();
  let calls = 0;
  const lane = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const said = await gateway.call(
        "mcp_one__ok",
        {},
        { principal: "owner", isApproved: false, signal: new AbortController().signal },
      );
      calls += 1;
      if (said["isError"] === true) problems.push(`reload: a call failed: ${JSON.stringify(said).slice(0, 200)}`);
    }
  };
  const lanes = [lane(), lane(), lane(), lane()];
  // Each another process: what its sandbox may use is part of what it is.
  for (let at = 1; at <= reloads; at++) await configure(1 + (at % 30) / 10 + Math.floor(at / 30) / 1000);
  stop.abort();
  await Promise.all(lanes);
  return { calls };
}

const children = (): number => readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === process.pid).length;
function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return -1;
  }
}

process.on("unhandledRejection", (error) => problems.push(`unhandled: ${String(error)}`));
const startedAt = performance.now();
try {
  // What is still held, not what was not yet given back.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const memory = (): number => {
    collect();
    return Math.round(process.memoryUsage().heapUsed / 1024 / 1024);
  };
  for (let at = 0; at < messages / 10; at += 1) await post(at);
  const before = memory();
  // Both doors, both eras: six of ten over HTTP, two of ten over a pipe of each era.
  for (let at = messages / 10; at < (messages * 6) / 10; at += 8)
    await Promise.all(Array.from({ length: 8 }, (_, lane) => post(at + lane)));
  for (const era of ["legacy", "modern"] as const)
    for (let part = 0; part < 10; part++) await pipe(part * 1_000, (messages * 2) / 10 / 10, era);
  const after = memory();
  const twice = await gateway.call(
    "double",
    { n: 21 },
    { principal: "owner", isApproved: false, signal: new AbortController().signal },
  );
  if (JSON.stringify(twice["structuredContent"]) !== '{"twice":42}')
    problems.push("the gateway's own tool does not answer any more");
  if (after - before > 60) problems.push(`memory grew from ${before} to ${after} MB`);
  process.stdout.write(
    `seed ${seed}: ${messages} messages, statuses ${[...statuses]
      .toSorted(([left], [right]) => left - right)
      .map(([status, count]) => `${status}×${count}`)
      .join(" ")}, memory ${before} → ${after} MB\n`,
  );
  await configure(1);
  const facts = pool.standings().map(toFacts)[0];
  if (!facts) throw new Error("the server was not taken");
  await pool.allowBare("one", facts.targetSha256);
  pool.approve("one", seenOf(pool.standings().map(toFacts)[0] ?? facts));
  const { calls } = await reloadUnderLoad();
  await new Promise((done) => setTimeout(done, 500));
  const left = children();
  process.stdout.write(`${reloads} reloads under ${calls} calls; ${left} process of the server runs\n`);
  if (calls < reloads) problems.push("hardly anything was called while it was reloaded");
  if (left > 1) problems.push(`${left} processes stayed`);
} finally {
  server.closeAllConnections();
  await edge.close();
  server.close();
  await pool.close();
  await ledger.close();
}
const { problem, events } = await verifyLedger(join(dir, "events"), [], join(dir, "keys"));
if (problem !== undefined) problems.push(`log: ${problem}`);
rmSync(dir, { recursive: true, force: true });
for (const one of problems.slice(0, 20)) process.stdout.write(`✗ ${one}\n`);
process.stdout.write(
  problems.length === 0
    ? `✓ all of it holds; ${events} events in the log, ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`
    : `${problems.length} problems; seed ${seed}\n`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
