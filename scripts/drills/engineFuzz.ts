/**
 * Wire fuzz: malformed WebSocket and HTTP messages, mutated from good ones, against an engine in a process of its own: calls, uploads,
 * ranges of stored files, the app's own HTTP actions, imports and pushes, and bytes that are no HTTP at all. Nothing may crash it, each
 * must get a proper error or a close, and memory must not grow with their number.
 * `node scripts/drills/engineFuzz.ts [MESSAGES] [SEED]`
 */
import { readFileSync } from "node:fs";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { createConnection } from "node:net";
import { WebSocket } from "ws";
import { ownEngine } from "../../tests/appliance/engine/ownEngine.ts";

const [messages = 100_000, seed = 1] = process.argv.slice(2).map(Number);
/** How much a process may hold more at the end than after the first tenth, which warms it up. */
const growthMibMax = 96;
const answerMsMax = 10_000;
/** The app says in a header what it was sent. */
const headerBytesMax = 256 * 1024;
const lanes = 8;
/** As `serving.ts` has it. */
const admin = { authorization: "Convex nika|00" };

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
// A small heap, so that what grows is what is held and not what was not yet collected.
const heap = ["--max-old-space-size=128", "--max-semi-space-size=2"];
const engine = await ownEngine({ flags: heap });
const { port } = engine;
try {
  const called = async (path: string): Promise<string> => {
    const answer = await fetch(`${engine.url}/api/mutation`, { method: "POST", body: JSON.stringify({ path, args: {} }) });
    return ((await answer.json()) as { value: string }).value;
  };
  const upload = new URL(await called("notes:uploadUrl"));
  const stored = await fetch(upload, { method: "POST", body: "0123456789".repeat(1000) });
  const { storageId } = (await stored.json()) as { storageId: string };
  const keep = { path: "notes:keep", args: { storageId } };
  await fetch(`${engine.url}/api/mutation`, { method: "POST", body: JSON.stringify(keep) });
  const [file = ""] = await fetch(`${engine.url}/api/query`, { method: "POST", body: `{"path":"notes:urls","args":{}}` })
    .then(async (answer) => (await answer.json()) as { value: string[] })
    .then(({ value }) => value);
  const filePath = new URL(file).pathname;
  const uploadPath = upload.pathname + upload.search;
  let sent = 0;
  let warmMib = 0;
  const lane = async (): Promise<void> => {
    while (sent < messages && problems.length < 10) {
      const mine = sent++;
      if (mine === Math.floor(messages / 10)) warmMib = residentMib();
      if (mine > 0 && mine % 10_000 === 0) console.log(`message ${mine}: ${residentMib()} MiB, ${problems.length} problems`);
      if (engine.hasEnded()) throw new Error("The engine has ended.");
      const dice = random();
      if (dice < 0.4) await overSocket();
      else if (dice < 0.65) await overHttp();
      else if (dice < 0.72) await toUpload(uploadPath);
      else if (dice < 0.79) await ofFile(filePath);
      else if (dice < 0.88) await toHttpAction();
      else if (dice < 0.96) await asAdmin();
      else await rawBytes();
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const endMib = residentMib();
  if (endMib - warmMib > growthMibMax) problems.push(`memory grew from ${warmMib} to ${endMib} MiB`);
  const body = JSON.stringify({ path: "notes:count", args: { name: "alive" } });
  const alive = await fetch(`${engine.url}/api/query`, { method: "POST", body });
  const whole = await fetch(file);
  if ((await whole.text()) !== "0123456789".repeat(1000)) problems.push("afterwards the stored file is not what it was");
  if (alive.status !== 200) problems.push(`afterwards a good query is answered with ${alive.status}`);
  for (const problem of problems) console.error(problem);
  const kinds = [...tally].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind}: ${count}`);
  console.log(`answers: ${kinds.join(", ")}`);
  console.log(`wire fuzz: ${messages} messages, memory ${warmMib} to ${endMib} MiB, ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await engine[Symbol.asyncDispose]();
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

function post(path: string, text: string): Promise<Answer> {
  const headers =
    random() < 0.2 ? { authorization: pick(["Bearer x", "Convex nika|00", "Convex nika|00:e30=", "x", "Bearer a.b.c"]) } : {};
  const method = random() < 0.9 ? "POST" : pick(["GET", "PUT", "DELETE", "OPTIONS", "HEAD"]);
  return ask({ path, method, headers }, text);
}

type Answer = { readonly status: number; readonly body: string; readonly headers: IncomingMessage["headers"] };
type Asked = { readonly path: string; readonly method: string; readonly headers: Readonly<Record<string, string>> };

/** A status of 0 says that there was no answer. */
function ask({ path, method, headers }: Asked, bytes: string | Buffer): Promise<Answer> {
  return new Promise((resolve) => {
    const request = httpRequest(
      { host: "127.0.0.1", port, path, method, agent, headers, timeout: answerMsMax, maxHeaderSize: headerBytesMax },
      (response) => {
        let body = "";
        response.setEncoding("latin1");
        response.on("data", (part: string) => (body += part));
        response.on("close", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
      },
    );
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", (error) => resolve({ status: 0, body: error.message, headers: {} }));
    // The others would be sent with bodies of no said length, which is a fault of ours.
    request.end(method === "POST" || method === "PUT" || method === "PATCH" ? bytes : undefined);
  });
}

function note(kind: string, asked: Asked, answer: Answer, mayFail = false): void {
  count(`${kind} ${answer.status}`);
  if (answer.status !== 0 && (answer.status !== 500 || mayFail)) return;
  problems.push(`${asked.method} ${asked.path} ${JSON.stringify(asked.headers)}: ${answer.status} ${answer.body.slice(0, 300)}`);
}

/** Bytes that a permit lets in, with headers that say something else of them, or with no good permit. */
async function toUpload(path: string): Promise<void> {
  const headers: Record<string, string> = {};
  if (random() < 0.5)
    headers["digest"] = pick(["sha-256=", "sha-256=AAAA", "sha-256=!!", "md5=x", "sha-256=" + "A".repeat(5000)]);
  if (random() < 0.5)
    headers["content-type"] = pick(["", "text/html", "x".repeat(3000), "multipart/form-data", "multipart/form-data; boundary=b"]);
  const asked = {
    path: random() < 0.7 ? path : `${path.slice(0, -3)}${pick(["x", "%", "%00", "&token=", ""])}`,
    method: pick(["POST", "POST", "POST", "PUT", "GET"]),
    headers,
  };
  note("upload", asked, await ask(asked, bodyBytes()));
}

/** Ranges of a stored file, good and bad: what comes must be that part of it, or a refusal. */
async function ofFile(path: string): Promise<void> {
  const number = (): string => pick(["", "0", "1", "9999", "10000", "10001", "-1", "1e3", "99999999999999999999", "x", " 5"]);
  const range = pick([
    `bytes=${number()}-${number()}`,
    `bytes=${number()}-${number()},${number()}-`,
    number(),
    `lines=0-1`,
    "bytes=",
    "x".repeat(4000),
  ]);
  const target = random() < 0.8 ? path : path.slice(0, -2) + pick(["", "zz", "/..", "%2e%2e", "?component=x"]);
  const asked = { path: target, method: pick(["GET", "GET", "HEAD", "POST", "DELETE"]), headers: { range } };
  const answer = await ask(asked, "");
  note("file", asked, answer);
  const [, from, to] = /^bytes (\d+)-(\d+)\/10000$/.exec(answer.headers["content-range"] ?? "") ?? [];
  if (answer.status !== 206 || asked.method !== "GET") return;
  if (answer.body !== "0123456789".repeat(1000).slice(Number(from), Number(to) + 1))
    problems.push(`${range} brought the wrong part`);
}

/** The app's own endpoints, which may fail by what they make of a body, in words of their own. */
async function toHttpAction(): Promise<void> {
  const path = pick([
    "/http/bump",
    "/http/shout",
    "/http/files/%ff",
    "/http/files/../../x",
    "/http/shared",
    "/http/unread",
    "/http",
    "/http/%00",
    `/http/files/${"a".repeat(4000)}`,
  ]);
  const headers: Record<string, string> = {};
  if (random() < 0.6)
    headers["content-type"] = pick([
      "multipart/form-data",
      "multipart/form-data; boundary=",
      "multipart/form-data; boundary=fuzz",
      "application/json",
      "x",
    ]);
  if (random() < 0.3) headers["authorization"] = pick(["Bearer x", "Bearer a.b.c", "Convex nika|00", "\u00ff"]);
  if (random() < 0.2)
    headers[pick(["x-word", "expect", "te", "cookie"])] = pick(["", "100-continue", "trailers", "y".repeat(6000)]);
  const asked = { path, method: pick(["GET", "POST", "POST", "OPTIONS", "HEAD", "PATCH"]), headers };
  note("action", asked, await ask(asked, bodyBytes()), true);
}

/** What the command line sends, spoiled. */
async function asAdmin(): Promise<void> {
  const number = pick(["1", "0", "-1", "1.5", "10001", "x", ""]);
  const path = pick([
    "/api/import/start_upload",
    `/api/import/upload_part?uploadToken=${pick(["", "x", "0".repeat(32), "../../x"])}&partNumber=${number}`,
    "/api/import/finish_upload",
    "/api/perform_import",
    "/api/deploy2/evaluate_schema",
    "/api/deploy2/start_push",
    "/api/deploy2/finish_push",
    "/api/deploy2/wait_for_schema",
    "/api/get_config_hashes",
    "/api/export/zip/x",
    "/api/export/zip/99999999999999999999999",
    "/api/stream_function_logs?cursor=-1",
  ]);
  const good = {
    adminKey: "nika|00",
    uploadToken: "0".repeat(32),
    importId: "x",
    import: { mode: "append", format: "jsonl" },
    partTokens: ["1"],
    startPush: {},
    functions: "convex/",
    appDefinition: { changedModules: [] },
    dryRun: false,
  };
  const headers: Record<string, string> = random() < 0.9 ? admin : {};
  const packed = random() < 0.1 ? { "content-encoding": pick(["br", "gzip", "x"]) } : {};
  const asked = {
    path,
    method: path.includes("/zip/") || path.includes("logs") ? "GET" : "POST",
    headers: { ...headers, ...packed },
  };
  note("admin", asked, await ask(asked, spoilText(JSON.stringify(spoil(good)))));
}

/** What is no HTTP, or only begins as such. The engine must end it, or answer. */
function rawBytes(): Promise<void> {
  const head = pick([
    "GET",
    "GET / HTTP/9.9\r\n\r\n",
    "POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /api/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "POST /api/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx",
    "POST /http/shout HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
    "POST /api/storage/upload?token=x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
    "GET /api/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n",
    "GET /api/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\u00ff\u00ff\u00ff\u00ff",
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(100_000)}\r\n\r\n`,
    String.fromCharCode(...Array.from({ length: 200 }, () => Math.floor(random() * 256))),
  ]);
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1", () => socket.write(Buffer.from(head, "latin1")));
    // What waits for more bytes is left by us.
    const leaving = setTimeout(() => socket.destroy(), 20);
    socket.on("data", () => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(leaving);
      count("raw");
      resolve();
    });
  });
}

/** A small body of any kind; now and then the pieces of a form. */
function bodyBytes(): Buffer {
  if (random() < 0.3)
    return Buffer.from(
      spoilText(`--fuzz\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nx\r\n--fuzz${pick(["--", "", "\r\n"])}`),
    );
  return Buffer.from(Array.from({ length: Math.floor(random() * 300) }, () => Math.floor(random() * 256)));
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
  const [, kib = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kib) / 1024);
}

function pick<T>(list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

/** Numerical Recipes' generator: the same messages for the same seed. */
function random(): number {
  randomState = (Math.imul(randomState, 1664525) + 1013904223) >>> 0;
  return randomState / 2 ** 32;
}
