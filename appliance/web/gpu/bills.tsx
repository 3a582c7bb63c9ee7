import { useMutation, useQuery } from "convex/react";
import { useCallback } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { BillRow, BillView } from "../../../convex/model/bill.ts";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";

const micros = 1_000_000;
const currencies = /^[A-Z]{3}$/;

/** Bills may be in any currency, also in none that we know. */
function useAmount(): (amount: number, row: Pick<BillRow, "currency">) => string {
  const { language } = useSpeech();
  return useCallback(
    (amount, { currency }) =>
      currencies.test(currency)
        ? new Intl.NumberFormat(language, { style: "currency", currency }).format(amount / micros)
        : (amount / micros).toFixed(2),
    [language],
  );
}

/** Providers that bill more than is known here, until the owner says that they saw it. */
export function BillAlarms() {
  const { gpu } = useSpeech().words;
  const amount = useAmount();
  const bills = useQuery(api.gpuBills.list);
  const acknowledge = useMutation(api.gpuBills.acknowledge);
  const attempt = useAttempt();
  const loud = bills?.rows.filter(({ alarmAt, seenAt }) => alarmAt !== undefined && seenAt === undefined) ?? [];
  return loud.map((row) => (
    <div key={`${row.provider} ${row.period}`} className="banner" role="alert" data-testid="gpu-bill-alarm">
      <p>
        {gpu.bill.tooHigh(row.provider, amount(row.billed, row), row.period, amount(row.known, row))}{" "}
        {row.unknown.length > 0 &&
          gpu.bill.unknown(row.unknown.map(({ id, micros: one }) => `${id} (${amount(one, row)})`).join(", "))}
      </p>
      <button type="button" className="button small" onClick={() => attempt(() => acknowledge({ provider: row.provider }))}>
        <span className="button-text">{gpu.bill.seen}</span>
      </button>
    </div>
  ));
}

/** In a few words: the newest of a provider's bill that is told in full, else what there is of it. */
export function useBillFact(): (provider: string) => string | undefined {
  const { gpu } = useSpeech().words;
  const amount = useAmount();
  const bills = useQuery(api.gpuBills.list);
  return useCallback(
    (provider) => {
      const read = bills?.reads.find((one) => one.provider === provider);
      if (!read) return undefined;
      if (read.failure !== undefined || read.terms?.grain === "none") return gpu.bill.none;
      const rows = bills?.rows.filter((row) => row.provider === provider).toSorted(newestFirst) ?? [];
      const row = rows.find(({ verdict }) => verdict !== "open") ?? rows[0];
      if (!row) return undefined;
      const [billed, known] = [amount(row.billed, row), amount(row.known, row)];
      if (row.verdict === "agrees") return gpu.bill.agrees(row.period, billed);
      if (row.verdict === "open") return gpu.bill.open(row.period, billed, known);
      return row.verdict === "unclear" ? gpu.bill.unclear(row.period, billed) : gpu.bill.differs(row.period, billed, known);
    },
    [amount, bills, gpu],
  );
}

const newestFirst = (a: BillView, b: BillView): number => b.period.localeCompare(a.period);
