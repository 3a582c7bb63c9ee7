/** A server of before 2025 (HTTP with server-sent events, by the SDK of its time) behind the gateway. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { openMcpPlace } from "./place.ts";

const transports = new Map<string, SSEServerTransport>();
const shown: (string | undefined)[] = [];
const server = createServer((request, response) => {
  shown.push(request.headers["x-key"]?.toString());
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  if (request.method === "GET") {
    const transport = new SSEServerTransport("/messages", response);
    transports.set(transport.sessionId, transport);
    const old = new McpServer({ name: "old", version: "1" });
    old.registerTool("count", { description: "Counts, and says how far it is." }, async ({ _meta, sendNotification }) => {
      for (const progress of [1, 2, 3])
        if (_meta?.progressToken !== undefined)
          await sendNotification({ method: "notifications/progress", params: { progressToken: _meta.progressToken, progress } });
      return { content: [{ type: "text", text: "three" }] };
    });
    void old.connect(transport);
    response.once("close", () => void old.close());
    return;
  }
  const transport = transports.get(url.searchParams.get("sessionId") ?? "");
  if (!transport) return void response.writeHead(404).end();
  void transport.handlePostMessage(request, response);
});
await new Promise<void>((done) => {
  server.listen(0, "127.0.0.1", done);
});
const place = await openMcpPlace();
after(async () => {
  await place.close();
  server.closeAllConnections();
  server.close();
});

test("its tools are listed and called, its headers are sent, and its stream that breaks is begun again", async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`;
  await place.configure({ old: { type: "sse", url, headers: { "x-key": "1" } } });
  await place.trust("old");
  const by = { principal: "owner", isApproved: true, signal: AbortSignal.timeout(20_000) };
  assert.match(JSON.stringify(await place.gateway.call("mcp_old__count", {}, by)), /three/);
  assert.ok(shown.length > 1 && shown.every((one) => one === "1"));
  server.closeAllConnections();
  let answer = "";
  // The first call after it may meet the broken stream, and says so.
  for (let attempt = 0; attempt < 5 && !answer.includes("three"); attempt++)
    answer = JSON.stringify(await place.gateway.call("mcp_old__count", {}, by));
  assert.match(answer, /three/, place.logged.join("\n"));
});
