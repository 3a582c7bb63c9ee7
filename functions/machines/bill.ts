/** Holds a vendor's bill against what is known to have been spent there, day by day: a machine that nobody knows of shows on it. */
import { internal } from "../../convex/_generated/api.js";
import { compareBill, periodsToRead, spanOfPeriod, type BillRow, type Use } from "../../convex/model/bill.ts";
import type { ProviderId } from "../../convex/model/gpu.ts";
import { defineFunction } from "../define.ts";
import type { Provider } from "../ports/gpu.ts";
import type { State } from "../ports/state.ts";
import { failureOf } from "./create.ts";

type Comparing = {
  readonly state: State;
  readonly installId: string;
  readonly now: number;
  readonly signal: AbortSignal;
};

/** All periods that may still change. Empty for a vendor that tells no bill. */
export async function billRows(provider: Provider, { state, installId, now, signal }: Comparing): Promise<BillRow[]> {
  const { id, billTerms: terms } = provider;
  if (!terms || !provider.bill) return [];
  const periods = periodsToRead(terms, now);
  const read = await provider.bill(periods, signal);
  const from = Math.min(...periods.map((period) => spanOfPeriod(period)?.from ?? now));
  const uses = await usesOf(state, id, from, now);
  const { foreign, ...rate } = await state.query(internal.gpuBills.outlook, { provider: id });
  const known = { provider: id, terms, read, uses, installId, foreign: new Set(foreign), ...rate, now };
  return periods.map((period) => compareBill({ ...known, period })).filter(isWorthNoting);
}

const isWorthNoting = ({ billed, known, others }: BillRow): boolean => billed !== 0 || known !== 0 || others !== 0;

async function usesOf(state: State, provider: ProviderId, from: number, now: number): Promise<Use[]> {
  const all: Use[] = [];
  let cursor: string | null = null;
  do {
    const page: { uses: Use[]; cursor: string | null } = await state.query(internal.gpuBills.uses, {
      provider,
      from,
      now,
      cursor,
    });
    all.push(...page.uses);
    ({ cursor } = page);
  } while (cursor !== null);
  return all;
}

export const compareMachineBill = defineFunction({
  kind: "machines.bill",
  needs: ["state", "providers", "clock"],
  run: async ({ args: { provider: id }, signal }, { state, providers, clock }) => {
    if (!providers) return { type: "failed", code: "unavailable", message: "This worker rents nothing.", retry: false };
    try {
      const provider = await providers.open(id);
      const { billTerms: terms } = provider;
      const rows = await billRows(provider, { state, installId: providers.installId, now: clock.now(), signal });
      await state.mutation(internal.gpuBills.record, { provider: id, rows, ...(terms && { terms }) });
    } catch (error) {
      signal.throwIfAborted();
      await state.mutation(internal.gpuBills.record, { provider: id, rows: [], failure: failureOf(error, "transient").says });
    }
    return { type: "done" };
  },
});
