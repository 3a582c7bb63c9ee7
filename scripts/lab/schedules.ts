/** Looking at what schedules led to, through the door that Convex's own command line uses for tables. */
import { makeFunctionReference } from "convex/server";
import type { Doc, TableNames } from "../../convex/_generated/dataModel.js";
import type { State } from "../../functions/ports/state.ts";

type Page<T extends TableNames> = { readonly page: readonly Doc<T>[]; readonly isDone: boolean; readonly continueCursor: string };

const rowsPerPage = 500;
/** Seldom: each look reads every row, and what is measured goes on meanwhile. */
const lookEveryMs = 1_000;
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

/** When that many times at `at` were begun: told at once, or by their jobs; waits until all of them are done. */
export async function startsOf(state: State, at: number, count: number): Promise<number[]> {
  const begun = Date.now();
  for (;;) {
    await new Promise((done) => setTimeout(done, lookEveryMs));
    const ended = (await rowsOf(state, "occurrences")).filter((one) => one.at === at && one.state === "done");
    if (ended.length >= count) {
      const jobs = new Map((await rowsOf(state, "jobs")).map(({ _id, startedAt }) => [_id, startedAt]));
      return ended.map(({ jobId, endedAt }) => (jobId === undefined ? endedAt : jobs.get(jobId)) ?? Number.NaN);
    }
    if (Date.now() - begun > patienceMs) throw new Error(`only ${ended.length} of ${count} were done after two minutes`);
  }
}
