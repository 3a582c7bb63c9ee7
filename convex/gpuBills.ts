/** Vendors' bills held against what Nika knows to have spent, so that a machine nobody knows of is told. The rule: model/bill.ts. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc } from "./_generated/dataModel.js";
import {
  billAgainMs,
  billEveryMs,
  billText,
  isNews,
  vBillRow,
  vBillTerms,
  vBillView,
  vUse,
  type BillRow,
  type BillView,
  type Use,
} from "./model/bill.ts";
import { costOf } from "./model/budget.ts";
import { NikaError } from "./model/error.ts";
import { vProviderId, type ProviderId } from "./model/gpu.ts";
import { readSettings } from "./turn/budget.ts";
import { enqueue } from "./turn/enqueue.ts";
import { record as tell } from "./turn/event.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";

const listedMax = 100;
const accountsMax = 50;
const pageMax = 200;
const keptMs = 400 * 86_400_000;
const sweptMax = 20;
/** A machine made so long before the time that is looked at may still have been there in it: a month is the most that is bought at once. */
const livesMsMax = 32 * 86_400_000;

/** How each vendor tells its bill, when it was last read, and what came of it, newest first. */
export const list = ownerQuery({
  args: {},
  returns: v.object({
    reads: v.array(
      v.object({
        provider: vProviderId,
        at: v.number(),
        readAt: v.optional(v.number()),
        terms: v.optional(vBillTerms),
        failure: v.optional(v.string()),
      }),
    ),
    rows: v.array(vBillView),
  }),
  handler: async (ctx) => {
    const reads = await ctx.db.query("gpuBillReads").take(accountsMax);
    const rows = await ctx.db.query("gpuBills").withIndex("by_period").order("desc").take(listedMax);
    // However old: an alarm stays until it was seen.
    const alarms = await ctx.db
      .query("gpuBills")
      .withIndex("by_alarmAt", (q) => q.gte("alarmAt", 0))
      .order("desc")
      .take(listedMax);
    const all = new Map([...rows, ...alarms.filter(isLoud)].map((row) => [row._id, row]));
    return {
      reads: reads.map(({ _id, _creationTime, ...read }) => read),
      rows: [...all.values()].map(toView),
    };
  },
});

const toView = ({ _id, _creationTime, toldMicros: _toldMicros, ...row }: Doc<"gpuBills">): BillView => row;
const isLoud = ({ alarmAt, seenAt }: Pick<BillView, "alarmAt" | "seenAt">): boolean =>
  alarmAt !== undefined && seenAt === undefined;

/** What is billed too much and was not seen, for agents. */
export const alarms = systemQuery({
  args: {},
  returns: v.array(vBillRow),
  handler: async (ctx) => {
    const rows = await ctx.db
      .query("gpuBills")
      .withIndex("by_alarmAt", (q) => q.gte("alarmAt", 0))
      .order("desc")
      .take(listedMax);
    return rows.filter(isLoud).map(({ _id, _creationTime, readAt: _r, alarmAt: _a, seenAt: _s, toldMicros: _t, ...row }) => row);
  },
});

/** The owner has seen what is billed too much at a provider; what grows beyond that is told again. */
export const acknowledge = ownerMutation({
  args: { provider: vProviderId },
  returns: v.number(),
  handler: async (turn, { provider }) => {
    const rows = await turn.db
      .query("gpuBills")
      .withIndex("by_alarmAt", (q) => q.gte("alarmAt", 0))
      .collect();
    const mine = rows.filter((row) => row.provider === provider && isLoud(row));
    for (const { _id } of mine) await turn.db.patch(_id, { seenAt: turn.now });
    return mine.length;
  },
});

/** Reads all bills now, whenever they were read last. How many accounts that are. */
export const ask = ownerMutation({
  args: {},
  returns: v.number(),
  handler: async (turn) => {
    const accounts = await rented(turn);
    for (const provider of accounts) await plan(turn, provider);
    if (accounts.length === 0)
      throw new NikaError("missing", "No provider that sends bills is set up; `nika gpu connect` says which there are.");
    return accounts.length;
  },
});

/** The daily clock; what could not be read is asked for again in an hour. */
export const due = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    for (const provider of await rented(turn)) {
      const read = await findRead(turn, provider);
      const age = turn.now - (read?.at ?? 0);
      if (age >= (read?.failure === undefined ? billEveryMs : billAgainMs)) await plan(turn, provider);
    }
    const old = await turn.db
      .query("gpuBills")
      .withIndex("by_period", (q) => q.lt("period", new Date(turn.now - keptMs).toISOString().slice(0, 10)))
      .take(sweptMax);
    for (const { _id } of old) await turn.db.delete(_id);
    if (old.length === sweptMax) await turn.scheduler.runAfter(0, internal.gpuBills.due, {});
    return null;
  },
});

/** Accounts that are looked through are those that are set up. */
async function rented(turn: Turn): Promise<ProviderId[]> {
  const accounts = await turn.db.query("gpuSweeps").take(accountsMax);
  return accounts.map(({ provider }) => provider).filter((id) => id !== "local" && id !== "ssh");
}

const plan = (turn: Turn, provider: ProviderId): Promise<unknown> =>
  enqueue(turn, { kind: "machines.bill", args: { provider }, label: provider, uniqueKey: `bill/${provider}` });

const findRead = (turn: Turn, provider: ProviderId): Promise<Doc<"gpuBillReads"> | null> =>
  turn.db
    .query("gpuBillReads")
    .withIndex("by_provider", (q) => q.eq("provider", provider))
    .unique();

// For functions/machines/bill.ts.

/** What machines of a provider came to that were there at some time from `from` on, a page at a time: `cursor` of the last page. */
export const uses = systemQuery({
  args: { provider: vProviderId, from: v.number(), now: v.number(), cursor: v.union(v.string(), v.null()) },
  returns: v.object({ uses: v.array(vUse), cursor: v.union(v.string(), v.null()) }),
  handler: async (ctx, { provider, from, now, cursor }) => {
    const page = await ctx.db
      .query("machines")
      .withIndex("by_createdAt", (q) => q.eq("offer.provider", provider).gte("createdAt", from - livesMsMax))
      .paginate({ cursor, numItems: pageMax });
    const found = page.page.flatMap((machine) => useOf(machine, now));
    return {
      uses: found.filter(({ to }) => to === undefined || to >= from),
      cursor: page.isDone ? null : page.continueCursor,
    };
  },
});

/** One that was never made cost nothing. */
function useOf({ life, observed, createdAt, cost, offer }: Doc<"machines">, now: number): Use[] {
  const id = life.ref?.id;
  if (id === undefined && observed === undefined) return [];
  const from = Math.max(createdAt, observed?.createdAt ?? createdAt);
  const shown = observed?.hourly;
  const isDearer = shown?.currency === offer.hourly.currency && shown.micros > offer.hourly.micros;
  const priced = isDearer ? { ...offer, hourly: shown } : offer;
  const to = life.state === "gone" ? Math.max(from, life.cleanAt ?? life.goneAt ?? now) : undefined;
  return [
    {
      ...(id !== undefined && { id }),
      ...(offer.form === "managed" && { isManaged: true }),
      from,
      ...(to !== undefined && { to }),
      cost: cost ?? costOf(priced, (to ?? now) - from),
    },
  ];
}

/** By what bills are compared. */
export const outlook = systemQuery({
  args: { provider: vProviderId },
  returns: v.object({ foreign: v.array(v.string()), usdPerEur: v.optional(v.number()) }),
  handler: async (ctx, { provider }) => {
    const account = await ctx.db
      .query("gpuSweeps")
      .withIndex("by_provider", (q) => q.eq("provider", provider))
      .unique();
    const { usdPerEur, rateAt } = await readSettings(ctx);
    return {
      foreign: (account?.foreign ?? []).map(({ id }) => id),
      // What counts as one until the owner says otherwise would make two currencies differ by a tenth.
      ...(rateAt !== undefined && { usdPerEur }),
    };
  },
});

/** What reading a bill came to; what is too much is told, once at each height. */
export const record = systemMutation({
  args: {
    provider: vProviderId,
    terms: v.optional(vBillTerms),
    rows: v.array(vBillRow),
    failure: v.optional(v.string()),
  },
  returns: v.null(),
  handler: async (turn, { provider, terms, rows, failure }) => {
    for (const row of rows) await keep(turn, row);
    const before = await findRead(turn, provider);
    const isRead = failure === undefined && terms?.grain !== "none";
    const next = { at: turn.now, ...(terms && { terms }), ...(isRead && { readAt: turn.now }), failure };
    if (before) await turn.db.patch(before._id, next);
    else {
      const { failure: said, ...rest } = next;
      await turn.db.insert("gpuBillReads", { provider, ...rest, ...(said !== undefined && { failure: said }) });
    }
    return null;
  },
});

async function keep(turn: Turn, row: BillRow): Promise<void> {
  const before = await turn.db
    .query("gpuBills")
    .withIndex("by_provider", (q) => q.eq("provider", row.provider).eq("period", row.period))
    .unique();
  const isTold = isNews(row, before?.toldMicros);
  const { alarmAt, seenAt, toldMicros } = before ?? {};
  const isStill = row.verdict === "more" && !isTold && alarmAt !== undefined && toldMicros !== undefined;
  const next = {
    ...row,
    readAt: turn.now,
    ...(isTold && { alarmAt: turn.now, toldMicros: row.billed - row.known }),
    ...(isStill && { alarmAt, toldMicros, ...(seenAt !== undefined && { seenAt }) }),
  };
  if (before) await turn.db.replace(before._id, next);
  else await turn.db.insert("gpuBills", next);
  if (isTold) await tell(turn, { type: "billTooHigh", name: row.provider, text: billText(row) });
}
