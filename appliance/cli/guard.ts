/** `nika mcp seen` and `nika mcp upgrade`. */
import { NikaError } from "../../convex/model/error.ts";
import type { ServerFacts } from "../../convex/model/serverView.ts";
import type { Seen } from "../mcp/guard/taints.ts";
import type { Client } from "./client.ts";
import { askMcp } from "./mcpClient.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, printable, spanOf } from "./text.ts";

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

type UpgradeOption = JsonOption & { readonly name: string; readonly isAccepted: boolean | undefined };

export async function runUpgrade(terminal: Terminal, client: Client, { name, isAccepted, json }: UpgradeOption): Promise<void> {
  if (isAccepted !== undefined) {
    await askMcp(client, "upgrade", { name, isAccepted });
    if (json) return terminal.json({ name, isAccepted });
    return terminal.line(isAccepted ? `The new form of ${name} is in use.` : `${name} goes on in its old form.`);
  }
  const { servers } = await askMcp<{ servers: ServerFacts[] }>(client, "list", {});
  const server = servers.find((one) => one.name === name);
  if (!server) throw new NikaError("missing", `There is no MCP server named "${name}"; see \`nika mcp list\`.`);
  const { upgrade } = server;
  if (json) return terminal.json(upgrade ?? { calls: 0, lines: [] });
  if (!upgrade) return terminal.line(`No new form of ${name} waits for your word.`);
  terminal.line(`${countOf(upgrade.calls, "earlier call")} made again; the new form of ${name} answers otherwise:`);
  for (const line of upgrade.lines) terminal.line(`  ${printable(line)}`);
  terminal.note(`\`nika mcp upgrade ${name} --accept\` lets it take the old one's place, --refuse keeps the old one.`);
}
