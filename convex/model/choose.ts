/**
 * Which offer to take: what must hold first, then the lowest cost that is to be expected in all. A pure rule, the same in the appliance
 * and in the simulator. Amounts are micro-units of one currency, so that they can be compared; what is billed is never converted.
 */
import type { Form, Money, Need, Offer, ProviderId } from "./gpu.ts";
import { findBlock, placeOf, type Block, type Odds } from "./posterior.ts";

/** What is to run, as far as it bears on where. */
export type Errand = {
  readonly need: Need;
  /** Ways in which it can be run; any when absent. */
  readonly forms?: readonly Form[];
  /** Expected from asking to first work where nothing was learned, and expected work, ms. */
  readonly bootMs: number;
  readonly runMs: number;
  /** Share of the work that is done twice for other reasons than preemption; 0 when absent. */
  readonly reworkShare?: number;
  /** Work lost each time that the machine is taken away, ms: half the time between two checkpoints, and what one takes to load. */
  readonly lostMs?: number;
  /** Kept on the machine, and sent from it at the end. */
  readonly diskMb?: number;
  readonly egressMb?: number;
  /** What must come to the machine first, and the region where it lies already. */
  readonly data?: { readonly mb: number; readonly provider?: ProviderId; readonly region?: string };
  /** What an hour of waiting is worth. */
  readonly delayHourly?: Money;
  /** No more may be expected to be spent. */
  readonly costMax?: Money;
};

export type Terms = {
  readonly now: number;
  readonly oddsOf: (offer: Offer) => Odds;
  readonly blocks?: readonly Block[];
  /** For comparing only. */
  readonly usdPerEur: number;
  /** How the owner weighs providers: 0.9 counts its costs as 10 % less. 1 when absent. */
  readonly weights?: Partial<Readonly<Record<ProviderId, number>>>;
  /** Those that were seen to end a machine by themselves; they win ties. */
  readonly hasProvenTtl?: (provider: ProviderId) => boolean;
};

/** Parts of what is to be expected, in micro-units of `currency`. */
export type Expected = {
  readonly rent: number;
  readonly disk: number;
  readonly egress: number;
  readonly waiting: number;
  readonly losses: number;
  readonly data: number;
  readonly total: number;
  readonly currency: "EUR";
};

export type Choice = { readonly offer: Offer; readonly expected: Expected; readonly odds: Odds };
export type Refusal = { readonly offer: Offer; readonly because: Reason };
export type Reason = "eu" | "gpu" | "cpus" | "memory" | "disk" | "spot" | "form" | "stock" | "blocked" | "priceAge" | "costMax";

export type Chosen = {
  /** Best first; the others are where to go when it fails. */
  readonly choices: readonly Choice[];
  readonly refused: readonly Refusal[];
  /** One sentence for the owner: what, why, and what else there was. */
  readonly says: string;
};

const hourMs = 3_600_000;
const monthHours = 730;
const dayMs = 24 * hourMs;
/** Vendors and drivers keep some of a card's memory to themselves. */
const gpuMemoryTolerance = 0.93;
/** Another offer is asked at once, but telling that one has nothing takes this long, and so does a boot that comes to nothing. */
const retryMs = 3 * 60_000;
/** Closer than this is a tie. */
const tieShare = 0.02;

/**
 * List prices of what comes beside a machine, in micro-EUR a GB: disks a month, and sending out of the vendor's network. For ranking only:
 * what is billed comes from the vendor. As of November 2026.
 */
const beside: Readonly<Record<ProviderId, { readonly diskMonthly: number; readonly egress: number }>> = {
  local: { diskMonthly: 0, egress: 0 },
  ssh: { diskMonthly: 0, egress: 0 },
  runpod: { diskMonthly: 92_000, egress: 0 },
  aws: { diskMonthly: 74_000, egress: 83_000 },
  google: { diskMonthly: 92_000, egress: 110_000 },
  azure: { diskMonthly: 120_000, egress: 80_000 },
  scaleway: { diskMonthly: 86_000, egress: 0 },
  contabo: { diskMonthly: 0, egress: 0 },
};
/** Moving data to a machine takes time that is paid for: a third of a gigabit a second. */
const mbPerSecond = 40;

/** What a machine costs that lives so long: what is begun of a quantum is paid, and the minimum in any case. Micro-units of its currency. */
export function quantised(
  { hourly, quantumMs, minimumMs }: Pick<Offer, "hourly" | "quantumMs" | "minimumMs">,
  lifeMs: number,
): number {
  const quantum = Math.max(1, quantumMs);
  const billedMs = Math.max(minimumMs, Math.ceil(Math.max(0, lifeMs) / quantum) * quantum);
  return Math.ceil((hourly.micros * billedMs) / hourMs);
}

/** Ranks what can be had. Nothing here spends or asks anything. */
export function choose(errand: Errand, offers: readonly Offer[], terms: Terms): Chosen {
  const choices: Choice[] = [];
  const refused: Refusal[] = [];
  for (const offer of offers) {
    const odds = terms.oddsOf(offer);
    const because = hardReason(offer, errand, terms);
    if (because !== undefined) {
      refused.push({ offer, because });
      continue;
    }
    const expected = expectedCost(offer, errand, odds, terms);
    if (errand.costMax && expected.total - expected.waiting > inEuro(errand.costMax, terms))
      refused.push({ offer, because: "costMax" });
    else choices.push({ offer, expected, odds });
  }
  const ranked = choices.toSorted((a, b) => compare(a, b, terms));
  return { choices: ranked, refused, says: explain(ranked, refused) };
}

/** What taking this offer is expected to come to in all. */
export function expectedCost(offer: Offer, errand: Errand, odds: Odds, terms: Pick<Terms, "usdPerEur">): Expected {
  const { runMs, reworkShare = 0, lostMs = 0, diskMb = 0, egressMb = 0, data } = errand;
  const bootMs = odds.bootMs ?? errand.bootMs;
  const isThere = data?.provider === offer.provider && (data.region === undefined || data.region === offer.region);
  const carriedMb = data && !isThere ? data.mb : 0;
  const carryMs = (carriedMb / mbPerSecond) * 1000;
  const workMs = runMs * (1 + reworkShare);
  const lifeMs = bootMs + workMs;
  const price = (ms: number): number => toEuro(offer.hourly.currency, quantised(offer, ms), terms);
  const rate = toEuro(offer.hourly.currency, offer.hourly.micros, terms) / hourMs;
  const delayRate = errand.delayHourly ? inEuro(errand.delayHourly, terms) / hourMs : 0;
  const { diskMonthly, egress } = beside[offer.provider];
  const rent = price(lifeMs);
  const disk = (diskMb / 1000) * diskMonthly * (lifeMs / hourMs / monthHours);
  const sent = (egressMb / 1000) * egress;
  const waiting = delayRate * (bootMs + odds.noCapacity * retryMs);
  const losses = odds.lostHourly * (workMs / hourMs) * (rate + delayRate) * (lostMs + bootMs);
  // What leaves another vendor's network pays there, and the machine waits for it.
  const source = data?.provider === undefined ? 0 : (carriedMb / 1000) * beside[data.provider].egress;
  const gravity = source + carryMs * (rate + delayRate);
  const parts = { rent, disk, egress: sent, waiting, losses, data: gravity };
  const total = Object.values(parts).reduce((sum, part) => sum + part, 0);
  return { ...parts, total, currency: "EUR" };
}

function hardReason(offer: Offer, { need, forms, diskMb = 0 }: Errand, { now, blocks = [] }: Terms): Reason | undefined {
  if (need.isInEu === true && !offer.isInEu) return "eu";
  if (forms && !forms.includes(offer.form)) return "form";
  if (!hasGpu(offer, need)) return "gpu";
  if (offer.cpus < (need.cpus ?? 0)) return "cpus";
  if (offer.memoryMb < (need.memoryMb ?? 0)) return "memory";
  if (offer.diskMb < Math.max(need.diskMb ?? 0, diskMb)) return "disk";
  if (offer.isSpot && need.maySpot !== true) return "spot";
  if (offer.stock === "none") return "stock";
  if (findBlock(offer, blocks, now)) return "blocked";
  if (now - offer.pricedAt > dayMs) return "priceAge";
  return undefined;
}

function hasGpu({ gpu }: Offer, { gpu: wanted }: Need): boolean {
  if (!wanted) return true;
  if (!gpu || gpu.count < wanted.count || gpu.memoryMb < wanted.memoryMb * gpuMemoryTolerance) return false;
  return wanted.names === undefined || wanted.names.includes(gpu.name);
}

function compare(a: Choice, b: Choice, { weights, hasProvenTtl = () => false }: Terms): number {
  const weighed = ({ offer, expected }: Choice): number => expected.total * (weights?.[offer.provider] ?? 1);
  const [left, right] = [bucket(weighed(a)), bucket(weighed(b))];
  if (left !== right) return left - right;
  const ttl = Number(hasProvenTtl(b.offer.provider)) - Number(hasProvenTtl(a.offer.provider));
  if (ttl !== 0) return ttl;
  // The same order for the same offers, whatever order they came in.
  return weighed(a) - weighed(b) || (placeOf(a.offer) < placeOf(b.offer) ? -1 : 1);
}

/** Costs in steps of `tieShare`, so that being a tie is the same for all and sorting is sound. */
const bucket = (micros: number): number => (micros <= 0 ? -1 : Math.round(Math.log(micros) / Math.log1p(tieShare)));

const inEuro = ({ micros, currency }: Money, terms: Pick<Terms, "usdPerEur">): number => toEuro(currency, micros, terms);
const toEuro = (currency: Money["currency"], micros: number, { usdPerEur }: Pick<Terms, "usdPerEur">): number =>
  currency === "EUR" ? micros : micros / usdPerEur;

const reasonWords: Readonly<Record<Reason, string>> = {
  eu: "not in the EU",
  gpu: "without such a GPU",
  cpus: "with too few processors",
  memory: "with too little memory",
  disk: "with too small a disk",
  spot: "may be taken away at any time",
  form: "not let in the way this runs",
  stock: "out of stock",
  blocked: "failed a moment ago",
  priceAge: "with a price older than a day",
  costMax: "too expensive",
};

function explain(choices: readonly Choice[], refused: readonly Refusal[]): string {
  const counts = new Map<Reason, number>();
  for (const { because } of refused) counts.set(because, (counts.get(because) ?? 0) + 1);
  const out = [...counts].map(([reason, count]) => `${count} ${reasonWords[reason]}`).join(", ");
  const left = out === "" ? "" : `; left out: ${out}`;
  const [best, second] = choices;
  if (!best) return refused.length === 0 ? "Nothing of the kind is offered." : `Nothing that is offered will do${left}.`;
  const next = second ? `; next ${nameOf(second)}` : "";
  return `${nameOf(best)}${partsOf(best)}${next}${left}.`;
}

const nameOf = ({ offer, expected }: Choice): string => `${placeOf(offer)} at ${euros(expected.total)} expected`;

function partsOf({ expected, odds }: Choice): string {
  const { rent, waiting, losses, data, disk, egress } = expected;
  const parts = [
    `rent ${euros(rent)}`,
    waiting > 0 && `waiting ${euros(waiting)} with ${Math.round(odds.noCapacity * 100)} % chance of none`,
    losses > 0 && `losses ${euros(losses)}`,
    data > 0 && `bringing data ${euros(data)}`,
    disk + egress > 0 && `disk and sending ${euros(disk + egress)}`,
  ];
  return ` (${parts.filter((part) => part !== false).join(", ")})`;
}

const euros = (micros: number): string => `€${(micros / 1_000_000).toFixed(micros < 100_000 ? 4 : 2)}`;
