/** `nika gpu bills`: what vendors say that they billed, beside what is known here. */
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import { billText, type BillView, type Verdict } from "../../convex/model/bill.ts";
import { NikaError } from "../../convex/model/error.ts";
import { providers } from "../../convex/model/gpu.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, spanOf, table } from "./text.ts";

type Http = Awaited<ReturnType<Client["http"]>>;
type Bills = FunctionReturnType<typeof api.gpuBills.list>;
const micros = 1_000_000;
const verdictWords: Readonly<Record<Verdict, string>> = {
  open: "not all of it is told yet",
  agrees: "as known",
  less: "less than known",
  more: "MORE THAN KNOWN",
  unclear: "cannot be compared",
};

const isLoud = ({ alarmAt, seenAt }: BillView): boolean => alarmAt !== undefined && seenAt === undefined;
const newestFirst = (a: BillView, b: BillView): number =>
  b.period.localeCompare(a.period) || a.provider.localeCompare(b.provider);

/** A line for each account, and every alarm that nobody has seen yet. */
export async function tellBills(terminal: Terminal, http: Http): Promise<void> {
  const { reads, rows } = await http.query(api.gpuBills.list, {});
  for (const { provider, terms, failure } of reads) {
    const ofIt = rows.filter((row) => row.provider === provider).toSorted(newestFirst);
    const row = ofIt.find(({ verdict }) => verdict !== "open") ?? ofIt[0];
    if (failure !== undefined) terminal.line(`The bill of ${provider} could not be read: ${oneLine(failure)}`);
    else if (terms?.grain === "none") terminal.line(`${provider}: ${oneLine(terms.says)}`);
    else if (row) terminal.line(`Bill: ${oneLine(billText(row))}`);
    else terminal.line(`Bill: ${provider} billed nothing lately, and nothing is known.`);
  }
  tellAlarms(terminal, rows);
}

function tellAlarms(terminal: Terminal, rows: readonly BillView[]): void {
  const loud = rows.filter(isLoud);
  for (const row of loud) terminal.line(terminal.style("red", oneLine(billText(row))));
  const [first] = loud;
  if (first) terminal.line(`\`nika gpu bills --seen ${first.provider}\` says that you saw it.`);
}

export type BillFlags = { readonly ask?: true; readonly seen?: string };

export async function runGpuBills(
  terminal: Terminal,
  client: Client,
  { flags, json }: { readonly flags: BillFlags; readonly json: boolean },
): Promise<void> {
  const http = await client.http();
  if (flags.seen !== undefined) {
    const provider = providers.find((id) => id === flags.seen);
    if (!provider) throw new NikaError("invalid", `"${flags.seen}" is no provider; there are ${providers.join(", ")}.`);
    const count = await http.mutation(api.gpuBills.acknowledge, { provider });
    return terminal.line(count === 0 ? `Nothing of ${provider} was to be seen.` : "Noted; what grows beyond it is told again.");
  }
  if (flags.ask) {
    const count = await http.mutation(api.gpuBills.ask, {});
    return terminal.line(`${count === 1 ? "1 bill is" : `${count} bills are`} being read; \`nika gpu bills\` shows them.`);
  }
  const bills = await http.query(api.gpuBills.list, {});
  if (json) return terminal.json(bills);
  tellAll(terminal, bills);
}

function tellAll(terminal: Terminal, { reads, rows }: Bills): void {
  if (reads.length === 0)
    terminal.line("No bill was read yet: none of the providers that are set up sends one, or it is not a day since.");
  for (const { provider, at, terms, failure } of reads) {
    const says = failure === undefined ? (terms?.says ?? "") : `It could not be read: ${failure}`;
    terminal.line(`${provider}, ${spanOf(Date.now() - at)} ago. ${oneLine(says)}`);
  }
  const amount = (value: number, currency: string): string => `${(value / micros).toFixed(2)} ${currency}`;
  const shown = rows
    .toSorted(newestFirst)
    .map(({ provider, period, billed, known, others, currency, verdict }) => [
      provider,
      period,
      amount(billed, currency),
      `${amount(known, currency)} known`,
      verdictWords[verdict],
      others > 0 ? `${amount(others, currency)} of others` : "",
    ]);
  if (shown.length > 0) terminal.line("");
  for (const line of table(shown, { width: terminal.width, give: [4] })) terminal.line(line);
  tellAlarms(terminal, rows);
}
