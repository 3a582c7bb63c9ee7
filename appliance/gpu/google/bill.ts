/**
 * What Google Cloud billed by day. No interface tells that but an export of the account's bill to BigQuery, which the owner turns on once: its
 * table is asked in BigQuery's own language.
 */
import type { BillLine, BillRead, BillTerms } from "../../../convex/model/bill.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { failureOf } from "../http.ts";
import { isRecord, recordsIn, textOf } from "../record.ts";
import { labels } from "./compute.ts";
import type { Rest } from "./rest.ts";

const common = { lagMs: 2 * 86_400_000, tells: "mark", hasManaged: true } as const;
export const googleBill: BillTerms = {
  ...common,
  grain: "day",
  says: "Google Cloud's bill is read from its export to BigQuery, by day and label.",
};
export const googleBillUnread: BillTerms = {
  ...common,
  grain: "none",
  says: "Google Cloud tells its bill only through an export to BigQuery: turn that on, and name its table as billingTable.",
};

/** Project, data set and table. Fails with `ProviderError` for what is no name of one. */
export function tableOf(text: string): string {
  if (!/^[a-z][a-z0-9-]{1,28}[a-z0-9]\.\w{1,1024}\.[\w-]{1,1024}$/.test(text))
    throw new ProviderError(failureOf("invalid", "account", "billingTable is PROJECT.DATASET.TABLE, as BigQuery shows it"));
  return text;
}

const waitMs = 50_000;

export async function readBill(
  rest: Rest,
  { base, table }: { readonly base: string; readonly table: string },
  periods: readonly string[],
  signal: AbortSignal,
): Promise<BillRead> {
  const [first = "", last = ""] = [periods[0], periods.at(-1)];
  // Refunds and discounts are taken off, as on the invoice. What was used is billed by the time of its use.
  const query = `SELECT FORMAT_DATE('%F', DATE(usage_start_time)) AS day,
    IFNULL((SELECT value FROM UNNEST(labels) WHERE key = '${labels.install}' LIMIT 1), '') AS install, currency,
    CAST(SUM(cost) + SUM(IFNULL((SELECT SUM(amount) FROM UNNEST(credits)), 0)) AS STRING) AS cost
    FROM \`${table}\` WHERE DATE(usage_start_time) BETWEEN @first AND @last GROUP BY day, install, currency ORDER BY day`;
  const dayOf = (name: string, value: string): object => ({
    name,
    parameterType: { type: "DATE" },
    parameterValue: { value },
  });
  const { body } = await rest.ask(
    {
      method: "POST",
      path: `${base}/queries`,
      json: {
        query,
        useLegacySql: false,
        timeoutMs: waitMs,
        parameterMode: "NAMED",
        queryParameters: [dayOf("first", first), dayOf("last", last)],
      },
    },
    signal,
  );
  // A few rows a day: one page holds them.
  if (!isRecord(body) || body["jobComplete"] !== true || textOf(body["pageToken"]) !== "")
    throw new ProviderError(failureOf("transient", "provider", "BigQuery was not done in time"));
  const names = isRecord(body["schema"]) ? (recordsIn(body["schema"], "fields") ?? []).map(({ name }) => textOf(name)) : [];
  return { lines: (recordsIn(body, "rows") ?? []).map((row) => lineOf(names, row)) };
}

/** Cells are texts in the order of the columns. */
function lineOf(names: readonly string[], row: Record<string, unknown>): BillLine {
  const cells = new Map((recordsIn(row, "f") ?? []).map(({ v }, index) => [names[index] ?? "", textOf(v)]));
  const installId = cells.get("install") ?? "";
  return {
    period: cells.get("day") ?? "",
    micros: Math.round(Number(cells.get("cost") ?? 0) * 1_000_000),
    currency: cells.get("currency") ?? "",
    ...(installId !== "" && { installId }),
  };
}
