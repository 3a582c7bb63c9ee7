/** What RunPod billed, by pod or endpoint and day; what nobody here knows of is named. */
import type { BillLine, BillRead, BillTerms } from "../../../convex/model/bill.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { failureOf, type Http } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";
import { requestFailure } from "./failures.ts";

export const runpodBill: BillTerms = {
  grain: "day",
  // Its docs name no delay: days are held against ours a quarter of a day after their end.
  lagMs: 6 * 3_600_000,
  tells: "things",
  hasManaged: true,
  says: "RunPod tells its bill by day and pod; see Billing in its console.",
};

export async function readBill(http: Http, periods: readonly string[], signal: AbortSignal): Promise<BillRead> {
  const [first = "", last = ""] = [periods[0], periods.at(-1)];
  const end = new Date(Date.parse(last) + 86_400_000).toISOString();
  const range = `startTime=${new Date(first).toISOString()}&endTime=${end}&bucketSize=day`;
  const lines: BillLine[] = [];
  for (const [what, name] of [
    ["pods", "podId"],
    ["serverless", "serverlessId"],
  ] as const) {
    const { body } = await http.ask({ method: "GET", path: `/v2/billing/${what}?${range}` }, signal, requestFailure);
    const records = isRecord(body) ? recordsIn(body, "records") : undefined;
    if (!records) throw new ProviderError(failureOf("transient", "provider", "RunPod answered with something else than a bill"));
    for (const record of records)
      lines.push({
        period: textOf(record["startTime"]).slice(0, 10),
        micros: Math.round(numberOf(record["totalAmount"]) * 1_000_000),
        currency: "USD",
        id: textOf(record[name]),
      });
  }
  return { lines };
}
