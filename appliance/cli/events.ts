/** `nika events`: whether the log of tool calls and decisions is whole. */
import { join } from "node:path";
import { api } from "../../convex/_generated/api.js";
import { isNikaError } from "../../convex/model/error.ts";
import type { Config } from "../config.ts";
import { verifyLedger } from "../mcp/log/ledger.ts";
import { ledgerDir } from "../mcp/log/ledgerDir.ts";
import type { Head } from "../mcp/log/signedHead.ts";
import type { Client } from "./client.ts";
import { askMcp } from "./mcpClient.ts";
import type { Terminal } from "./terminal.ts";
import { countOf } from "./text.ts";

type Options = { readonly json: boolean; readonly open: () => Promise<Client>; readonly written?: Head };

/** Whether all of it is as it was written. Where Nika runs, the control plane says how far the log must reach. */
export async function runVerify(
  terminal: Terminal,
  { dataDir }: Pick<Config, "dataDir">,
  { json, open, written }: Options,
): Promise<boolean> {
  let known: Head | undefined;
  let hasAsked = true;
  try {
    known = (await (await (await open()).http()).query(api.servers.head, {})) ?? undefined;
  } catch (error) {
    if (!isNikaError(error) || error.code !== "unavailable") throw error;
    hasAsked = false;
  }
  const heads = [...(known ? [known] : []), ...(written ? [written] : [])];
  const { events, head, signed, problem } = await verifyLedger(ledgerDir(dataDir), heads, join(dataDir, "keys"));
  const isWhole = problem === undefined;
  if (json) {
    terminal.json({ events, head: head.hash, isWhole, ...(signed && { signed }), ...(problem !== undefined && { problem }) });
    return isWhole;
  }
  terminal.line(problem ?? `${countOf(events, "event")}, each following from the one before it.`);
  if (!isWhole) terminal.note("If you know why, as after a backup was put back, say so with `nika events accept`.");
  if (signed)
    terminal.line(`Signed at ${new Date(signed.at).toLocaleString()} with key ${signed.key}: ${signed.seq}:${signed.hash}`);
  if (signed) terminal.note("Keep that somewhere else, and compare with `nika events verify --head NUMBER:HASH`.");
  if (!hasAsked) terminal.note("Nika does not run, so the control plane could not say how far the log must reach.");
  return isWhole;
}

export async function runAcceptLog(terminal: Terminal, client: Client, { json }: { readonly json: boolean }): Promise<void> {
  await askMcp(client, "acceptLog", {});
  if (json) return terminal.json({ isAccepted: true });
  terminal.line("Written down: the log counts from here on as whole.");
}
