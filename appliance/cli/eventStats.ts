/** `nika events stats`: sums over the log, read from its files, so also while Nika does not run. */
import type { Config } from "../config.ts";
import { ledgerDir } from "../mcp/log/ledgerDir.ts";
import { readStats, type CallSums, type NamedSums } from "../mcp/log/stats.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, sizeOf, spanOf, table } from "./text.ts";

const dayMs = 86_400_000;
const daysShown = 14;
const decisionsShown = 15;

export async function runStats(
  terminal: Terminal,
  { dataDir }: Pick<Config, "dataDir">,
  { days, json }: { readonly days: number; readonly json: boolean },
): Promise<void> {
  const stats = await readStats(ledgerDir(dataDir), Date.now() - days * dayMs);
  if (json) return terminal.json(stats);
  const { all } = stats;
  if (all.calls === 0 && stats.decisions.length === 0) return terminal.line("Nothing was called in that time.");
  const cost = all.cost > 0 ? `, cost ${all.cost}` : "";
  terminal.line(
    `${countOf(all.calls, "call")} in ${countOf(days, "day")}, ${all.errors} failed, ${all.asked} asked first, ${all.warned} with a warning, ${sizeOf(all.resultBytes)} answered${cost}.`,
  );
  section("Tools", stats.tools);
  section("Callers", stats.callers);
  section("Days", stats.days.slice(-daysShown));
  if (stats.decisions.length === 0) return;
  terminal.line("");
  terminal.line(terminal.style("bold", "Decisions"));
  for (const { at, type, server, by } of stats.decisions.slice(0, decisionsShown))
    terminal.line(`  ${new Date(at).toLocaleString()}  ${type} ${oneLine(server)} by ${oneLine(by)}`);

  function section(title: string, rows: readonly NamedSums[]): void {
    if (rows.length === 0) return;
    terminal.line("");
    terminal.line(terminal.style("bold", title));
    for (const line of table(
      rows.map((row) => [`  ${oneLine(row.name)}`, ...cells(row)]),
      { width: terminal.width, give: [0] },
    ))
      terminal.line(line);
  }
}

const cells = ({ calls, errors, msHalf, msMost, resultBytes, cost }: CallSums): string[] => [
  String(calls),
  errors === 0 ? "" : `${errors} failed`,
  `${spanOf(msHalf)}, most ${spanOf(msMost)}`,
  sizeOf(resultBytes),
  cost > 0 ? String(cost) : "",
];
