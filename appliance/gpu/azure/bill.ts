/** What Azure billed by day and group of resources, from Cost Management. Each machine is a group that bears its name. */
import type { BillLine, BillRead, BillTerms } from "../../../convex/model/bill.ts";
import { parseMachineName } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { failureOf } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";
import { versions, type Arm } from "./arm.ts";

export const azureBill: BillTerms = {
  grain: "day",
  // It says itself that costs are there after 8 to 24 hours; days go on changing for two more.
  lagMs: 3 * 86_400_000,
  tells: "mark",
  // They stand under the workspace's own group.
  hasManaged: false,
  says: "Azure tells its bill by day and group of resources, without jobs of Machine Learning; see Cost Management in its portal.",
};

export async function readBill(
  arm: Arm,
  subscription: string,
  periods: readonly string[],
  signal: AbortSignal,
): Promise<BillRead> {
  const [first = "", last = ""] = [periods[0], periods.at(-1)];
  const json = {
    type: "ActualCost",
    timeframe: "Custom",
    timePeriod: { from: `${first}T00:00:00Z`, to: `${last}T23:59:59Z` },
    dataset: {
      granularity: "Daily",
      aggregation: { totalCost: { name: "Cost", function: "Sum" } },
      grouping: [{ type: "Dimension", name: "ResourceGroupName" }],
    },
  };
  const lines: BillLine[] = [];
  let next = `${subscription}/providers/Microsoft.CostManagement/query?api-version=${versions.costs}`;
  while (next !== "") {
    const { body } = await arm.ask({ method: "POST", path: next, json }, signal);
    const properties = isRecord(body) && isRecord(body["properties"]) ? body["properties"] : {};
    const columns = recordsIn(properties, "columns")?.map(({ name }) => textOf(name));
    const rows = properties["rows"];
    if (!columns || !Array.isArray(rows))
      throw new ProviderError(failureOf("transient", "provider", "Azure answered with something else than a bill"));
    for (const row of rows as unknown[]) {
      const cells = new Map(columns.map((name, index) => [name, Array.isArray(row) ? (row as unknown[])[index] : undefined]));
      const group = textOf(cells.get("ResourceGroupName")).toLowerCase();
      const installId = parseMachineName(group)?.installId;
      lines.push({
        period: dayOf(cells.get("UsageDate")),
        micros: Math.round(numberOf(cells.get("Cost")) * 1_000_000),
        currency: textOf(cells.get("Currency")),
        id: group,
        ...(installId !== undefined && { installId }),
      });
    }
    next = textOf(properties["nextLink"]);
  }
  return { lines };
}

/** It writes days as numbers: 20261121. */
const dayOf = (value: unknown): string => String(value).replace(/^(\d{4})(\d{2})(\d{2})$/, "$1-$2-$3");
