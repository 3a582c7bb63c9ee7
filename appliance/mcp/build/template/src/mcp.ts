/** The tools as an MCP server. One factory serves both eras of the protocol: with a handshake, and stateless. */
import { fromJsonSchema, McpServer } from "@modelcontextprotocol/server";
import type { Caller } from "./call.ts";
import type { Manifest } from "./manifest.ts";
import type { Arguments, Tool } from "./tool.ts";

export function toServer(
  { name, title, version, about, tools: served }: Manifest,
  tools: readonly Tool[],
  call: Caller,
): McpServer {
  const server = new McpServer(
    { name, title, version },
    { ...(about !== "" && { instructions: about }), capabilities: { tools: {} } },
  );
  for (const tool of tools) {
    if (!served.has(tool.name)) continue;
    server.registerTool(
      tool.name,
      {
        title: tool.title,
        description: tool.description,
        inputSchema: fromJsonSchema<Arguments>(tool.input),
        annotations: {
          readOnlyHint: tool.class === "read",
          destructiveHint: tool.class === "destructive",
          idempotentHint: ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"].includes(tool.request.method),
          openWorldHint: true,
        },
      },
      (args, context) => call(tool, args, context.mcpReq.signal),
    );
  }
  return server;
}
