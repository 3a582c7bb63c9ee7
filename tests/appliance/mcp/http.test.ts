/** Who may come in at /mcp, and what the owner does there. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { api } from "../../../convex/_generated/api.js";
import { toNikaError } from "../../../convex/model/error.ts";
import { seenOf, type ServerFacts } from "../../../convex/model/serverView.ts";
import { openMcp } from "../../../appliance/mcp/mcp.ts";
import { openFakeState } from "../../fakes/state.ts";
import { everything } from "./place.ts";

const dataDir = mkdtempSync(join(tmpdir(), "nika-mcp-http-"));
writeFileSync(join(dataDir, "mcp-servers.json"), JSON.stringify({ mcpServers: { Every_Thing: everything } }));
const state = openFakeState();
const mcp = openMcp({
  dataDir,
  sharedFile: join(dataDir, "none.json"),
  version: "0",
  state,
  sandboxes: undefined,
  secrets: {
    find: () => Promise.resolve(undefined),
    set: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    renew: (_name, renew) => renew(""),
  },
  address: { origin: "http://127.0.0.1:1", port: 1, publicUrl: undefined },
  cookieKey: "0",
  variables: process.env,
  tools: [],
  resources: [
    { uri: "nika://x", name: "x", title: "X", description: "x", mimeType: "text/plain", read: () => Promise.resolve("here") },
  ],
  prompts: [{ name: "p", title: "P", description: "p", arguments: [], say: () => "said" }],
  log: () => undefined,
});
const owner = "the-owners-own-token";
const isOwner = (token: string): boolean => token === owner;
const server = createServer((request, response) => {
  const send = (status: number, body: object): void => void response.writeHead(status).end(JSON.stringify(body));
  const readJson = async (): Promise<Record<string, unknown>> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  };
  const route = mcp.routes.find((request.url ?? "").split("?", 1)[0] ?? "");
  if (!route) return send(404, {});
  route(request, response, { isOwner, readJson, send }).catch((error: unknown) =>
    send(400, { code: toNikaError(error).code, message: toNikaError(error).message }),
  );
});
server.on("upgrade", (request, socket) => {
  if (!mcp.routes.upgrade(request, socket, isOwner)) socket.destroy();
});
await new Promise<void>((done) => {
  server.listen(0, "127.0.0.1", done);
});
const { port } = server.address() as AddressInfo;
after(async () => {
  server.closeAllConnections();
  server.close();
  await mcp.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const post = async (
  path: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
  });
  const text = await response.text();
  return { status: response.status, body: text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {} };
};
const asOwner = { authorization: `Bearer ${owner}` };

test("strangers, pages of others, and tokens that were revoked are refused", async () => {
  const hello = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };
  assert.equal((await post("/mcp", hello)).body["code"], "denied");
  assert.equal((await post("/mcp", hello, { authorization: "Bearer nkm_0123456789abcdefghij" })).body["code"], "denied");
  assert.equal((await post("/mcp", hello, { ...asOwner, origin: "https://evil.example" })).body["code"], "denied");
  assert.equal((await post("/nika/mcp/list", {})).body["code"], "denied");
  const token = "nkm_abcdefghijklmnopqrstuvwxyz";
  await state.owner.mutation(api.servers.addToken, { name: "one", hash: createHash("sha256").update(token).digest("hex") });
  const client = new Client({ name: "t", version: "1" });
  const url = new URL(`http://127.0.0.1:${port}/mcp`);
  const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization: `Bearer ${token}` } } });
  await client.connect(transport);
  assert.equal((await client.readResource({ uri: "nika://x" })).contents[0]?.uri, "nika://x");
  assert.match(JSON.stringify(await client.getPrompt({ name: "p" })), /said/);
  await state.owner.mutation(api.servers.revokeToken, { name: "one" });
  await assert.rejects(client.listTools());
  // The session of one holder is nobody else's.
  const stolen = await post("/mcp", hello, { ...asOwner, "mcp-session-id": transport.sessionId ?? "" });
  assert.equal(stolen.status, 404);
  await client.close().catch(() => undefined);
});

test("the owner lists, allows, approves, calls and removes; the control plane shows it, and the log has it", async () => {
  const { body } = await post("/nika/mcp/reload", {}, asOwner);
  assert.match(JSON.stringify(body), /no container engine/);
  const shown = async (): Promise<ServerFacts> => {
    const { servers } = (await post("/nika/mcp/list", {}, asOwner)).body as { servers: ServerFacts[] };
    return servers.find(({ name }) => name === "every-thing") as ServerFacts;
  };
  const say = async (verb: string, more: object): Promise<Record<string, unknown>> =>
    (await post(`/nika/mcp/${verb}`, { name: "every-thing", ...more }, asOwner)).body;
  // A yes names what it is for, or it is none.
  const { targetSha256 } = await shown();
  for (const more of [{}, { seen: "yes" }, { isAllowed: true }])
    assert.match(String((await say("allow", more))["message"]), /names what it is for by the digest/);
  assert.equal((await say("allow", { seen: "0".repeat(64) }))["code"], "conflict");
  assert.equal((await say("allow", { seen: targetSha256 }))["isAllowed"], true);
  const seen = seenOf(await shown(), ["echo"]);
  for (const more of [{}, { tools: ["echo"] }, { tools: ["echo"], seen }, { seen: {} }, { seen: { "tool echo": "yes" } }])
    assert.match(String((await say("approve", more))["message"]), /An approval names what it approves by the digest/);
  assert.equal((await say("approve", { seen: { "tool echo": "0".repeat(64) } }))["code"], "conflict");
  assert.match(String((await say("upgrade", { isAccepted: true }))["message"]), /by the digest that was shown/);
  assert.equal((await say("approve", { seen }))["approved"], 1);
  const called = await post("/nika/mcp/call", { name: "mcp_every-thing__echo", arguments: { message: "hi" } }, asOwner);
  assert.match(JSON.stringify(called.body), /Echo: hi/);
  for (;;) {
    const [call] = await state.owner.query(api.servers.calls, {});
    const [row] = await state.owner.query(api.servers.list, {});
    if (call?.tool === "echo" && row?.isBare === true && row.tools.some(({ standing }) => standing === "new")) break;
    await new Promise((done) => setTimeout(done, 50));
  }
  const { body: log } = await post("/nika/mcp/events", {}, asOwner);
  assert.deepEqual(
    (log["events"] as { type: string }[]).map(({ type }) => type),
    ["call", "approved", "allowedBare"],
  );
  await post("/nika/mcp/remove", { name: "every-thing" }, asOwner);
  assert.deepEqual(JSON.parse(readFileSync(join(dataDir, "mcp-servers.json"), "utf8")), { mcpServers: {} });
});

test("a pipe is opened for the owner alone, and speaks the protocol", async () => {
  const open = (headers: Record<string, string>): Promise<string> =>
    new Promise((done, fail) => {
      const request = httpRequest({
        port,
        host: "127.0.0.1",
        path: "/mcp/pipe",
        headers: { connection: "Upgrade", upgrade: "mcp", ...headers },
      });
      request.on("upgrade", (_response, socket) => {
        const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };
        socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params })}\n`);
        socket.once("data", (data: Buffer) => {
          socket.destroy();
          done(data.toString());
        });
      });
      request.on("response", ({ statusCode }) => done(String(statusCode)));
      request.on("error", fail);
      request.end();
    });
  assert.match(await open(asOwner), /"serverInfo":\{"name":"nika"/);
  assert.equal(await open({}), "401");
  assert.equal(await open({ ...asOwner, origin: "https://evil.example" }), "401");
});
