/** A vendor's bill held against what the control plane knows, end to end: real job, real mutations, an emulated vendor. */
import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import { compareMachineBill } from "../../functions/machines/bill.ts";
import { runpod } from "../../appliance/gpu/runpod/runpod.ts";
import { installId } from "../fakes/gpu/fleet.ts";
import { examIntent } from "../contracts/gpuProvider.ts";
import { openFakeRunpod } from "../fakes/gpu/runpod.ts";
import { openFakeState } from "../fakes/state.ts";

const hourMs = 3_600_000;
const signal = new AbortController().signal;
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 10, 21, 6) });
});
after(() => mock.timers.reset());

async function openAccount(close: (end: () => Promise<void>) => void) {
  const now = (): number => Date.now();
  const state = openFakeState();
  const fake = await openFakeRunpod({ now });
  close(fake.close);
  const provider = runpod({ credentials: async () => ({ apiKey: fake.apiKey }), now, url: fake.url, runUrl: fake.url });
  const providers = { installId, list: () => ["runpod" as const], open: async () => provider };
  await state.mutation(internal.gpuSweeps.setUp, { providers: ["runpod"] });
  const read = async (): Promise<void> => {
    const call = { args: { provider: "runpod" as const }, signal, progress: () => {} };
    await compareMachineBill.run(call as never, { state, providers, clock: { now } });
  };
  const told = async () => (await state.owner.query(api.events.list, {})).filter(({ type }) => type === "billTooHigh");
  const bills = () => state.owner.query(api.gpuBills.list, {});
  return { state, fake, provider, read, told, bills, now };
}

test("a pod that nobody here knows of is told once, by its name, until the owner has seen it, and again when it doubled", async (t) => {
  const { state, provider, read, told, bills, now } = await openAccount((end) => t.after(end));
  const [offer] = await provider.offers({ gpu: { count: 1, memoryMb: 20_000 } }, signal);
  assert(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert(made.type === "created");
  mock.timers.tick(4 * hourMs);
  await read();
  await read();
  const [row] = (await bills()).rows;
  assert.equal(row?.verdict, "more");
  assert.deepEqual(
    row.unknown.map(({ id }) => id),
    [made.observed.ref.id],
  );
  const [event] = await told();
  assert.match(
    event?.text ?? "",
    new RegExp(`runpod billed .* USD for 2026-11-21; 0.00 USD is known here.*${made.observed.ref.id}`),
  );
  assert.equal((await told()).length, 1);

  assert.equal(await state.owner.mutation(api.gpuBills.acknowledge, { provider: "runpod" }), 1);
  mock.timers.tick(2 * hourMs);
  await read();
  assert.ok((await bills()).rows[0]?.seenAt !== undefined, "what was seen stays seen");
  mock.timers.tick(6 * hourMs);
  await read();
  assert.equal((await told()).length, 2);
  assert.equal((await bills()).rows[0]?.seenAt, undefined);
});

test("a pod that the lists showed as somebody else's is theirs, and costs us nothing", async (t) => {
  const { state, provider, read, told, bills, now } = await openAccount((end) => t.after(end));
  const [offer] = await provider.offers({ gpu: { count: 1, memoryMb: 20_000 } }, signal);
  const made = await provider.create(examIntent(offer!, now()), signal);
  assert(made.type === "created");
  await state.mutation(internal.gpuSweeps.swept, { provider: "runpod", since: 0, ours: 0, foreign: [made.observed] });
  mock.timers.tick(4 * hourMs);
  await read();
  const [row] = (await bills()).rows;
  assert.ok(row && row.others > 1_000_000 && row.billed === 0 && row.verdict === "open");
  assert.deepEqual(await told(), []);
});

test("bills are asked for once a day, and in an hour again when they could not be read, which is told", async (t) => {
  const { state, fake, read, bills } = await openAccount((end) => t.after(end));
  const waiting = async (): Promise<number> =>
    state.run(async (ctx) => (await ctx.db.query("jobs").collect()).filter(({ kind }) => kind === "machines.bill").length);
  const clear = (): Promise<void> =>
    state.run(async (ctx) => {
      for (const { _id, kind } of await ctx.db.query("jobs").collect()) if (kind === "machines.bill") await ctx.db.delete(_id);
      for (const { _id, kind } of await ctx.db.query("uniques").collect()) if (kind === "machines.bill") await ctx.db.delete(_id);
    });
  await state.mutation(internal.gpuBills.due, {});
  assert.equal(await waiting(), 1);
  await clear();
  fake.lying.set("keyRevoked");
  await read();
  assert.match((await bills()).reads[0]?.failure ?? "", /key/i);
  await state.mutation(internal.gpuBills.due, {});
  assert.equal(await waiting(), 0);
  mock.timers.tick(hourMs);
  await state.mutation(internal.gpuBills.due, {});
  assert.equal(await waiting(), 1);
  await clear();
  fake.lying.clear("keyRevoked");
  await read();
  const [account] = (await bills()).reads;
  assert.equal(account?.failure, undefined);
  assert.equal(account?.terms?.grain, "day");
  mock.timers.tick(2 * hourMs);
  await state.mutation(internal.gpuBills.due, {});
  assert.equal(await waiting(), 0);
});
