/** What may be spent, and what is: pure sums. Everything is compared in micro-EUR at the owner's rate; what is billed is never converted. */
import { v, type Infer } from "convex/values";
import { quantised } from "./choose.ts";
import type { Capability, Money, Offer, ProviderId } from "./gpu.ts";

/** Each in micro-EUR. Reserved beforehand, so that none can be passed by two at once. */
export const vCaps = v.object({
  /** All machines of one job together. */
  job: v.number(),
  day: v.number(),
  month: v.number(),
  /** Of all that runs, by the hour. */
  hourly: v.number(),
  /** Of any one agent, by day. */
  agentDay: v.number(),
  /** Of a provider, by day, where it is to be less than `day`. */
  providerDay: v.optional(v.record(v.string(), v.number())),
});
export type Caps = Infer<typeof vCaps>;
const euro = 1_000_000;
/** Until the owner says otherwise: enough for a fine-tune, and nothing that hurts. */
export const defaultCaps: Caps = { job: 10 * euro, day: 20 * euro, month: 100 * euro, hourly: 10 * euro, agentDay: 5 * euro };

/** A price older than this is none. */
export const priceAgeMaxMs = 24 * 3_600_000;
/** Kept in hand beyond the end of a machine's time: for as long as killers take, and what is begun is paid. */
export const killMs = 15 * 60_000;
/** Disks, addresses and traffic are billed beside a machine, and the price of the machine does not hold them. */
const besideShare = 0.05;
const warnShare = 0.8;

/** A rate of 1 counts dollars as euros, which is on the safe side as long as a euro is worth more. */
export const defaultUsdPerEur = 1;
export const toMicroEuro = ({ micros, currency }: Money, usdPerEur: number): number =>
  currency === "EUR" ? micros : Math.ceil(micros / usdPerEur);

type Priced = Pick<Offer, "hourly" | "hourlyMax" | "quantumMs" | "minimumMs">;

/** The most that a machine can cost that lives so long, with what killers take, at the highest that its price may climb to. In its own currency. */
export function reserveOf({ hourly, hourlyMax = hourly, ...offer }: Priced, lifeMs: number): Money {
  const dearest = { ...offer, hourly: hourlyMax.micros > hourly.micros ? hourlyMax : hourly };
  return { micros: Math.ceil(quantised(dearest, lifeMs + killMs) * (1 + besideShare)), currency: hourly.currency };
}

/** What it came to, as priced. */
export function costOf(offer: Pick<Offer, "hourly" | "quantumMs" | "minimumMs">, lifeMs: number): Money {
  return { micros: lifeMs <= 0 ? 0 : quantised(offer, lifeMs), currency: offer.hourly.currency };
}

/** A machine that deletes itself does so within this after its deadline, with nobody left but itself. */
const selfEndMs = 2 * 60_000;
/** One that does not is found by nobody; a day stands for "until somebody looks". */
const nobodyMs = 24 * 3_600_000;
const hourMs = 3_600_000;
const worstFrom = Date.UTC(2026, 0, 1);

/** How long it lives after its deadline, should Nika be gone. */
const afterDeadline = ({ hasTtl, deletesItself, shutdownEndsBill }: Capability): number =>
  hasTtl || deletesItself !== "no" || shutdownEndsBill === "yes" ? selfEndMs : nobodyMs;

/**
 * What it would cost from 1 January 2026 until it ends by itself. Whole micro-EUR, so that sums of it are exact; less what that much an hour
 * costs until now it is what it still costs, and a sum over all machines needs none of them.
 */
export function worstSince({ deadline, capability }: { deadline: number; capability: Capability }, hourly: number): number {
  return Math.ceil((hourly * (deadline + afterDeadline(capability) - worstFrom)) / hourMs);
}

/** The sum of these as of now. `late`: machines past their deadline, whose time up to now is not to be taken off again. */
export function worstAt(
  sum: { readonly worst: number; readonly hourly: number },
  late: readonly { readonly deadline: number; readonly hourly: number }[],
  now: number,
): number {
  const until = (sum.hourly * (now - worstFrom)) / hourMs;
  const again = late.reduce((all, { deadline, hourly }) => all + (hourly * Math.max(0, now - deadline)) / hourMs, 0);
  return Math.max(0, Math.ceil(sum.worst - until + again));
}

/** A sum under one heading: what is set aside for what runs, and what is spent. Micro-EUR. */
export type Total = { readonly reserved: number; readonly spent: number };
const committed = ({ reserved, spent }: Total): number => reserved + spent;

export type Sheet = {
  readonly day: Total;
  readonly month: Total;
  readonly providerDay: Total;
  readonly agentDay: Total;
  readonly job: Total;
  /** Of all that runs now. */
  readonly hourly: number;
};

export type Wish = {
  readonly provider: ProviderId;
  /** Micro-EUR. */
  readonly reserve: number;
  readonly hourly: number;
  readonly isAgent: boolean;
  /** The job's own, if it has one. */
  readonly jobMax?: number | undefined;
};

/** The first cap that this would pass, as the owner reads it; `lasts` when waiting cannot help. Undefined when it may be. */
export function findRefusal(
  caps: Caps,
  sheet: Sheet,
  wish: Wish,
): { readonly says: string; readonly lasts: boolean } | undefined {
  const { reserve, provider } = wish;
  const over = (total: Total, cap: number): boolean => committed(total) + reserve > cap;
  const says = (what: string, cap: number, total: Total): string =>
    `${what} may cost ${inEuro(cap)}; ${inEuro(committed(total))} is spent or set aside, and this may need ${inEuro(reserve)}. See \`nika gpu spend\`.`;
  const jobMax = Math.min(caps.job, wish.jobMax ?? Number.POSITIVE_INFINITY);
  if (over(sheet.job, jobMax)) return { says: says("This job", jobMax, sheet.job), lasts: sheet.job.reserved === 0 };
  const day = caps.providerDay?.[provider];
  if (day !== undefined && over(sheet.providerDay, day))
    return { says: says(`A day at ${provider}`, day, sheet.providerDay), lasts: false };
  if (wish.isAgent && over(sheet.agentDay, caps.agentDay))
    return { says: says("A day of one agent", caps.agentDay, sheet.agentDay), lasts: false };
  if (over(sheet.day, caps.day)) return { says: says("A day", caps.day, sheet.day), lasts: false };
  if (over(sheet.month, caps.month)) return { says: says("A month", caps.month, sheet.month), lasts: false };
  if (sheet.hourly + wish.hourly > caps.hourly)
    return {
      says: `All machines together may cost ${inEuro(caps.hourly)} an hour; ${inEuro(sheet.hourly)} runs, and this would add ${inEuro(wish.hourly)}.`,
      lasts: false,
    };
  return undefined;
}

/** The share of a cap that is used up, when the owner is to be told of it. */
export function nearly(total: Total, cap: number): number | undefined {
  const share = committed(total) / cap;
  return share >= warnShare ? share : undefined;
}

export const nearlyText = (what: string, share: number): string =>
  `${Math.round(share * 100)} % of what ${what} may cost is spent or set aside.`;

const inEuro = (micros: number): string => `€${(micros / euro).toFixed(2)}`;

export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
export const monthOf = (at: number): string => dayOf(at).slice(0, 7);

/** Four numbers that are always shown, in micro-EUR, and what is allowed. */
export const vSpendView = v.object({
  hourly: v.number(),
  reserved: v.number(),
  spentToday: v.number(),
  /** Should Nika be gone from now on, and only what is on the machines or at the vendor ends them. */
  orphanWorst: v.number(),
  spentMonth: v.number(),
  machines: v.number(),
  suspects: v.number(),
  caps: vCaps,
  usdPerEur: v.number(),
  rateAt: v.optional(v.number()),
  /** What of the day's or month's cap is nearly used up. */
  warnings: v.array(v.string()),
  /** The same for pages, which have words of their own: the share of it, from 0 to 1 and beyond. */
  nearly: v.array(v.object({ what: v.union(v.literal("day"), v.literal("month")), share: v.number() })),
  /** Set while nothing new is rented, since the owner stopped all. */
  stoppedAt: v.optional(v.number()),
  /** Per day, newest first, a month back. */
  days: v.array(v.object({ day: v.string(), spent: v.number() })),
});
export type SpendView = Infer<typeof vSpendView>;
