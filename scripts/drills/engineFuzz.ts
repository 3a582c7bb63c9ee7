/**
 * Wire fuzz: malformed WebSocket and HTTP messages, mutated from good ones, against an engine in a process of its own. Nothing may crash
 * it, each must get a proper error or a close, and memory must not grow with their number.
 * `node scripts/drills/engineFuzz.ts [MESSAGES] [SEED]`
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";

const [messages = 100_000, seed = 1] = process.argv.slice(2).map(Number);
/** How much a process may hold more at the end than after the first tenth, which warms it up. */
const growthMibMax = 96;
const answerMsMax = 10_000;
const lanes = 8;
const serving = fileURLToPath(new URL("../../tests/appliance/engine/serving.ts", import.meta.url));

const session = "11111111-2222-4333-8444-555555555555";
const connect = { type: "Connect", sessionId: session, connectionCount: 0, lastCloseReason: null, clientTs: 1 };
const args = [{ name: "fuzz" }];
const good: readonly unknown[] = [
  connect,
  { type: "Authenticate", tokenType: "User", value: "a.b.c", baseVersion: 0 },
  { type: "Authenticate", tokenType: "Admin", value: "nika|11", baseVersion: 0, impersonating: { subject: "x" } },
  {
    type: "ModifyQuerySet",
    baseVersion: 0,
    newVersion: 1,
    modifications: [{ type: "Add", queryId: 0, udfPath: "notes:count", args }],
  },
  { type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [{ type: "Remove", queryId: 0 }] },
  { type: "Mutation", requestId: 0, udfPath: "notes:bump", args },
  { type: "Action", requestId: 1, udfPath: "notes:act", args },
  { type: "Event", eventType: "x", event: {} },
];
const paths = [
  "/api/query",
  "/api/mutation",
  "/api/action",
  "/api/query_at_ts",
  "/api/query_batch",
  "/api/function",
  "/api/run/notes/bump",
  "/api/storage/upload?token=x",
  "/api/storage/x",
  "/api/sync",
  "/http/x",
];
const nasty: readonly unknown[] = [
  null,
  -1,
  1e308,
  2 ** 53,
  "",
  "\0",
  "\ud800",
  "x".repeat(5000),
  [],
  {},
  [[[[[]]]]],
  true,
  "__proto__",
  "../../etc/passwd",
  { $integer: "AA==" },
  { $bytes: "!" },
  { $float: 1 },
  { $map: [] },
  { __proto__: null },
];

let randomState = seed;
const tally = new Map<string, number>();
const problems: string[] = [];
const agent = new Agent({ keepAlive: true, maxSockets: lanes });
const dir = mkdtempSync(join(tmpdir(), "nika-fuzz-"));
const port = await freePort();
// A small heap, so that what grows is what is held and not what was not yet collected.
const heap = ["--max-old-space-size=128", "--max-semi-space-size=2"];
const child = spawn(process.execPath, [...heap, serving, dir, String(port)], { stdio: ["ignore", "pipe", "inherit"] });
try {
  await once(child.stdout, "data");
  let sent = 0;
  let warmMib = 0;
  const lane = async (): Promise<void> => {
    while (sent < messages && problems.length < 10) {
      const mine = sent++;
      if (mine === Math.floor(messages / 10)) warmMib = residentMib();
      if (child.exitCode !== null || child.signalCode !== null) throw new Error("The engine has ended.");
      await (random() < 0.5 ? overHttp() : overSocket());
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const endMib = residentMib();
  if (endMib - warmMib > growthMibMax) problems.push(`memory grew from ${warmMib} to ${endMib} MiB`);
  const body = JSON.stringify({ path: "notes:count", args: { name: "alive" } });
  const alive = await fetch(`http://127.0.0.1:${port}/api/query`, { method: "POST", body });
  if (alive.status !== 200) problems.push(`afterwards a good query is answered with ${alive.status}`);
  for (const problem of problems) console.error(problem);
  const kinds = [...tally].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind}: ${count}`);
  console.log(`answers: ${kinds.join(", ")}`);
  console.log(`wire fuzz: ${messages} messages, memory ${warmMib} to ${endMib} MiB, ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

function count(kind: string): void {
  tally.set(kind, (tally.get(kind) ?? 0) + 1);
}

async function overHttp(): Promise<void> {
  const path = pick(paths);
  const text = spoilText(
    JSON.stringify(spoil({ path: "notes:bump", args: { name: "fuzz" }, format: "json", ts: "AAAAAAAAAAA=", queries: [] })),
  );
  const { status, body } = await post(path, text);
  count(`http ${status}`);
  if (status === 500 || status === 0)
    problems.push(`${path} was answered with ${status} to ${text.slice(0, 300)}: ${body.slice(0, 300)}`);
}

function post(path: string, text: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve) => {
    const authorization =
      random() < 0.2 ? { authorization: pick(["Bearer x", "Convex nika|00", "Convex nika|00:e30=", "x", "Bearer a.b.c"]) } : {};
    const method = random() < 0.9 ? "POST" : pick(["GET", "PUT", "DELETE", "OPTIONS", "HEAD"]);
    const request = httpRequest(
      { host: "127.0.0.1", port, path, method, agent, headers: authorization, timeout: answerMsMax },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => (body += part));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", (error) => resolve({ status: 0, body: error.message }));
    // The others would be sent with bodies of no said length, which is a fault of ours.
    request.end(method === "POST" || method === "PUT" ? text : undefined);
  });
}

/** One bad message after what must come before it; the answer is an error, a transition, or a close. */
function overSocket(): Promise<void> {
  return new Promise((resolve) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/api/1.48.0/sync`);
    const impatience = setTimeout(() => end("no answer"), answerMsMax);
    let isEnded = false;
    let sent = "";
    const end = (kind: string): void => {
      if (isEnded) return;
      isEnded = true;
      clearTimeout(impatience);
      count(`ws ${kind}`);
      if (kind === "no answer") problems.push(`no answer to ${sent.slice(0, 300)}`);
      ws.terminate();
      resolve();
    };
    ws.on("open", () => {
      if (random() < 0.8) ws.send(JSON.stringify(connect));
      sent = spoilText(JSON.stringify(spoil(pick(good))));
      if (random() < 0.1) ws.send(Buffer.from(sent));
      else ws.send(sent);
      // What was good after all may have no answer of its own; this has one.
      ws.send("{");
    });
    ws.on("message", (data) => {
      const { type } = JSON.parse((data as Buffer).toString()) as { type: string };
      if (type === "FatalError" || type === "AuthError") end(type);
    });
    ws.on("close", (code) => end(`close ${code}`));
    ws.on("error", () => undefined);
  });
}

/** The same with one or two of its parts replaced, doubled or gone. */
function spoil(value: unknown): unknown {
  const copy = structuredClone(value);
  for (let times = 1 + Math.floor(random() * 2); times > 0; times--) {
    let at = copy as Record<string, unknown>;
    for (;;) {
      const keys = Object.keys(at);
      if (keys.length === 0) break;
      const key = pick(keys);
      const inner = at[key];
      if (typeof inner === "object" && inner !== null && random() < 0.5) {
        at = inner as Record<string, unknown>;
        continue;
      }
      if (random() < 0.2) delete at[key];
      else if (random() < 0.1) at[`${key}x`] = inner;
      else at[key] = structuredClone(pick(nasty));
      break;
    }
  }
  return copy;
}

function spoilText(text: string): string {
  const dice = random();
  const at = Math.floor(random() * text.length);
  if (dice < 0.6) return text;
  if (dice < 0.75) return text.slice(0, at);
  if (dice < 0.9) return text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(at + 1);
  return "[".repeat(Math.floor(random() * 20_000));
}

function residentMib(): number {
  const [, kib = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kib) / 1024);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return free;
}

function pick<T>(list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

/** Numerical Recipes' generator: the same messages for the same seed. */
function random(): number {
  randomState = (Math.imul(randomState, 1664525) + 1013904223) >>> 0;
  return randomState / 2 ** 32;
}
