/** `nika mcp seen` and `nika mcp upgrade`. */
import type { Seen } from "../mcp/guard/taints.ts";
import type { Client } from "./client.ts";
import { askMcp } from "./mcpClient.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, spanOf } from "./text.ts";

type JsonOption = { readonly json: boolean };

export async function runSeen(
  terminal: Terminal,
  client: Client,
  { isOver, json }: JsonOption & { readonly isOver: boolean },
): Promise<void> {
  const { seen } = await askMcp<{ seen: Seen[] }>(client, "seen", { isOver });
  if (json) return terminal.json(seen);
  if (isOver) return terminal.line("All conversations are taken to be over; they have seen nothing.");
  if (seen.length === 0) return terminal.line("No conversation has read anything that is private or from outside.");
  for (const { by, at, taint } of seen) {
    const mixed = taint.private.length > 0 && taint.untrusted.length > 0;
    terminal.line(
      `${oneLine(by)}, ${spanOf(Date.now() - at)} ago${mixed ? terminal.style("red", " asks before anything leaves") : ""}`,
    );
    if (taint.private.length > 0) terminal.line(`  private: ${taint.private.map(oneLine).join(", ")}`);
    if (taint.untrusted.length > 0) terminal.line(`  from outside: ${taint.untrusted.map(oneLine).join(", ")}`);
  }
}
