/**
 * A server that does what servers should not, over bare stdio: offers what a file says, and dies, hangs or floods when told to. With `shy` it ends at
 * anything that comes before the handshake, as some do.
 */
import { readFileSync, watch } from "node:fs";
import { createInterface } from "node:readline";

const [file = "", ...moods] = process.argv.slice(2);
type Tool = { name: string; description?: string; inputSchema?: object };
const tools = (): Tool[] =>
  (JSON.parse(readFileSync(file, "utf8")) as { tools: Tool[] }).tools.map((tool) => ({
    inputSchema: { type: "object", properties: {} },
    ...tool,
  }));
const say = (message: object): void => void process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const text = (said: string): object => ({ content: [{ type: "text", text: said }] });

if (moods.includes("tells")) watch(file, () => say({ method: "notifications/tools/list_changed" }));
if (moods.includes("chatty")) process.stdout.write("listening on stdio!\n");

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line) as {
    id?: number;
    method: string;
    params?: { name: string; arguments: Record<string, unknown> };
  };
  if (method === "server/discover" && moods.includes("shy")) process.exit(2);
  else if (method === "initialize")
    say({
      id,
      result: {
        protocolVersion: "2025-06-18",
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: "odd", version: "1" },
      },
    });
  else if (method === "tools/list") say({ id, result: { tools: tools() } });
  else if (method === "tools/call") call(id, params?.name ?? "", params?.arguments ?? {});
  else if (method === "notifications/cancelled") process.stderr.write("cancelled\n");
  else if (id !== undefined) say({ id, error: { code: -32601, message: "Method not found" } });
}

function call(id: number | undefined, name: string, args: Record<string, unknown>): void {
  if (name === "die") process.exit(3);
  if (name === "hang") return;
  if (name === "pid") return say({ id, result: text(String(process.pid)) });
  if (name === "env") return say({ id, result: text(JSON.stringify(process.env)) });
  if (name === "slow") {
    setTimeout(() => say({ id, result: text("at last") }), Number(args["ms"] ?? 100));
    return;
  }
  say({
    id,
    result: {
      ...text(name),
      structuredContent: { args },
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "forged" }, kept: 1 },
    },
  });
}
