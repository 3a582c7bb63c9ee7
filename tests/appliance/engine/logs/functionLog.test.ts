/** The log and the statistics as their readers get them: Convex's own command line, and a live query. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi, makeFunctionReference, type ApiFromModules } from "convex/server";
import { openEngine, type Engine } from "../../../../appliance/engine/engine.ts";
import type { LogEntry, LogPage } from "../../../../appliance/engine/logs/runLog.ts";
import type { Statistics } from "../../../../appliance/engine/logs/statistics.ts";
import { collector } from "../served.ts";
import type * as app from "./app/say.ts";

const adminKey = "nika|0123456789abcdef";
const dir = mkdtempSync(join(tmpdir(), "engine-logs-"));
const { say } = anyApi as unknown as ApiFromModules<{ say: typeof app }>;
const stats = makeFunctionReference<"query", Record<string, never>, Statistics>("_system/nika/functions:stats");
let server: Server;
let engine: Engine;
let url = "";

before(async () => {
  server = createServer((request, response) => void engine.handle(request, response));
  server.on("upgrade", (request, socket: Socket, head) => void engine.upgrade(request, socket, head));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const functionsDir = join(import.meta.dirname, "app");
  engine = await openEngine({ dir, functionsDir, env: {}, adminKey, origin: () => url, log: () => undefined });
});
after(async () => {
  await engine.close();
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

async function read(cursor: number): Promise<LogPage> {
  const response = await fetch(`${url}/api/stream_function_logs?cursor=${cursor}`, {
    headers: { authorization: `Convex ${adminKey}` },
  });
  assert.equal(response.status, 200);
  return (await response.json()) as LogPage;
}

/** Follows the log until all of these have been seen. */
async function follow(cursor: number, wanted: readonly string[]): Promise<readonly LogEntry[]> {
  const seen: LogEntry[] = [];
  for (let at = cursor; wanted.some((path) => !seen.some((one) => one.identifier === path));) {
    const { entries, newCursor } = await read(at);
    seen.push(...entries);
    at = newCursor;
  }
  return seen;
}

test("every kind of run leaves an entry, nested and scheduled ones too, and no argument is in it", async () => {
  const { newCursor } = await read(0);
  const client = new ConvexHttpClient(url, { logger: false });
  await client.mutation(say.aloud, { secret: "open sesame" });
  await client.mutation(say.later, {});
  await client.action(say.through, {});
  await assert.rejects(client.query(say.stumble, {}), /it stumbled/);
  await assert.rejects(client.mutation(say.aloud, { secret: 271_828 } as never), /271828/);
  const entries = await follow(newCursor, ["say:aloud", "say:later", "say:add", "say:through", "say:count", "say:stumble"]);
  const one = (path: string): LogEntry => entries.find(({ identifier }) => identifier === path) as LogEntry;
  const { executionTime, timestamp, requestId, ...aloud } = one("say:aloud");
  assert.deepEqual(aloud, {
    kind: "Completion",
    identifier: "say:aloud",
    udfType: "Mutation",
    logLines: ["[LOG] 'said' { times: 1 }"],
    success: null,
    error: null,
    caller: "Client",
    cachedResult: false,
    environment: "isolate",
  });
  assert.match(requestId, /^[0-9a-f]{16}$/);
  assert.ok(executionTime > 0 && Math.abs(timestamp * 1000 - Date.now()) < 60_000);
  assert.deepEqual(
    [one("say:add").caller, one("say:count").caller, one("say:through").udfType],
    ["Scheduler", "Action", "Action"],
  );
  assert.match(one("say:stumble").error ?? "", /^Uncaught Error: it stumbled\n.*\.\.\/convex\/say\.ts:\d+:\d+/s);
  assert.doesNotMatch(JSON.stringify(entries), /open sesame|271828/);
});

test("only admins read the log", async () => {
  const path = `${url}/api/stream_function_logs?cursor=0`;
  assert.equal((await fetch(path)).status, 403);
  assert.equal((await fetch(path, { headers: { authorization: "Convex nika|wrong" } })).status, 403);
});

test("`npx convex logs` prints what was logged and goes on with what comes", async () => {
  const client = new ConvexHttpClient(url, { logger: false });
  await client.mutation(say.aloud, { secret: "" });
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "../../../../node_modules/convex/bin/main.js"), "logs", "--history", "50", "--success"],
    {
      cwd: join(import.meta.dirname, "../../../.."),
      env: { PATH: "/usr/bin:/bin", HOME: dir, CI: "1", CONVEX_SELF_HOSTED_URL: url, CONVEX_SELF_HOSTED_ADMIN_KEY: adminKey },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const exited = new Promise((done) => child.once("exit", done));
  const lines = collector<string>();
  createInterface(child.stdout).on("line", lines.push);
  try {
    await lines.until((line) => /\[CONVEX M\(say:aloud\)\] \[LOG\] 'said' \{ times: 1 \}/.test(line));
    await lines.until((line) => /\[CONVEX M\(say:aloud\)\] Function executed in \d+ ms/.test(line));
    await assert.rejects(client.query(say.stumble, { again: 1 } as never));
    await lines.until((line) => /\[CONVEX Q\(say:stumble\)\] Uncaught Error: it stumbled|ArgumentValidationError/.test(line));
  } finally {
    child.kill();
    await exited;
  }
});

test("how functions do is a live query of the admin's, and nobody else's", async () => {
  await using closing = new AsyncDisposableStack();
  const client = new ConvexClient(url, { logger: false, unsavedChangesWarning: false });
  closing.defer(() => client.close());
  const admin = client as unknown as { readonly client: { setAdminAuth(key: string): void } };
  admin.client.setAdminAuth(adminKey);
  const seen = collector<Statistics>();
  client.onUpdate(stats, {}, seen.push);
  const callsOf = ({ functions }: Statistics): number => functions.find(({ path }) => path === "say:count")?.calls ?? 0;
  const first = callsOf(await seen.until(() => true));
  const reader = new ConvexHttpClient(url, { logger: false });
  await reader.query(say.count, {});
  await reader.query(say.count, {});
  const later = await seen.until((value) => callsOf(value) === first + 2);
  assert.equal(later.errors.find(({ message }) => message === "Error: it stumbled")?.place, "say.ts:34");
  assert.ok(later.functions.every(({ path }) => !path.startsWith("_system/")));
  await assert.rejects(reader.query(stats, {}), /Could not find public function/);
});
