/** What Scaleway billed in a project, by month at the finest, with how far its count has come. */
import type { BillLine, BillRead, BillTerms } from "../../../convex/model/bill.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { failureOf, type Http } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf, timeOf } from "../record.ts";
import { scalewayFailure } from "./failures.ts";
import type { ScalewayCredentials } from "./sdk.ts";

export const scalewayBill: BillTerms = {
  grain: "month",
  // It says itself how far it has come; a month is closed some days later.
  lagMs: 2 * 86_400_000,
  tells: "account",
  hasManaged: true,
  says: "Scaleway tells its bill by month and project; see Billing in its console.",
};

const pageSize = 100;

export async function readBill(
  http: Http,
  { secretKey, projectId }: ScalewayCredentials,
  periods: readonly string[],
  signal: AbortSignal,
): Promise<BillRead> {
  const lines: BillLine[] = [];
  let knownTo: number | undefined;
  const headers = { "x-auth-token": secretKey };
  for (const period of periods)
    for (let page = 1, left = true; left; page += 1) {
      const path = `/billing/v2beta1/consumptions?project_id=${projectId}&billing_period=${period}&page=${page}&page_size=${pageSize}`;
      const { body } = await http.ask({ method: "GET", path, headers }, signal, scalewayFailure);
      const entries = isRecord(body) ? recordsIn(body, "consumptions") : undefined;
      if (!isRecord(body) || !entries)
        throw new ProviderError(failureOf("transient", "provider", "Scaleway answered with something else than a bill"));
      for (const { value } of entries) {
        const { currency_code: currency, units, nanos } = isRecord(value) ? value : {};
        // Sums are units and billionths of them.
        const micros = numberOf(units) * 1e6 + Math.round(numberOf(nanos) / 1e3);
        lines.push({ period, micros, currency: textOf(currency) });
      }
      knownTo = timeOf(body["updated_at"]) ?? knownTo;
      left = page * pageSize < numberOf(body["total_count"]) && entries.length > 0;
    }
  return { lines, ...(knownTo !== undefined && { knownTo }) };
}
