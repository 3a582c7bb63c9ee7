/** What is spent on rented machines, what may be, and what it could cost at worst. */
import { v } from "convex/values";
import type { QueryCtx } from "./_generated/server.js";
import { dayOf, monthOf, nearly, nearlyText, vCaps, vSpendView, worstAt, type SpendView } from "./model/budget.ts";
import { vProviderId } from "./model/gpu.ts";
import { NikaError } from "./model/error.ts";
import type { MachineState } from "./model/machine.ts";
import { readSettings, totalOf, writeSettings } from "./turn/budget.ts";
import { ownerMutation, ownerQuery, systemQuery } from "./turn/guard.ts";
import { readTally } from "./turn/tally.ts";

/** What is past its deadline is in one of these within a minute. */
const lateStates = ["ending", "verifying", "quarantined", "leakSuspect"] as const satisfies readonly MachineState[];
const lateMax = 100;
const dayMs = 24 * 3_600_000;
const daysShown = 30;
const microsMax = 1e12;

export const get = ownerQuery({
  args: { now: v.number() },
  returns: vSpendView,
  handler: async (ctx, { now }) => spendAt(ctx, now),
});

export const view = systemQuery({
  args: { now: v.number() },
  returns: vSpendView,
  handler: async (ctx, { now }) => spendAt(ctx, now),
});

async function spendAt(ctx: QueryCtx, now: number): Promise<SpendView> {
  const { caps, usdPerEur, rateAt, stoppedAt } = await readSettings(ctx);
  const live = await totalOf(ctx, "live");
  const today = await totalOf(ctx, `all/day/${dayOf(now)}`);
  const month = await totalOf(ctx, `all/month/${monthOf(now)}`);
  const machines = (await readTally(ctx.db, "machines"))("open");
  let suspects = 0;
  const late = [];
  for (const state of lateStates) {
    const rows = await ctx.db
      .query("machines")
      .withIndex("by_state", (q) => q.eq("life.state", state))
      .take(lateMax);
    if (state === "leakSuspect") suspects = rows.length;
    late.push(...rows.map(({ deadline, counted }) => ({ deadline, hourly: counted.hourly })));
  }
  const orphanWorst = worstAt({ worst: live.worst ?? 0, hourly: live.hourly }, late, now);
  const [first, last] = [dayOf(now - (daysShown - 1) * dayMs), dayOf(now)];
  const sums = await ctx.db
    .query("gpuTotals")
    .withIndex("by_name", (q) => q.gte("name", `all/day/${first}`).lte("name", `all/day/${last}`))
    .order("desc")
    .take(daysShown);
  const days = sums.flatMap(({ name, spent }) => (spent > 0 ? [{ day: name.slice("all/day/".length), spent }] : []));
  const shares = [
    { what: "day" as const, share: nearly(today, caps.day) },
    { what: "month" as const, share: nearly(month, caps.month) },
  ].flatMap(({ what, share }) => (share === undefined ? [] : [{ what, share }]));
  return {
    hourly: live.hourly,
    reserved: live.reserved,
    spentToday: today.spent,
    orphanWorst,
    spentMonth: month.spent,
    machines,
    suspects,
    caps,
    usdPerEur,
    ...(rateAt !== undefined && { rateAt }),
    warnings: shares.map(({ what, share }) => nearlyText(`a ${what}`, share)),
    nearly: shares,
    ...(stoppedAt !== undefined && { stoppedAt }),
    days,
  };
}

/** What may be spent, in micro-EUR; what is not given stays. Holds for what is rented from now on. */
export const setCaps = ownerMutation({
  args: {
    caps: vCaps.partial(),
    /** Providers that are to have no cap of their own any more. */
    uncapped: v.optional(v.array(vProviderId)),
  },
  returns: v.null(),
  handler: async (turn, { caps: changes, uncapped = [] }) => {
    const { caps } = await readSettings(turn);
    const { providerDay = {}, ...amounts } = changes;
    if (
      [...Object.values(amounts), ...Object.values(providerDay)].some(
        (one) => !Number.isInteger(one) || one < 0 || one > microsMax,
      )
    )
      throw new NikaError("invalid", "A cap is an amount from 0 to a million euros.");
    const all = Object.entries({ ...caps.providerDay, ...changes.providerDay });
    const kept = Object.fromEntries(all.filter(([name]) => !uncapped.some((id) => id === name)));
    await writeSettings(turn, { caps: { ...caps, ...changes, providerDay: kept } });
    return null;
  },
});

/** How many dollars a euro is worth, as the owner says; with it amounts are compared. */
export const setRate = ownerMutation({
  args: { usdPerEur: v.number() },
  returns: v.null(),
  handler: async (turn, { usdPerEur }) => {
    if (!(usdPerEur >= 0.2 && usdPerEur <= 5)) throw new NikaError("invalid", "A euro is worth 0.2 to 5 dollars.");
    await writeSettings(turn, { usdPerEur, rateAt: turn.now });
    return null;
  },
});
