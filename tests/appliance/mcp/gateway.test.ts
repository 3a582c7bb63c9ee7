/** The gateway as clients of both eras see it, in front of real servers. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { everything, openMcpPlace, packagePath } from "./place.ts";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";

const folder = mkdtempSync(join(tmpdir(), "nika-mcp-files-"));
writeFileSync(join(folder, "note.txt"), "remember the milk");
const place = await openMcpPlace({
  tools: [
    {
      name: "own",
      title: "Own",
      description: "One of Nika's.",
      input: { type: "object", properties: { n: { type: "number" } }, required: ["n"], additionalProperties: false },
      isReadOnly: true,
      call: ({ n }) => Promise.resolve({ twice: Number(n) * 2 }),
    },
  ],
});
const node = process.execPath;
// One holder's stateless calls are one conversation, and what each of these tests reads is no secret to the next.
const policy = { "*": { tainted: "never" } };
await place.configure({
  mcpServers: {
    everything: { ...everything, policy },
    files: { command: node, args: [packagePath("server-filesystem"), folder], policy },
    memory: {
      command: node,
      args: [packagePath("server-memory")],
      env: { MEMORY_FILE_PATH: join(folder, "memory.json") },
      policy,
    },
    thinking: { command: node, args: [packagePath("server-sequential-thinking")], policy },
  },
});
await place.trust("everything", "files", "memory", "thinking");
after(async () => {
  await place.close();
  rmSync(folder, { recursive: true, force: true });
});

type Result = {
  readonly content: { type: string; text?: string }[];
  readonly isError?: boolean;
  readonly structuredContent?: unknown;
};
const info = { name: "test", version: "1" };
const textOf = (result: unknown): string => (result as Result).content.map(({ text = "" }) => text).join("");

async function openModern(mode: "auto" | "legacy"): Promise<Client> {
  const client = new Client(info, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${place.url}?tools=all`)));
  return client;
}

/** The SDK of before, with a person, a model and roots behind it. */
async function openOld(): Promise<{ client: OldClient; asked: string[]; logged: string[] }> {
  const asked: string[] = [];
  const logged: string[] = [];
  const client = new OldClient(info, { capabilities: { elicitation: {}, sampling: {}, roots: { listChanged: true } } });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message);
    return { action: "accept" as const, content: { name: "Ada", check: true } };
  });
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    asked.push(JSON.stringify(params.messages));
    return { model: "m", role: "assistant" as const, content: { type: "text" as const, text: "a thought" } };
  });
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///home/ada", name: "home" }] }));
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params.level));
  await client.connect(new OldHttp(new URL(place.url)));
  return { client, asked, logged };
}

for (const mode of ["auto", "legacy"] as const)
  test(`tools, progress, prompts, completions and resources of others come through, mode ${mode}`, async () => {
    const client = await openModern(mode);
    assert.equal(client.getProtocolEra(), mode === "auto" ? "modern" : "legacy");
    const { tools } = await client.listTools();
    const names = new Set(tools.map(({ name }) => name));
    for (const name of [
      "own",
      "mcp_everything__echo",
      "mcp_files__read_text_file",
      "mcp_memory__create_entities",
      "mcp_thinking__sequentialthinking",
    ])
      assert.ok(names.has(name), name);
    assert.equal(textOf(await client.callTool({ name: "mcp_everything__echo", arguments: { message: "é\n" } })), "Echo: é\n");
    assert.match(
      textOf(await client.callTool({ name: "mcp_files__read_text_file", arguments: { path: join(folder, "note.txt") } })),
      /milk/,
    );
    assert.deepEqual(
      ((await client.callTool({ name: "mcp_everything__get-structured-content", arguments: { location: "Chicago" } })) as Result)
        .structuredContent,
      { conditions: "Light rain / drizzle", humidity: 82, temperature: 36 },
    );
    assert.deepEqual(((await client.callTool({ name: "own", arguments: { n: 21 } })) as Result).structuredContent, { twice: 42 });
    assert.equal(((await client.callTool({ name: "own", arguments: { n: "x" } })) as Result).isError, true);
    const steps: number[] = [];
    await client.callTool(
      { name: "mcp_everything__trigger-long-running-operation", arguments: { duration: 0.2, steps: 2 } },
      { onprogress: ({ progress }) => void steps.push(progress) },
    );
    assert.deepEqual(steps, [1, 2]);
    const prompt = await client.getPrompt({ name: "mcp_everything__args-prompt", arguments: { city: "Paris" } });
    assert.match(JSON.stringify(prompt.messages), /Paris/);
    const { completion } = await client.complete({
      ref: { type: "ref/prompt", name: "mcp_everything__completable-prompt" },
      argument: { name: "department", value: "E" },
    });
    assert.deepEqual(completion.values, ["Engineering"]);
    const { resources } = await client.listResources();
    const read = await client.readResource({ uri: resources[0]?.uri ?? "" });
    assert.ok(read.contents.length > 0);
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.ok(resourceTemplates.some(({ uriTemplate }) => uriTemplate.startsWith("demo://resource/dynamic/text")));
    assert.match(JSON.stringify(await client.readResource({ uri: "demo://resource/dynamic/text/1" })), /Resource 1/);
    await assert.rejects(client.readResource({ uri: "file:///nowhere" }));
    await assert.rejects(client.callTool({ name: "mcp_everything__nothing", arguments: {} }), /no tool named/);
    await client.close();
  });

test("a server asks whoever called it, by name, and each session has a server of its own", async () => {
  const { client, asked } = await openOld();
  assert.match(textOf(await client.callTool({ name: "mcp_everything__trigger-elicitation-request", arguments: {} })), /Ada/);
  assert.match(asked[0] ?? "", /^everything: /);
  assert.match(
    textOf(await client.callTool({ name: "mcp_everything__trigger-sampling-request", arguments: { prompt: "hm" } })),
    /a thought/,
  );
  assert.match(textOf(await client.callTool({ name: "mcp_everything__get-roots-list", arguments: {} })), /home\/ada/);
  const { client: other } = await openOld();
  await other.callTool({ name: "mcp_everything__echo", arguments: { message: "x" } });
  assert.equal(place.pool.standings().find(({ name }) => name === "everything")?.peers, 3);
  await client.close();
  await other.close();
});

test("what a server logs reaches the session that asked for it, at its level", async () => {
  const { client, logged } = await openOld();
  await client.setLoggingLevel("debug");
  const first = Promise.withResolvers<void>();
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    logged.push(params.level);
    first.resolve();
  });
  await client.callTool({ name: "mcp_everything__toggle-simulated-logging", arguments: {} });
  await first.promise;
  assert.ok(logged.length > 0);
  await client.close();
});

test("a session of somebody else's is no session", async () => {
  const body = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-session-id": "stolen",
  };
  const response = await fetch(place.url, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(response.status, 404);
});

test("a call that is withdrawn ends, and the next goes through", async () => {
  const client = await openModern("legacy");
  const stop = new AbortController();
  const slow = client.callTool(
    { name: "mcp_everything__trigger-long-running-operation", arguments: { duration: 60, steps: 1 } },
    { signal: stop.signal },
  );
  stop.abort();
  await assert.rejects(slow);
  assert.match(textOf(await client.callTool({ name: "mcp_everything__echo", arguments: { message: "on" } })), /on/);
  await client.close();
});

test("with many tools three stand for all, and find and call them", async () => {
  const client = new Client(info);
  await client.connect(new StreamableHTTPClientTransport(new URL(place.url)));
  const searching = await openMcpPlace({ dir: place.dir, mode: "search" });
  await searching.reload();
  const seeker = new Client(info);
  await seeker.connect(new StreamableHTTPClientTransport(new URL(searching.url)));
  const { tools } = await seeker.listTools();
  assert.deepEqual(
    tools.map(({ name }) => name),
    ["search_tools", "describe_tool", "call_tool"],
  );
  const found = (await seeker.callTool({ name: "search_tools", arguments: { query: "read a text file" } })) as Result;
  assert.match(textOf(found), /mcp_files__read_text_file/);
  const described = (await seeker.callTool({
    name: "describe_tool",
    arguments: { name: "mcp_files__read_text_file" },
  })) as Result;
  assert.match(textOf(described), /"path"/);
  const read = await seeker.callTool({
    name: "call_tool",
    arguments: { name: "mcp_files__read_text_file", arguments: { path: join(folder, "note.txt") } },
  });
  assert.match(textOf(read), /milk/);
  await seeker.close();
  await searching.close();
  await client.close();
});

test("random messages get answers, and the gateway goes on", async () => {
  let seed = 11;
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const odd: unknown[] = [
    null,
    0,
    -1,
    "",
    "x".repeat(5_000),
    [],
    {},
    true,
    { cursor: "x" },
    { name: null },
    { name: "own", arguments: [] },
    { uri: 3 },
  ];
  const methods = [
    "initialize",
    "tools/call",
    "tools/list",
    "prompts/get",
    "resources/read",
    "completion/complete",
    "server/discover",
    "ping",
    "",
    "a/b",
  ];
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  for (let at = 0; at < 300; at++) {
    const message = {
      jsonrpc: pick<unknown>(["2.0", "1.0", 2]),
      id: pick<unknown>([1, "a", null, {}, undefined]),
      method: pick<unknown>([...methods, 7]),
      params: pick(odd),
    };
    const text = JSON.stringify(random(9) === 0 ? [message, pick(odd)] : message);
    const body = random(7) === 0 ? text.slice(0, random(text.length) + 1) : text;
    const extra =
      random(3) === 0
        ? { "mcp-protocol-version": pick(["2026-07-28", "2025-11-25", "1999-01-01"]), "mcp-method": pick(methods) }
        : {};
    const response = await fetch(place.url, { method: "POST", headers: { ...headers, ...extra }, body });
    await response.arrayBuffer();
    assert.ok(response.status < 500, `${response.status} to ${body.slice(0, 200)}`);
  }
  const client = await openModern("auto");
  assert.deepEqual(((await client.callTool({ name: "own", arguments: { n: 1 } })) as Result).structuredContent, { twice: 2 });
  await client.close();
});
