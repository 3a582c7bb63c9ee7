/** What AWS billed by day, from Cost Explorer: a cent for each question, so only where the owner allowed it. */
import type { BillLine, BillRead, BillTerms } from "../../../convex/model/bill.ts";
import { isRecord, recordsIn, textOf } from "../record.ts";
import { tagKeys } from "./ec2.ts";
import { costExplorer, type AwsJson } from "./json.ts";

const common = { lagMs: 2 * 86_400_000, tells: "mark", hasManaged: true } as const;
export const awsBill: BillTerms = {
  ...common,
  grain: "day",
  costs: { micros: 10_000, currency: "USD" },
  says: "AWS tells its bill by day and tag, once nika:install is activated as a cost allocation tag; see Cost Explorer in its console.",
};
export const awsBillUnread: BillTerms = {
  ...common,
  grain: "none",
  says: "Each question to AWS's Cost Explorer costs a cent, so it is asked only where costExplorer says yes.",
};

/** Days are of UTC. The end is without. */
export async function readBill(json: AwsJson, periods: readonly string[], signal: AbortSignal): Promise<BillRead> {
  const [first = "", last = ""] = [periods[0], periods.at(-1)];
  const lines: BillLine[] = [];
  let next: string | undefined;
  do {
    const answer = await json.ask(
      [costExplorer, "us-east-1", "GetCostAndUsage"],
      {
        TimePeriod: { Start: first, End: new Date(Date.parse(last) + 86_400_000).toISOString().slice(0, 10) },
        Granularity: "DAILY",
        Metrics: ["UnblendedCost"],
        GroupBy: [{ Type: "TAG", Key: tagKeys.install }],
        ...(next === undefined ? {} : { NextPageToken: next }),
      },
      signal,
    );
    for (const day of recordsIn(answer, "ResultsByTime") ?? []) {
      const time = isRecord(day["TimePeriod"]) ? day["TimePeriod"] : {};
      for (const group of recordsIn(day, "Groups") ?? []) lines.push(lineOf(textOf(time["Start"]), group));
    }
    next = isRecord(answer) ? textOf(answer["NextPageToken"]) || undefined : undefined;
  } while (next !== undefined);
  return { lines };
}

/** A group's key is the tag's name, a dollar sign, and its value; nothing after it for what bears no such tag. */
function lineOf(period: string, group: Record<string, unknown>): BillLine {
  const [key] = Array.isArray(group["Keys"]) ? group["Keys"] : [];
  const installId = textOf(key).slice(tagKeys.install.length + 1);
  const metrics = isRecord(group["Metrics"]) ? group["Metrics"] : {};
  const cost = isRecord(metrics["UnblendedCost"]) ? metrics["UnblendedCost"] : {};
  return {
    period,
    micros: Math.round(Number(textOf(cost["Amount"]) || 0) * 1_000_000),
    currency: textOf(cost["Unit"]),
    ...(installId !== "" && { installId }),
  };
}
