/** Who may do what, and from where: CoSAI categories 1, 2 and 7. docs/threats.md has the table. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { talk, textOf, withEvil, type Said } from "./evil.ts";

const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };

test("T1: what a caller shows to come in goes on to no server: no token, no cookie, no name of his", async () => {
  const got: string[] = [];
  const upstream = createServer((request, response) => {
    got.push(JSON.stringify(request.headers));
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      got.push(body);
      const { id, method } = (body === "" ? {} : JSON.parse(body)) as { id?: number; method?: string };
      const result =
        method === "initialize"
          ? { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "u", version: "1" } }
          : method === "tools/list"
            ? { tools: [{ name: "a", inputSchema: { type: "object" } }] }
            : { content: [{ type: "text", text: "a" }] };
      if (id === undefined || method === "server/discover") response.writeHead(id === undefined ? 202 : 400).end();
      else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ jsonrpc: "2.0", id, result }));
    });
  });
  await new Promise<void>((done) => upstream.listen(0, "127.0.0.1", done));
  const { port } = upstream.address() as AddressInfo;
  try {
    await withEvil(
      async (place) => {
        await place.configure({ up: { url: `http://127.0.0.1:${port}/mcp`, headers: { "x-api-key": "${secret:up}" } } });
        await place.trust("up");
        const client = new Client({ name: "somebody", version: "1" });
        const requestInit = { headers: { authorization: "Bearer inbound-canary-token", cookie: "nika=inbound-canary-cookie" } };
        await client.connect(new StreamableHTTPClientTransport(new URL(place.url), { requestInit }));
        const said = (await client.callTool({ name: "mcp_up__a", arguments: {} })) as Said;
        assert.equal(textOf(said), "a");
        await client.close();
        const all = got.join("\n");
        assert.doesNotMatch(all, /inbound-canary|somebody/);
        // Its own credential goes there, and its answers are known to be the owner's.
        assert.match(all, /"x-api-key":"upstream-credential"/);
        assert.deepEqual(said._meta?.["nika/labels"], ["private", "untrusted"]);
      },
      { launch: { secret: () => Promise.resolve("upstream-credential") } },
    );
  } finally {
    upstream.closeAllConnections();
    upstream.close();
  }
});

test("T2: what may not be called is not listed, and calling it all the same, by any of its names, is refused", () =>
  withEvil(async (place, { offer }) => {
    const tools = ["open", "asked", "refused", "new"].map((name) => ({ name }));
    const server = offer("one", { tools });
    const policy = { asked: { approval: "ask" }, refused: { approval: "refuse" } };
    await place.configure({ one: { ...server, policy } });
    await place.allowBare("one");
    place.approve("one", ["open", "asked", "refused"]);
    const talker = await talk(place);
    const listed = (await talker.client.listTools()).tools.map(({ name }) => name).filter((name) => name.startsWith("mcp_"));
    assert.deepEqual(listed, ["mcp_one__asked", "mcp_one__open"]);
    assert.equal(textOf(await talker.call("mcp_one__open")), "open");
    assert.match(textOf(await talker.call("mcp_one__asked")), /^denied: .*owner's word/);
    for (const name of [
      "mcp_one__refused",
      "mcp_one__new",
      "refused",
      "mcp_ONE__open",
      "mcp_one__open ",
      "__proto__",
      "constructor",
    ])
      await assert.rejects(talker.call(name), name);
    // Through the tool that calls others it is the same.
    for (const name of ["mcp_one__refused", "mcp_one__new", "call_tool"])
      assert.equal(
        await talker.call("call_tool", { name }).then(
          ({ isError }) => isError === true,
          () => true,
        ),
        true,
      );
    assert.match(textOf(await talker.call("call_tool", { name: "mcp_one__asked" })), /^denied/);
    await talker.client.close();
  }));

test("T7: a session is its holder's, a state is one call's, and heads that do not agree with the body are refused", () =>
  withEvil(async (place, { offer }) => {
    await place.configure({
      one: offer("one", { tools: [{ name: "drop", annotations: { destructiveHint: true } }, { name: "a" }] }),
    });
    await place.trust("one");
    const post = async (body: object, more: Record<string, string> = {}): Promise<{ status: number; text: string }> => {
      const response = await fetch(place.url, { method: "POST", headers: { ...headers, ...more }, body: JSON.stringify(body) });
      return { status: response.status, text: await response.text() };
    };
    const envelope = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "d", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } },
    };
    const request = (name: string, args: object, more: object = {}) =>
      post(
        { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args, _meta: envelope, ...more } },
        { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": name },
      );
    assert.equal((await post({ jsonrpc: "2.0", id: 1, method: "tools/list" }, { "mcp-session-id": "guessed" })).status, 404);
    // The head says what a filter on the way would let through, the body another.
    const smuggled = await post(
      { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "mcp_one__drop", arguments: {}, _meta: envelope } },
      { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "mcp_one__a" },
    );
    assert.equal(smuggled.status, 400);
    const asked = await request("mcp_one__drop", { n: 1 });
    const [, state = ""] = /"requestState":"([^"]+)"/.exec(asked.text) ?? [];
    assert.notEqual(state, "");
    const inputResponses = { nika_approval: { action: "accept", content: {} } };
    const [text = "", signature = ""] = state.split(".");
    const forged = Buffer.from(JSON.stringify({ until: Date.now() + 1e9, for: "x" })).toString("base64url");
    for (const [args, requestState] of [
      [{ n: 2 }, state],
      [{ n: 1 }, `${forged}.${signature}`],
      [{ n: 1 }, `${text}.${"A".repeat(43)}`],
      [{ n: 1 }, "x"],
    ] as const)
      assert.match((await request("mcp_one__drop", args, { inputResponses, requestState })).text, /-32602/);
    assert.match((await request("mcp_one__drop", { n: 1 }, { inputResponses })).text, /-32602/);
    assert.match((await request("mcp_one__drop", { n: 1 }, { inputResponses, requestState: state })).text, /"text":"drop"/);
  }));
