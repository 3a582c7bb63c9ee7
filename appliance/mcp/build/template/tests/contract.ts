/**
 * What the document promises of each tool, tried against a service that is played: `npm test`. Nothing leaves this machine. The requests that
 * are expected were written down from the document when this server was made, by other code than the one that makes them here.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { openCaller, type Caller } from "../src/call.ts";
import { readManifest, type Manifest } from "../src/manifest.ts";
import { toServer } from "../src/mcp.ts";
import { tools } from "../src/tools.ts";
import type { Arguments, Tool } from "../src/tool.ts";
import { cases, type Case, type Expected } from "./cases.ts";
import { openMock, type Mock, type Seen } from "./mock.ts";

const told = readManifest(join(import.meta.dirname, "../mcp.toml"));
const prefix = new URL(told.baseUrl).pathname.replace(/\/+$/, "");
/** Not secret: the service is played. */
const variables = Object.fromEntries(
  [...told.auth.values()].map(({ kind, variable }) => [variable, kind === "basic" ? "somebody:example" : "example-secret"]),
);

let mock: Mock;
let manifest: Manifest;
let call: Caller;

before(async () => {
  mock = await openMock(prefix);
  manifest = {
    ...told,
    baseUrl: mock.url,
    callsPerMinute: 1_000_000,
    tools: new Map(tools.map(({ name }) => [name, { callsPerMinute: undefined }])),
  };
  call = openCaller(manifest, variables);
});
after(() => mock.close());

const toolOf = (name: string): Tool => {
  const tool = tools.find((one) => one.name === name);
  assert.ok(tool, `there is a tool named ${name}`);
  return tool;
};
const textOf = (result: Awaited<ReturnType<Caller>>): string =>
  result.content.map((one) => (one.type === "text" ? one.text : `[${one.type}]`)).join("\n");
const calling = (one: Case): ReturnType<Caller> => call(toolOf(one.tool), one.arguments, new AbortController().signal);

for (const one of cases) {
  test(`${one.tool} asks what the document says, and gives back the answer`, async () => {
    mock.play(one.answer);
    const result = await calling(one);
    const [seen, ...more] = mock.seen();
    assert.equal(more.length, 0, "one call is one request");
    assert.ok(seen, textOf(result));
    await mustBe(seen, one.expected);
    assert.notEqual(result.isError, true, textOf(result));
    if (one.answer.mediaType === "application/json") assert.deepEqual(JSON.parse(textOf(result)), one.answer.body);
  });

  test(`${one.tool} says so when the service refuses, fails or wants to wait, and does not try again`, async () => {
    for (const [status, words] of [
      [404, /nothing there \(404\)/],
      [422, /refused the call \(422\).*too short/],
      [503, /failed \(503\).*wait 7 s/],
      [429, /too often \(429\).*wait 7 s/],
      [401, /does not know who asks \(401\)/],
    ] as const) {
      mock.play({ status, mediaType: "application/json", body: { message: "too short" }, headers: { "retry-after": "7" } });
      const result = await calling(one);
      assert.equal(result.isError, true);
      assert.match(textOf(result), words);
      assert.equal(mock.seen().length, 1, "nothing is tried again");
    }
  });

  if (toolOf(one.tool).request.auth.length > 0)
    test(`${one.tool} asks nothing when nobody is signed in`, async () => {
      const result = await openCaller(manifest, {})(toolOf(one.tool), one.arguments, new AbortController().signal);
      assert.equal(result.isError, true);
      assert.match(textOf(result), /Nobody is signed in/);
      assert.equal(mock.seen().length, 0);
    });
}

test("a limit of calls a minute is kept without asking the service", async (t) => {
  const [one] = cases;
  if (!one) return t.skip("no case");
  mock.play(one.answer);
  const limited = openCaller({ ...manifest, callsPerMinute: 1 }, variables);
  const signal = new AbortController().signal;
  await limited(toolOf(one.tool), one.arguments, signal);
  const second = await limited(toolOf(one.tool), one.arguments, signal);
  assert.match(textOf(second), /limit of calls a minute is reached; call again in \d+ s/);
  assert.equal(mock.seen().length, 1);
});

test("an answer that is too long is cut, and one that leads elsewhere is not followed", async (t) => {
  const one = cases.find(({ expected }) => expected.method !== "HEAD");
  if (!one) return t.skip("no case");
  const signal = new AbortController().signal;
  mock.play({ status: 200, mediaType: "text/plain", body: "x".repeat(5_000) });
  const long = await openCaller({ ...manifest, answerBytes: 100 }, variables)(toolOf(one.tool), one.arguments, signal);
  assert.match(textOf(long), /^x{100}\nThe answer was cut after 100 bytes/);
  mock.play({ status: 302, mediaType: "", body: null, headers: { location: "http://elsewhere.example/" } });
  assert.match(textOf(await calling(one)), /sends this call elsewhere \(elsewhere\.example\), which is not followed/);
  mock.seen();
});

for (const era of ["with a handshake", "stateless"] as const)
  test(`the tools are listed and called over MCP, ${era}`, async (t) => {
    const [one] = cases;
    if (!one) return t.skip("no case");
    const input = new PassThrough();
    const output = new PassThrough();
    const handle = serveStdio(() => toServer(manifest, tools, call), { transport: new StdioServerTransport(input, output) });
    const lines = createInterface({ input: output })[Symbol.asyncIterator]();
    const version = era === "stateless" ? "2026-07-28" : "2025-11-25";
    const client = { name: "contract", version: "1" };
    const meta = {
      "io.modelcontextprotocol/protocolVersion": version,
      "io.modelcontextprotocol/clientInfo": client,
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    let id = 0;
    const ask = async (method: string, params: Arguments): Promise<Record<string, unknown>> => {
      id += 1;
      input.write(
        `${JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, ...(era === "stateless" && { _meta: meta }) } })}\n`,
      );
      const { value } = (await lines.next()) as { value: string };
      const reply = JSON.parse(value) as { result?: Record<string, unknown>; error?: unknown };
      assert.ok(reply.result, value);
      return reply.result;
    };
    if (era === "stateless") await ask("server/discover", {});
    else {
      await ask("initialize", { protocolVersion: version, capabilities: {}, clientInfo: client });
      input.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
    }
    const listed = (await ask("tools/list", {}))["tools"] as { name: string }[];
    assert.deepEqual(listed.map(({ name }) => name).toSorted(), tools.map(({ name }) => name).toSorted());
    mock.play(one.answer);
    const result = await ask("tools/call", { name: one.tool, arguments: one.arguments });
    assert.notEqual(result["isError"], true, JSON.stringify(result));
    assert.equal(mock.seen().length, 1);
    await handle.close();
  });

async function mustBe(seen: Seen, expected: Expected): Promise<void> {
  assert.equal(seen.method, expected.method);
  assert.equal(seen.path, prefix + expected.path);
  const sorted = (pairs: readonly (readonly [string, string])[]): string[] =>
    pairs.map((pair) => JSON.stringify(pair)).toSorted();
  assert.deepEqual(sorted(seen.query), sorted(expected.query));
  for (const [name, value] of Object.entries(expected.headers)) assert.equal(seen.headers[name], value, `header ${name}`);
  const { body } = expected;
  const text = new TextDecoder().decode(seen.body);
  if (body.kind === "none") assert.equal(text, "");
  else if (body.kind === "json") assert.deepEqual(JSON.parse(text), body.value);
  else if (body.kind === "text") assert.equal(text, body.text);
  else if (body.kind === "bytes") assert.equal(Buffer.from(seen.body).toString("base64"), body.base64);
  else {
    const form = await new Response(seen.body, { headers: { "content-type": seen.headers["content-type"] ?? "" } }).formData();
    const fields: [string, string][] = [];
    for (const [name, value] of form) fields.push([name, typeof value === "string" ? value : await value.text()]);
    assert.deepEqual(sorted(fields), sorted(body.fields));
  }
}
