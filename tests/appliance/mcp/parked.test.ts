/** A client without sessions uses servers that ask in the middle of a call: the question comes in the answer, and the next request takes the call up. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { everything, openMcpPlace } from "./place.ts";

const place = await openMcpPlace({ mode: "all" });
after(() => place.close());
await place.configure({ every: { ...everything, expose: { prefix: false } } });
await place.trust("every");

const meta = (capabilities: object): object => ({
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": capabilities,
});
const everythingAsked = { elicitation: { form: {} }, sampling: {} };
type Answer = { result?: Record<string, unknown>; error?: { code: number; message: string } };
/** One request, as a client sends it that keeps nothing between two. */
async function ask(
  name: string,
  more: object = {},
  { capabilities = everythingAsked, args = {} }: { capabilities?: object; args?: object } = {},
): Promise<Answer> {
  const response = await fetch(place.url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": name,
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name, arguments: args, _meta: meta(capabilities), ...more },
    }),
  });
  const text = await response.text();
  return JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text) as Answer;
}
type Asked = { inputRequests: Record<string, { method: string; params: { message?: string } }>; requestState: string };
const asked = ({ result }: Answer): Asked & { key: string } => {
  assert.equal(result?.["resultType"], "input_required", JSON.stringify(result));
  const found = result as Asked;
  return { ...found, key: Object.keys(found.inputRequests)[0] ?? "" };
};
const accepted = {
  action: "accept" as const,
  content: { name: "Ada", check: true, email: "ada@example.org", integer: 4, number: 2 },
};

test("the SDK's client of the stateless era answers a server with a handshake", async () => {
  const client = new Client(
    { name: "t", version: "1" },
    { capabilities: { elicitation: { form: {} }, sampling: {} }, versionNegotiation: { mode: "auto" } },
  );
  const messages: string[] = [];
  client.setRequestHandler("elicitation/create", ({ params }) => {
    messages.push(params.message);
    return Promise.resolve(accepted);
  });
  client.setRequestHandler("sampling/createMessage", () =>
    Promise.resolve({ role: "assistant", model: "m", content: { type: "text", text: "sampled" } } as const),
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(place.url)));
  assert.equal(client.getProtocolEra(), "modern");
  assert.match(JSON.stringify(await client.callTool({ name: "trigger-elicitation-request", arguments: {} })), /Ada/);
  assert.match(messages[0] ?? "", /^every: /);
  const sampled = await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "p", maxTokens: 9 } });
  assert.match(JSON.stringify(sampled), /sampled/);
  await client.close();
});

test("two calls that wait are told apart, and an answer goes to its own", async () => {
  const [one, two] = [asked(await ask("trigger-elicitation-request")), asked(await ask("trigger-elicitation-request"))];
  assert.notEqual(one.requestState, two.requestState);
  const declined = { inputResponses: { [two.key]: { action: "decline" } }, requestState: two.requestState };
  assert.match(JSON.stringify(await ask("trigger-elicitation-request", declined)), /declined/i);
  const said = { inputResponses: { [one.key]: accepted }, requestState: one.requestState };
  assert.match(JSON.stringify(await ask("trigger-elicitation-request", said)), /Ada/);
  // It was taken up; there is nothing left to answer.
  assert.equal((await ask("trigger-elicitation-request", said)).error?.code, -32602);
});

test("a state that was changed, or is of another call, takes nothing up; an unanswered question is asked again", async () => {
  const { key, requestState } = asked(await ask("trigger-elicitation-request"));
  const inputResponses = { [key]: accepted };
  const changed = `${requestState.slice(0, -4)}AAAA`;
  assert.equal((await ask("trigger-elicitation-request", { inputResponses, requestState: changed })).error?.code, -32602);
  assert.equal((await ask("echo", { inputResponses, requestState }, { args: { message: "x" } })).error?.code, -32602);
  assert.deepEqual(asked(await ask("trigger-elicitation-request", { inputResponses: {}, requestState })).key, key);
  assert.match(JSON.stringify(await ask("trigger-elicitation-request", { inputResponses, requestState })), /Ada/);
});

test("who can be asked nothing is asked nothing", async () => {
  const { result, error } = await ask("trigger-elicitation-request", {}, { capabilities: {} });
  assert.notEqual(result?.["resultType"], "input_required", JSON.stringify(error));
});
