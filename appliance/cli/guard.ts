/** `nika mcp seen` and `nika mcp upgrade`. */
import { NikaError } from "../../convex/model/error.ts";
import type { Seen } from "../mcp/guard/taints.ts";
import type { Client } from "./client.ts";
import { digestChars, mustMatch, serverNamed } from "./mcp.ts";
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

/** `accepted`: the digest of what was looked at; `isRefused`: the old one is kept; neither: it is shown. */
type UpgradeOption = JsonOption & { readonly name: string; readonly accepted: string | undefined; readonly isRefused: boolean };

export async function runUpgrade(
  terminal: Terminal,
  client: Client,
  { name, accepted, isRefused, json }: UpgradeOption,
): Promise<void> {
  const { upgrade } = await serverNamed(client, name);
  if (isRefused || accepted !== undefined) {
    const seen = upgrade?.sha256;
    if (seen === undefined) throw new NikaError("missing", `No new form of "${name}" waits for your word.`);
    if (accepted !== undefined) mustMatch(accepted, seen, `nika mcp upgrade ${name}`);
    await askMcp(client, "upgrade", { name, isAccepted: !isRefused, ...(!isRefused && { seen }) });
    if (json) return terminal.json({ name, isAccepted: !isRefused });
    return terminal.line(isRefused ? `${name} goes on in its old form.` : `The new form of ${name} is in use.`);
  }
  if (json) return terminal.json(upgrade ?? { calls: 0, lines: [] });
  if (!upgrade) return terminal.line(`No new form of ${name} waits for your word.`);
  if (upgrade.isTrying === true)
    return terminal.line(`A new form of ${name} is being compared with the one that goes on; look again in a moment.`);
  terminal.line(`${countOf(upgrade.calls, "earlier call")} made again; the new form of ${name} answers otherwise:`);
  for (const line of upgrade.lines) terminal.line(`  ${printable(line)}`);
  terminal.line(
    `Let it take the old one's place: nika mcp upgrade ${name} --accept ${(upgrade.sha256 ?? "").slice(0, digestChars)}`,
  );
  terminal.line(`Keep the old one:                nika mcp upgrade ${name} --refuse`);
}
