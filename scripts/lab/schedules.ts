/** Looking at what schedules led to, through the door that Convex's own command line uses for tables. */
import { makeFunctionReference } from "convex/server";
import type { Doc, TableNames } from "../../convex/_generated/dataModel.js";
import type { State } from "../../functions/ports/state.ts";

type Page<T extends TableNames> = { readonly page: readonly Doc<T>[]; readonly isDone: boolean; readonly continueCursor: string };

const rowsPerPage = 500;
const lookEveryMs = 250;
const patienceMs = 120_000;

/** Every row of a table. */
export async function rowsOf<T extends TableNames>(state: State, table: T): Promise<Doc<T>[]> {
  const rowsQuery = makeFunctionReference<"query", Record<string, unknown>, Page<T>>("_system/cli/tableData");
  const rows: Doc<T>[] = [];
  for (let cursor: string | null = null; ;) {
    const { page, isDone, continueCursor }: Page<T> = await state.query(rowsQuery, {
      table,
      order: "asc",
      paginationOpts: { numItems: rowsPerPage, cursor },
    });
    rows.push(...page);
    if (isDone) return rows;
    cursor = continueCursor;
  }
}

/** When the jobs of that many times at `at` were begun; waits until all of them have been. */
export async function startsOf(state: State, at: number, count: number): Promise<number[]> {
  const begun = Date.now();
  for (;;) {
    await new Promise((done) => setTimeout(done, lookEveryMs));
    const ended = (await rowsOf(state, "occurrences")).filter(
      (occurrence) => occurrence.at === at && occurrence.state === "done",
    );
    if (ended.length >= count) break;
    if (Date.now() - begun > patienceMs) throw new Error(`only ${ended.length} of ${count} were done after two minutes`);
  }
  const jobs = await rowsOf(state, "jobs");
  return jobs
    .filter(({ kind, startedAt }) => kind === "schedules.run" && (startedAt ?? 0) >= at)
    .map(({ startedAt }) => startedAt ?? 0);
}
