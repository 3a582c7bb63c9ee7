/**
 * What a vendor says that it billed, held against what Nika knows to have cost: pure. Days and months are UTC, named "2026-11-21" and "2026-11".
 * Amounts are micro-units of the vendor's currency; those of two currencies are compared only at a rate that the owner set.
 */
import { v, type Infer } from "convex/values";
import { vMoney, vProviderId, type Money } from "./gpu.ts";

/** How a vendor tells what it billed, as its docs say. */
export const vBillTerms = v.object({
  /** The smallest span it tells a sum of; `none`: no program can read its bill, or it would cost more than it tells. */
  grain: v.union(v.literal("day"), v.literal("month"), v.literal("none")),
  /** How long after the end of a day what was used in it may still be missing. */
  lagMs: v.number(),
  /**
   * `things`: each sum names what it is for, and what nobody knows of counts. `mark`: sums bear our mark or are another's. `account`: one sum
   * of all there is.
   */
  tells: v.union(v.literal("things"), v.literal("mark"), v.literal("account")),
  /** Whether what was used by jobs of the vendor's own (form `managed`) is among it, and can be told from others'. */
  hasManaged: v.boolean(),
  /** What asking once costs. */
  costs: v.optional(vMoney),
  /** Where the owner reads it; of `none`, why. One sentence. */
  says: v.string(),
});
export type BillTerms = Infer<typeof vBillTerms>;

/** A sum on the vendor's bill, as the vendor tells it. */
export type BillLine = {
  /** A day, or a month where nothing finer is told. */
  readonly period: string;
  readonly micros: number;
  /** ISO 4217; not every one is ours. */
  readonly currency: string;
  /** The vendor's name of what it is for. */
  readonly id?: string;
  /** Whose mark it bears. */
  readonly installId?: string;
};
export type BillRead = {
  readonly lines: readonly BillLine[];
  /** What was used up to then is in it, where the vendor says so. */
  readonly knownTo?: number;
};

/** What a machine came to, or costs so far, and when. Of one that never was there is none. */
export const vUse = v.object({
  id: v.optional(v.string()),
  isManaged: v.optional(v.boolean()),
  from: v.number(),
  /** Absent: it is there. */
  to: v.optional(v.number()),
  /** Of all its time up to `to`, or to now. */
  cost: vMoney,
});
export type Use = Infer<typeof vUse>;

export const vVerdict = v.union(
  /** It may still grow, and is not too much so far. */
  v.literal("open"),
  v.literal("agrees"),
  /** Less than we know of. */
  v.literal("less"),
  /** More than we know of: the alarm. */
  v.literal("more"),
  v.literal("unclear"),
);
export type Verdict = Infer<typeof vVerdict>;

/** One day or month of a vendor's bill beside our sums. */
export const vBillRow = v.object({
  provider: vProviderId,
  period: v.string(),
  verdict: vVerdict,
  /** What is or may be ours, in the bill's currency, and what we know of in the same. */
  billed: v.number(),
  known: v.number(),
  /** Told to be somebody else's in the same account. */
  others: v.number(),
  currency: v.string(),
  /** What is billed and nobody here knows of, dearest first. */
  unknown: v.array(v.object({ id: v.string(), micros: v.number() })),
});
export type BillRow = Infer<typeof vBillRow>;

export const vBillView = v.object({
  ...vBillRow.fields,
  readAt: v.number(),
  /** Since when it is too much; `seen` once the owner said that they saw it. */
  alarmAt: v.optional(v.number()),
  seenAt: v.optional(v.number()),
});
export type BillView = Infer<typeof vBillView>;

export const dayMs = 86_400_000;
const hourMs = 3_600_000;
const unknownMax = 5;
/** Of what is known: disks, addresses and traffic are billed beside a machine. */
const driftShare = 0.05;
/** And so much more: a day's rounding and begun quanta; a month has thirty of them, which even out. */
const driftMicros = { day: 250_000, month: 1_000_000 } as const;
/** Read again for so long after its lag: vendors correct. */
const lookBackMs = dayMs;

export const periodOf = (at: number, grain: "day" | "month"): string =>
  new Date(at).toISOString().slice(0, grain === "day" ? 10 : 7);

/** From, and up to and without. Undefined for what is none. */
export function spanOfPeriod(period: string): { readonly from: number; readonly to: number } | undefined {
  const [, year, month, day] = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(period) ?? [];
  if (year === undefined || month === undefined) return undefined;
  if (day !== undefined) {
    const from = Date.UTC(Number(year), Number(month) - 1, Number(day));
    return { from, to: from + dayMs };
  }
  return { from: Date.UTC(Number(year), Number(month) - 1, 1), to: Date.UTC(Number(year), Number(month), 1) };
}

/** Days or months worth asking for now, oldest first: all that may still change, the present one included. */
export function periodsToRead({ grain, lagMs }: Pick<BillTerms, "grain" | "lagMs">, now: number): string[] {
  if (grain === "none") return [];
  const periods = new Set<string>();
  for (let at = now - lagMs - lookBackMs; at < now; at += dayMs) periods.add(periodOf(at, grain));
  return [...periods, periodOf(now, grain)].filter((one, index, all) => all.indexOf(one) === index);
}

/** Its part of that time, by the time it was there. */
export function useWithin({ from, to, cost }: Use, span: { readonly from: number; readonly to: number }, now: number): number {
  const end = to ?? now;
  const lived = end - from;
  // What went at once was paid for all the same: where it began.
  if (lived <= 0) return from >= span.from && from < span.to ? cost.micros : 0;
  const within = Math.min(end, span.to) - Math.max(from, span.from);
  return within <= 0 ? 0 : (cost.micros * within) / lived;
}

export type Comparing = {
  readonly provider: BillRow["provider"];
  readonly period: string;
  readonly terms: BillTerms;
  readonly read: BillRead;
  readonly uses: readonly Use[];
  readonly installId: string;
  /** Names of what the account was seen to hold of somebody else's. */
  readonly foreign: ReadonlySet<string>;
  /** Absent: the owner set none. */
  readonly usdPerEur?: number;
  readonly now: number;
};

/** One period of what was read, held against what is known. Fails for a name that is no period. */
export function compareBill({ provider, period, terms, read, uses, installId, foreign, usdPerEur, now }: Comparing): BillRow {
  const span = spanOfPeriod(period);
  if (!span) throw new Error(`"${period}" is no day and no month.`);
  const lines = read.lines.filter((line) => line.period === period);
  const until = Math.min(span.to, read.knownTo ?? now);
  const told = uses.filter(({ isManaged }) => terms.hasManaged || isManaged !== true);
  const known = told.map((use) => ({ use, micros: useWithin(use, { from: span.from, to: until }, now) }));
  const currency = lines[0]?.currency ?? known.find(({ micros }) => micros > 0)?.use.cost.currency ?? "EUR";
  const ids = new Set(uses.flatMap(({ id }) => (id === undefined ? [] : [id])));
  const whose = (line: BillLine): "ours" | "others" | "unknown" => {
    if (line.installId !== undefined) return isSameInstall(line.installId, installId) ? "ours" : "others";
    if (line.id !== undefined && ids.has(line.id)) return "ours";
    if (line.id !== undefined && foreign.has(line.id)) return "others";
    return terms.tells === "mark" ? "others" : "unknown";
  };
  const sumOf = (which: readonly ReturnType<typeof whose>[]): number =>
    Math.round(lines.reduce((sum, line) => sum + (which.includes(whose(line)) ? line.micros : 0), 0));
  const inBill = known.map(({ use, micros }) => converted({ micros, currency: use.cost.currency }, currency, usdPerEur));
  const unnamed = lines.filter((line) => line.id !== undefined && whose(line) === "unknown" && line.micros > 0);
  const row = {
    provider,
    period,
    billed: sumOf(["ours", "unknown"]),
    known: Math.round(inBill.reduce<number>((sum, micros) => sum + (micros ?? 0), 0)),
    others: sumOf(["others"]),
    currency,
    unknown: unnamed
      .toSorted((a, b) => b.micros - a.micros)
      .slice(0, unknownMax)
      .map(({ id = "", micros }) => ({ id, micros: Math.round(micros) })),
  };
  const isMixed = lines.some((line) => line.currency !== currency);
  if (isMixed || inBill.some((micros, index) => micros === undefined && (known[index]?.micros ?? 0) > 0))
    return { ...row, verdict: "unclear" };
  const most = row.known * driftShare + driftMicros[period.length === 7 ? "month" : "day"];
  if (row.billed > row.known + most) return { ...row, verdict: "more" };
  const isWhole = now >= span.to + terms.lagMs || (read.knownTo ?? 0) >= span.to;
  const isShort = row.billed < row.known - most;
  // Sums that bear no mark of ours although we know of cost: the vendor was not told to keep marks on its bill.
  if (isWhole && isShort && terms.tells === "mark" && row.billed === 0 && row.others > 0) return { ...row, verdict: "unclear" };
  return { ...row, verdict: !isWhole ? "open" : isShort ? "less" : "agrees" };
}

/** Tags hold all of it or its first eight characters. */
const isSameInstall = (mark: string, installId: string): boolean => mark.length >= 8 && installId.startsWith(mark);

function converted({ micros, currency }: Money, to: string, usdPerEur: number | undefined): number | undefined {
  if (currency === to) return micros;
  if (usdPerEur === undefined || (to !== "EUR" && to !== "USD")) return undefined;
  return to === "EUR" ? micros / usdPerEur : micros * usdPerEur;
}

/** Whether it is to be told (again): it is too much, and was not told at this height. `told`: by how much it was too much when it was. */
export function isNews({ verdict, billed, known }: BillRow, told: number | undefined): boolean {
  return verdict === "more" && (told === undefined || billed - known > told * 2);
}

/** For the owner, in English; a page that speaks another language goes by the row. */
export function billText({ provider, period, billed, known, currency, unknown, verdict }: BillRow): string {
  const amount = (micros: number): string => `${(micros / 1_000_000).toFixed(2)} ${currency}`;
  const both = `${provider} billed ${amount(billed)} for ${period}; ${amount(known)} is known here`;
  if (verdict === "more") {
    const names = unknown.map(({ id, micros }) => `${id} (${amount(micros)})`).join(", ");
    return `${both}. Something may run there that Nika does not know of${names === "" ? "" : `: ${names}`}. Look at the vendor's own page.`;
  }
  if (verdict === "unclear") return `${both}, in another currency or without our mark, so they cannot be compared.`;
  return `${both}.`;
}

/** How often a bill is read, and how soon again after it could not be. */
export const billEveryMs = 20 * hourMs;
export const billAgainMs = hourMs;
