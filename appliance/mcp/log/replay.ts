/**
 * An MCP server that answers from the log: the same tools under the same names, and for the same arguments what was recorded, in the order in which it
 * was. It asks nobody, so what an agent does over it is the same each time.
 */
import type { Readable, Writable } from "node:stream";
import { ProtocolError, Server, type Result } from "@modelcontextprotocol/server";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { canonicalJson, type ToolDefinition } from "../../../convex/model/tool.ts";
import { invalidParams, refused } from "../answer.ts";
import { sha256 } from "../pool/kept.ts";
import { ledgerDir } from "./ledgerDir.ts";
import { isRecord } from "../meta.ts";
import { readLog } from "./readLog.ts";
import { readRecording, recordingsDir } from "./recordings.ts";

/** In `_meta` of each answer. */
const recordedKey = "nika/recorded";

type Kept = { readonly name: string; readonly seq: number; readonly at: number };
export type Replay = {
  /** By public name, as they were when they were last recorded. */
  readonly tools: ReadonlyMap<string, ToolDefinition>;
  /** What was recorded for these arguments, then what came after it; the last goes on. Fails as the protocol has it for a tool nobody recorded. */
  answer(name: string, args: Readonly<Record<string, unknown>>): Result;
};

/** Reads the log once. */
export async function openReplay(dataDir: string, server?: string): Promise<Replay> {
  const dir = recordingsDir(dataDir);
  const kept = new Map<string, Kept[]>();
  const tools = new Map<string, ToolDefinition>();
  for await (const { type, seq, at, ...event } of readLog(ledgerDir(dataDir))) {
    if (type !== "call" || typeof event["kept"] !== "string" || (server !== undefined && event["server"] !== server)) continue;
    const recording = readRecording(dir, event["kept"]);
    if (!recording) continue;
    tools.set(recording.as, recording.tool);
    const key = `${recording.as} ${String(event["argsSha256"])}`;
    const answers = kept.get(key) ?? [];
    answers.push({ name: event["kept"], seq, at });
    kept.set(key, answers);
  }
  const given = new Map<string, number>();
  return {
    tools,
    answer(name, args) {
      if (!tools.has(name)) throw new ProtocolError(invalidParams, `Nothing was recorded of a tool named ${name}.`);
      const key = `${name} ${sha256(canonicalJson(args))}`;
      const answers = kept.get(key) ?? [];
      const turn = given.get(key) ?? 0;
      given.set(key, turn + 1);
      const one = answers[Math.min(turn, answers.length - 1)];
      const recording = one && readRecording(dir, one.name);
      if (!one || !recording)
        return refused(
          `missing: Nothing was recorded of ${name} with these arguments; this server only answers from recordings.`,
        );
      const meta = isRecord(recording.result["_meta"]) ? recording.result["_meta"] : {};
      return { ...recording.result, _meta: { ...meta, [recordedKey]: { at: new Date(one.at).toISOString(), event: one.seq } } };
    },
  };
}

export type ReplayOptions = {
  readonly dataDir: string;
  readonly version: string;
  readonly server: string | undefined;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly signal: AbortSignal;
};

/** Speaks over the pipe until the other side closes it, or until `signal`. */
export async function serveReplay({ dataDir, version, server: only, stdin, stdout, signal }: ReplayOptions): Promise<void> {
  const replay = await openReplay(dataDir, only);
  const toServer = (): Server => {
    const server = new Server(
      { name: "nika-replay", version, title: "Nika, from recordings" },
      {
        capabilities: { tools: {} },
        instructions:
          "Everything here is recorded: answers are what was once given to the same arguments, and nothing is done by calling a tool.",
      },
    );
    server.setRequestHandler("tools/list", () => ({
      tools: [...replay.tools].map(([name, tool]) => recorded(name, tool)) as never,
    }));
    server.setRequestHandler("tools/call", ({ params: { name, arguments: args = {} } }) => replay.answer(name, args) as never);
    return server;
  };
  const handle = serveStdio(toServer, { transport: new StdioServerTransport(stdin, stdout), onerror: () => undefined });
  await new Promise<void>((resolve) => {
    for (const event of ["end", "close"] as const) stdin.once(event, () => resolve());
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  await handle.close();
}

const recorded = (name: string, tool: ToolDefinition): object => ({
  ...tool,
  name,
  description: `(recorded) ${tool.description ?? tool.title ?? ""}`.trimEnd(),
});
