/** Money set aside and spent, in the transaction that makes it so: no two can pass a cap together. */
import type { Doc } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import {
  dayOf,
  defaultCaps,
  defaultUsdPerEur,
  findRefusal,
  monthOf,
  nearly,
  nearlyText,
  toMicroEuro,
  worstSince,
  type Caps,
  type Sheet,
  type Total,
} from "../model/budget.ts";
import type { Money, Offer } from "../model/gpu.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";

type Reader = Pick<QueryCtx, "db">;

export type GpuSettings = {
  readonly caps: Caps;
  readonly usdPerEur: number;
  readonly rateAt?: number;
  readonly stoppedAt?: number;
  readonly reapedAt?: number;
  readonly upSince?: number;
  readonly silentFrom?: number;
};

export async function readSettings(ctx: Reader): Promise<GpuSettings> {
  return (await ctx.db.query("gpuSettings").first()) ?? { caps: defaultCaps, usdPerEur: defaultUsdPerEur };
}

/** Undefined takes a field away. */
export async function writeSettings(
  turn: Turn,
  changes: { readonly [K in keyof GpuSettings]?: GpuSettings[K] | undefined },
): Promise<void> {
  const row = await turn.db.query("gpuSettings").first();
  if (row) await turn.db.patch(row._id, changes as Partial<GpuSettings>);
  else {
    const set = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
    await turn.db.insert("gpuSettings", { caps: defaultCaps, usdPerEur: defaultUsdPerEur, ...set });
  }
}

/** The headings under which a machine's money stands; those of the day and month in which it was asked for. */
function headings({ createdAt, offer, by }: Pick<Doc<"machines">, "createdAt" | "offer" | "by">): string[] {
  const day = dayOf(createdAt);
  return [
    "live",
    `all/day/${day}`,
    `all/month/${monthOf(createdAt)}`,
    `provider/${offer.provider}/day/${day}`,
    ...(by === ownerName ? [] : [`agent/${by}/day/${day}`]),
  ];
}
/** Who is no agent. */
export const ownerName = "owner";

const findTotal = (ctx: Reader, name: string): Promise<Doc<"gpuTotals"> | null> =>
  ctx.db
    .query("gpuTotals")
    .withIndex("by_name", (q) => q.eq("name", name))
    .unique();

export async function totalOf(ctx: Reader, name: string): Promise<Total & { readonly hourly: number; readonly worst?: number }> {
  return (await findTotal(ctx, name)) ?? { reserved: 0, spent: 0, hourly: 0 };
}

type Counted = Doc<"machines">["counted"];
export const nothingCounted: Counted = { reserved: 0, hourly: 0, spent: 0 };

/** Makes the sums say `next` of a machine where they said what its row does; whoever calls writes `next` on the row. */
export async function recount(
  turn: Turn,
  machine: Pick<Doc<"machines">, "createdAt" | "offer" | "by" | "counted" | "deadline" | "capability">,
  next: Counted,
): Promise<void> {
  const { counted } = machine;
  const reserved = next.reserved - counted.reserved;
  const spent = next.spent - counted.spent;
  const hourly = next.hourly - counted.hourly;
  if (reserved === 0 && spent === 0 && hourly === 0) return;
  const { caps } = await readSettings(turn);
  const worst = worstSince(machine, next.hourly) - worstSince(machine, counted.hourly);
  for (const name of headings(machine)) {
    const row = await findTotal(turn, name);
    const also: { worst?: number; isWarned?: boolean } = name === "live" ? { worst: (row?.worst ?? 0) + worst } : {};
    const total = { reserved: (row?.reserved ?? 0) + reserved, spent: (row?.spent ?? 0) + spent };
    if (row?.isWarned !== true && (await warn(turn, name, total, caps))) Object.assign(also, { isWarned: true });
    if (row) {
      const { _id } = row;
      await turn.db.patch(_id, {
        reserved: row.reserved + reserved,
        spent: row.spent + spent,
        hourly: row.hourly + hourly,
        ...also,
      });
    } else await turn.db.insert("gpuTotals", { name, reserved, spent, hourly, ...also });
  }
}

/** Of the present day and month, once each: true when the owner was told. */
async function warn(turn: Turn, name: string, total: Total, { day, month }: Caps): Promise<boolean> {
  const [what, cap] =
    name === `all/day/${dayOf(turn.now)}`
      ? ["a day", day]
      : name === `all/month/${monthOf(turn.now)}`
        ? ["a month", month]
        : ["", Number.POSITIVE_INFINITY];
  const share = nearly(total, cap);
  if (share === undefined) return false;
  await record(turn, { type: "budgetWarning", name: what, text: `${nearlyText(what, share)} See \`nika gpu spend\`.` });
  return true;
}

export type Purpose = {
  readonly offer: Offer;
  readonly by: string;
  readonly reserve: Money;
  readonly job?: Doc<"gpuJobs"> | undefined;
};

/** Why it may not be rented now; undefined when it may. */
export async function refusalOf(turn: Turn, { offer, by, reserve, job }: Purpose): Promise<ReturnType<typeof findRefusal>> {
  const { caps, usdPerEur, stoppedAt } = await readSettings(turn);
  if (stoppedAt !== undefined)
    return { says: "Nothing is rented since all machines were ended; `nika gpu resume` lets it go on.", lasts: false };
  const day = dayOf(turn.now);
  const sheet: Sheet = {
    day: await totalOf(turn, `all/day/${day}`),
    month: await totalOf(turn, `all/month/${monthOf(turn.now)}`),
    providerDay: await totalOf(turn, `provider/${offer.provider}/day/${day}`),
    agentDay: await totalOf(turn, `agent/${by}/day/${day}`),
    job: job ? await jobTotal(turn, job) : { reserved: 0, spent: 0 },
    hourly: (await totalOf(turn, "live")).hourly,
  };
  const costMax = job?.ask.costMax;
  return findRefusal(caps, sheet, {
    provider: offer.provider,
    reserve: toMicroEuro(reserve, usdPerEur),
    hourly: toMicroEuro(offer.hourly, usdPerEur),
    isAgent: by !== ownerName,
    ...(costMax && { jobMax: toMicroEuro(costMax, usdPerEur) }),
  });
}

/** What a job's machines have set aside and spent, micro-EUR. */
export async function jobTotal(ctx: Reader, job: Doc<"gpuJobs">): Promise<Total> {
  const machines = await ctx.db
    .query("machines")
    .withIndex("by_gpuJob", (q) => q.eq("owner.gpuJobId", job._id))
    .collect();
  const sum = (of: (machine: Doc<"machines">) => number): number => machines.reduce((all, one) => all + of(one), 0);
  return { reserved: sum(({ counted }) => counted.reserved), spent: sum(({ counted }) => counted.spent) };
}
