/** Asks the Nika that runs to do something about MCP servers. */
import type { Client } from "./client.ts";
import { interrupted } from "./live.ts";

/** A server that is started for the first time, under the slowest sandbox, and then listed. */
const replyMs = 120_000;

export async function askMcp<T>(client: Client, verb: string, body: object, signal?: AbortSignal): Promise<T> {
  const authorization = `Bearer ${await client.token()}`;
  const options = { authorization, body, timeoutMs: replyMs, ...(signal && { signal }) };
  return client.post<T>(`/nika/mcp/${verb}`, options).catch((error: unknown) => {
    throw signal?.aborted === true ? interrupted() : error;
  });
}
