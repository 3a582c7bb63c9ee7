/** `nika events`: the log of tool calls and decisions. */
import { api } from "../../convex/_generated/api.js";
import { isNikaError } from "../../convex/model/error.ts";
import type { Config } from "../config.ts";
import { verifyLedger, type Head } from "../mcp/ledger.ts";
import { ledgerDir } from "../mcp/ledgerDir.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { countOf } from "./text.ts";

type Options = { readonly json: boolean; readonly open: () => Promise<Client> };

/** Whether all of it is as it was written. Where Nika runs, the control plane says how far the log must reach. */
export async function runVerify(
  terminal: Terminal,
  { dataDir }: Pick<Config, "dataDir">,
  { json, open }: Options,
): Promise<boolean> {
  let known: Head | undefined;
  let hasAsked = true;
  try {
    known = (await (await (await open()).http()).query(api.servers.head, {})) ?? undefined;
  } catch (error) {
    if (!isNikaError(error) || error.code !== "unavailable") throw error;
    hasAsked = false;
  }
  const { events, head, problem } = await verifyLedger(ledgerDir(dataDir), known);
  if (json) terminal.json({ events, head: head.hash, isWhole: problem === undefined, ...(problem !== undefined && { problem }) });
  else {
    terminal.line(problem ?? `${countOf(events, "event")}, each following from the one before it.`);
    if (!hasAsked) terminal.note("Nika does not run, so nobody could say whether the end is missing.");
  }
  return problem === undefined;
}
