/**
 * Nika as an MCP server: tools of ours, spoken over HTTP or stdio. One SDK speaks both eras of the protocol, the one with a handshake and
 * the stateless one since 2026-07-28. Each request is answered by a server made for it, so nothing is held between requests.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createMcpHandler, fromJsonSchema, McpServer, type CallToolResult } from "@modelcontextprotocol/server";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { NikaError, toNikaError } from "../../convex/model/error.ts";
import type { Label } from "../../convex/model/taint.ts";

/** JSON Schema 2020-12 of an object. */
export type Schema = {
  readonly type: "object";
  readonly properties: Readonly<Record<string, object>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
};

/** One tool. Its answer is an object, given as structured content and as JSON text; a NikaError is told to the model as it reads. */
export type Tool = {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: Schema;
  /** Whether it changes anything. */
  readonly isReadOnly: boolean;
  /** What its answers are; nothing in particular when absent. See convex/model/taint.ts. */
  readonly labels?: readonly Label[];
  /** Whether what it is given can leave the machine. */
  readonly leadsOut?: boolean;
  readonly call: (args: Readonly<Record<string, unknown>>, signal: AbortSignal) => Promise<object>;
};

export type Served = {
  readonly name: string;
  readonly version: string;
  /** Said to the model once, when it connects. */
  readonly instructions: string;
  readonly tools: readonly Tool[];
  readonly log: (line: string) => void;
};

function toServer({ name, version, instructions, tools, log }: Served): McpServer {
  const server = new McpServer({ name, version }, { instructions, capabilities: { tools: {} } });
  for (const tool of tools) {
    const config = {
      title: tool.title,
      description: tool.description,
      inputSchema: fromJsonSchema<Record<string, unknown>>(tool.input),
      annotations: { readOnlyHint: tool.isReadOnly, openWorldHint: false },
    };
    server.registerTool(tool.name, config, (args, context) => answer(tool, args, { signal: context.mcpReq.signal, log }));
  }
  return server;
}

async function answer(
  tool: Tool,
  args: Record<string, unknown>,
  { signal, log }: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<CallToolResult> {
  try {
    const result = await tool.call(args, signal);
    return { content: [{ type: "text", text: JSON.stringify(result) }], structuredContent: { ...result } };
  } catch (thrown) {
    const error = toNikaError(thrown);
    if (error.code === "bug") log(`mcp ${tool.name}: ${error.cause instanceof Error ? error.cause.stack : String(error.cause)}`);
    return { content: [{ type: "text", text: `${error.code}: ${error.message}` }], isError: true };
  }
}

const bodyBytesMax = 1024 * 1024;
/** A client that sends more than this is hung up on; up to it it is told why. */
const drainedBytesMax = 16 * bodyBytesMax;

/** Answers one HTTP request as Streamable HTTP has it. Who may ask was checked before. */
export async function answerMcp(request: IncomingMessage, response: ServerResponse, served: Served): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const handler = createMcpHandler(() => toServer(served), {
    maxRequestBodySize: bodyBytesMax,
    onerror: (error) => served.log(`mcp: ${error.message}`),
  });
  try {
    const body = await readBody(request);
    if (!body) throw new NikaError("full", `A request has at most ${bodyBytesMax / 1024} KB.`);
    const reply = await handler.fetch(toWebRequest(request, body, gone.signal));
    response.writeHead(reply.status, { ...Object.fromEntries(reply.headers), "cache-control": "no-store" });
    if (reply.body) await pipeline(Readable.fromWeb(reply.body), response);
    else response.end();
  } catch (error) {
    // Hanging up is how a call is cancelled.
    if (!gone.signal.aborted) throw error;
  } finally {
    await handler.close();
  }
}

/** Undefined when it is too large; it is read to its end all the same, or the sender would never see the answer. */
async function readBody(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes <= bodyBytesMax) chunks.push(chunk);
    if (sizeBytes > drainedBytesMax) break;
  }
  return sizeBytes > bodyBytesMax ? undefined : new Uint8Array(Buffer.concat(chunks));
}

function toWebRequest(request: IncomingMessage, body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
  }
  const { method = "GET" } = request;
  const hasBody = method !== "GET" && method !== "HEAD";
  return new Request(new URL(request.url ?? "/", "http://127.0.0.1"), {
    method,
    headers,
    signal,
    ...(hasBody && { body }),
  });
}

export type StdioStreams = { readonly stdin: Readable; readonly stdout: Writable };

/** Speaks over a pipe until the other side closes it, or until `signal`. */
export async function serveOverStdio(served: Served, { stdin, stdout }: StdioStreams, signal: AbortSignal): Promise<void> {
  const transport = new StdioServerTransport(stdin, stdout);
  const handle = serveStdio(() => toServer(served), { transport, onerror: (error) => served.log(`mcp: ${error.message}`) });
  await new Promise<void>((resolve) => {
    for (const event of ["end", "close"] as const) stdin.once(event, () => resolve());
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  await handle.close();
}
