/** `nika data`: the control plane's tables as they are stored, for whoever wants to look behind the screens. */
import { makeFunctionReference } from "convex/server";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import { withLive } from "./live.ts";
import type { Terminal } from "./terminal.ts";
import { fit, oneLine, spanOf, table } from "./text.ts";

type Row = { readonly _id: string; readonly _creationTime: number } & Readonly<Record<string, unknown>>;
type Page<T> = { readonly page: readonly T[] };
type Paging = { readonly paginationOpts: { readonly numItems: number; readonly cursor: null } };

/** Convex's own command line asks the same. */
const tablesQuery = makeFunctionReference<"query", Paging, Page<{ name: string }>>("_system/cli/tables");
const rowsQuery = makeFunctionReference<"query", Paging & { table: string; order: "desc" }, Page<Row>>("_system/cli/tableData");
const sizeQuery = makeFunctionReference<"query", { tableName: string }, number>("_system/cli/tableSize");

const tablesMax = 1000;

export type DataOptions = {
  readonly limit: number;
  readonly json: boolean;
  readonly follow: boolean;
  readonly signal: AbortSignal | undefined;
};

/** Without a table: all of them, with how many rows each has. With one: its rows, newest first. */
export async function runData(terminal: Terminal, client: Client, name: string | undefined, options: DataOptions): Promise<void> {
  const control = await client.adminHttp();
  const { page } = await control.query(tablesQuery, pageOf(tablesMax, {}));
  const names = page.map((one) => one.name).toSorted();
  if (name === undefined) {
    const rows = await Promise.all(
      names.map(async (one) => ({ table: one, rows: await control.query(sizeQuery, { tableName: one }) })),
    );
    if (options.json) return terminal.json(rows);
    if (rows.length === 0) return terminal.line("There are no tables.");
    const { width } = terminal;
    const cells = rows.map((one) => [one.table, String(one.rows)]);
    for (const line of table(cells, { width, give: [0], right: [1] })) terminal.line(line);
    return undefined;
  }
  if (!names.includes(name)) throw new NikaError("missing", `There is no table "${oneLine(name)}"; \`nika data\` lists them.`);
  const args = pageOf(options.limit, { table: name, order: "desc" as const });
  if (options.follow) return followRows(terminal, client, args, options);
  const rows = (await control.query(rowsQuery, args)).page;
  if (options.json) return terminal.json(rows);
  if (rows.length === 0) return terminal.line(`${name} is empty.`);
  for (const line of rowLines(rows, Date.now(), terminal.width)) terminal.line(line);
}

/** Live until Ctrl-C. For a person the screen is drawn anew; piped, each new or changed row is a line. */
async function followRows(
  terminal: Terminal,
  client: Client,
  args: Paging & { readonly table: string; readonly order: "desc" },
  { json, signal }: DataOptions,
): Promise<void> {
  const shown = new Map<string, string>();
  const print = (rows: readonly Row[]): void => {
    for (const row of rows.toReversed()) {
      const line = JSON.stringify(row);
      if (shown.get(row._id) !== line) terminal.line(json ? line : rowLines([row], Date.now(), terminal.width)[0]);
    }
    // Rows that left the list are not remembered, or a busy table would fill the memory.
    shown.clear();
    for (const row of rows) shown.set(row._id, JSON.stringify(row));
  };
  const draw = (rows: readonly Row[]): void => {
    const room = Math.max(1, (process.stdout.rows || 24) - 3);
    const lines = rows.length === 0 ? [`${args.table} is empty.`] : rowLines(rows.slice(0, room), Date.now(), terminal.width);
    terminal.line(`\u001B[H\u001B[J${lines.join("\n")}\n\n${terminal.style("dim", "Ctrl-C to leave")}`);
  };
  const show = terminal.isInteractive && !json ? draw : print;
  const live = withLive<void>(await client.adminLive(), signal, (watch) => void watch(rowsQuery, args, ({ page }) => show(page)));
  await live.catch((error: unknown) => {
    if (!signal?.aborted) throw error;
  });
}

/** Id, age, and the fields as JSON: cut to the width for a person, whole for the next program. */
export function rowLines(rows: readonly Row[], nowMs: number, width: number): string[] {
  const cells = rows.map(({ _id, _creationTime, ...fields }) => [
    _id,
    `${spanOf(Math.max(0, nowMs - _creationTime))} ago`,
    oneLine(JSON.stringify(fields)),
  ]);
  return table(cells, { width, give: [2] }).map((line) => (Number.isFinite(width) ? fit(line, width) : line));
}

function pageOf<T extends object>(numItems: number, rest: T): T & Paging {
  return { ...rest, paginationOpts: { numItems, cursor: null } };
}
