/** The bridge as clients of both eras of the protocol see it, over HTTP and over a pipe. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttp } from "@modelcontextprotocol/client";
import { StdioClientTransport as ModernStdio } from "@modelcontextprotocol/client/stdio";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as OldStdio } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as OldHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { openFakeState } from "../../fakes/state.ts";
import { entry } from "../cli/command.ts";
import { openPlace } from "./place.ts";

const state = openFakeState();
const place = await openPlace(state);
after(() => place.close());
const tokens = {
  agent: await place.token("agent", "agent", "homelab"),
  client: await place.token("client", "client"),
};

type Called = { readonly isError?: boolean; readonly structuredContent?: unknown; readonly content: { text?: string }[] };
type Session = {
  readonly names: readonly string[];
  readonly call: (name: string, args: object) => Promise<Called>;
  readonly close: () => Promise<void>;
};
type AnyClient = {
  listTools(): Promise<{ tools: { name: string }[] }>;
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  close(): Promise<void>;
};

async function toSession(client: AnyClient): Promise<Session> {
  const { tools } = await client.listTools();
  return {
    names: tools.map(({ name }) => name),
    call: async (name, args) => (await client.callTool({ name, arguments: { ...args } })) as Called,
    close: () => client.close(),
  };
}

const info = { name: "test", version: "1" };
const url = new URL(`${place.url}/mcp/bridge`);
const withToken = (token: string) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } });
const pipe = (agent: boolean) => ({
  command: process.execPath,
  args: [entry, "--data", place.dataDir, "bridge", "serve", ...(agent ? ["--agent", "homelab"] : [])],
  stderr: "inherit" as const,
});

const ways: Record<string, (role: "client" | "agent") => Promise<Session>> = {
  "the stateless era over HTTP": async (role) => {
    const client = new ModernClient(info, { versionNegotiation: { mode: "auto" } });
    await client.connect(new ModernHttp(url, withToken(tokens[role])));
    assert.equal(client.getNegotiatedProtocolVersion(), "2026-07-28");
    return toSession(client);
  },
  "the era of handshakes over HTTP": async (role) => {
    const client = new OldClient(info);
    await client.connect(new OldHttp(url, withToken(tokens[role])));
    return toSession(client);
  },
  "the stateless era over a pipe": async (role) => {
    const client = new ModernClient(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    await client.connect(new ModernStdio(pipe(role === "agent")));
    return toSession(client);
  },
  "the era of handshakes over a pipe": async (role) => {
    const client = new OldClient(info);
    await client.connect(new OldStdio(pipe(role === "agent")));
    return toSession(client);
  },
};

for (const [way, open] of Object.entries(ways)) {
  test(`a task goes to an agent and its report comes back, in ${way}`, async () => {
    const client = await open("client");
    const agent = await open("agent");
    try {
      assert.deepEqual(client.names.toSorted(), ["pull_updates", "queue_status", "send_message"]);
      assert.deepEqual(agent.names.toSorted(), [
        "ack_message",
        "complete_message",
        "fail_message",
        "next_message",
        "post_update",
        "queue_status",
        "start_message",
      ]);
      const message = `Fix the DNS, in ${way}`;
      const sent = (await client.call("send_message", { message })).structuredContent as { queued: boolean; id: string };
      assert.equal(sent.queued, true);
      const again = await client.call("send_message", { message });
      assert.deepEqual(again.structuredContent, { queued: false, reason: "duplicate", id: sent.id, target: "homelab" });
      assert.deepEqual(JSON.parse(again.content[0]?.text ?? ""), again.structuredContent, "the same as text, for older clients");

      const next = (await agent.call("next_message", { wait: 20 })).structuredContent as {
        message: { id: string; message: string };
      };
      assert.deepEqual([next.message.id, next.message.message], [sent.id, message]);
      await agent.call("ack_message", { id: sent.id });
      await agent.call("start_message", { id: sent.id });
      const status = (await client.call("queue_status", {})).structuredContent;
      const before = status as { total_updates: number };
      assert.deepEqual(status, { pending: 0, in_progress: 1, total_updates: before.total_updates, current_task: message });
      await client.call("pull_updates", {});

      const waiting = client.call("pull_updates", { wait: 20 });
      await agent.call("post_update", { id: sent.id, content: "[Step 1] Checking" });
      const pulled = (await waiting).structuredContent as { updates: Record<string, unknown>[] };
      assert.equal(pulled.updates.length, 1);
      const { message_id, content, created_at } = pulled.updates[0] ?? {};
      assert.deepEqual([message_id, content], [sent.id, "[Step 1] Checking"]);
      assert.match(String(created_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u);
      assert.equal((await agent.call("complete_message", { id: sent.id, content: "Done" })).isError ?? false, false);

      const refused = await agent.call("fail_message", { id: sent.id, content: "no" });
      assert.equal(refused.isError, true);
      assert.match(refused.content[0]?.text ?? "", /^conflict: This message has ended/u);
      const wrong = await client.call("send_message", { message: 7 }).catch((error: unknown) => ({ isError: true, error }));
      assert.equal(wrong.isError, true);
    } finally {
      await Promise.all([client.close(), agent.close()]);
    }
  });
}

test("without a token, or with a stranger's, a client is told that it needs one", async () => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
  for (const authorization of [undefined, "Bearer nkb_nobody_0123456789", `Bearer ${tokens.client}x`, `Basic ${tokens.client}`]) {
    const headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(authorization && { authorization }),
    };
    const response = await fetch(url, { method: "POST", headers, body });
    assert.equal(response.status, 401);
    assert.match(response.headers.get("www-authenticate") ?? "", /^Bearer/u);
  }
});

test("a page of another site may not speak through the owner's browser", async () => {
  const headers = {
    authorization: `Bearer ${tokens.client}`,
    origin: "https://evil.example",
    "content-type": "application/json",
  };
  const response = await fetch(url, { method: "POST", headers, body: "{}" });
  assert.equal(response.status, 401);
});

test("what is no message of the protocol is refused, and the next one is answered", async () => {
  const headers = {
    authorization: `Bearer ${tokens.client}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  for (const body of ["", "{", "[]", "null", JSON.stringify({ jsonrpc: "2.0", id: 1, method: "x".repeat(2_000_000) })]) {
    const response = await fetch(url, { method: "POST", headers, body });
    assert([400, 507].includes(response.status), `${response.status} for ${body.slice(0, 10)}`);
    await response.text();
  }
  const session = await (ways["the stateless era over HTTP"] as (role: "client") => Promise<Session>)("client");
  assert.equal(session.names.length, 3);
  await session.close();
});
