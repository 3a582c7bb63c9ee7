/** Machines rented for work that waits, as the control plane decides on them; the rule itself is in model/scale.test.ts. */
import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import type { Capability, Offer } from "../../convex/model/gpu.ts";
import { decide, type ScaleInput } from "../../convex/model/scale.ts";
import { planDefaults } from "../../convex/model/scaling.ts";
import { openFakeState, type FakeState } from "../fakes/state.ts";

const start = Date.UTC(2026, 10, 20, 12);
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: start });
});
after(() => mock.timers.reset());

const capability: Capability = {
  form: ["host"],
  createIs: "onceByName",
  hasTags: true,
  hasSpot: false,
  shutdownEndsBill: "yes",
  hasTtl: false,
  deletesItself: "process",
  listLagMs: 0,
  noticeMs: 0,
  bootBytesMax: 0,
};
const offer = (): Offer => ({
  provider: "local",
  id: "here",
  form: "host",
  type: "processes",
  region: "here",
  isInEu: true,
  cpus: 2,
  memoryMb: 8_000,
  diskMb: 50_000,
  isSpot: false,
  hourly: { micros: 0, currency: "EUR" },
  quantumMs: 1_000,
  minimumMs: 0,
  stock: "high",
  pricedAt: Date.now(),
  priceSource: "test",
});
const look = (state: FakeState) =>
  state.mutation(internal.scaling.look, {
    installId: "abcdefgh",
    choices: [{ offer: offer(), capability }],
    says: "It is here.",
  });
const view = (state: FakeState) => state.owner.query(api.scaling.get, {});
const machinesOf = (state: FakeState) => state.owner.query(api.machines.list, {});

const hash = "a".repeat(64);

/** Far more than the places that there are, which are none. */
async function withBacklog(max: number): Promise<FakeState> {
  const state = openFakeState();
  const { settings, where } = planDefaults;
  await state.owner.mutation(api.scaling.set, {
    settings: { ...settings, isOn: true, max, queueMax: 0, targetWaitMs: 10_000 },
    where: { ...where, providers: ["local"] },
  });
  await look(state);
  const work = Array.from({ length: 40 }, (_, n) => ({ kind: "jobs.check" as const, args: { n }, label: `${n}` }));
  await state.mutation(internal.work.add, { work });
  mock.timers.setTime(start + 30_000);
  return state;
}

test("nothing is looked at, and nothing rented, before the owner turns it on", async () => {
  const state = openFakeState();
  assert.equal((await view(state)).settings.isOn, false);
  assert.equal(await state.query(internal.scaling.errand, {}), null);
  await look(state);
  assert.deepEqual(await machinesOf(state), []);
  await assert.rejects(
    state.owner.mutation(api.scaling.set, { ...planDefaults, settings: { ...planDefaults.settings, min: 9 } }),
    /least/,
  );
});

test("work that waits rents machines up to the most that is set, once, and says why", async () => {
  const state = await withBacklog(2);
  assert.equal((await look(state)).add, 2);
  const machines = await machinesOf(state);
  assert.equal(machines.length, 2);
  assert.deepEqual(machines[0]?.owner, { type: "lane", lane: "bulk" });
  assert.equal((await look(state)).add, 0, "what boots counts, and there may be no more");
  const { decisions, look: shown } = await view(state);
  const first = decisions.find(({ add }) => add === 2);
  assert.match(first?.says ?? "", /^Asks for 2 machines: many jobs wait/);
  assert.equal(first?.where, "It is here.");
  assert.equal(shown?.pool.length, 2);
});

test("what was decided can be decided again from what is kept of it", async () => {
  const state = await withBacklog(2);
  await look(state);
  for (const { id } of (await view(state)).decisions) {
    const { input, add, remove, says } = await state.owner.query(api.scaling.replay, { id });
    const again = decide(JSON.parse(input) as ScaleInput);
    assert.deepEqual([again.add, again.remove, again.says], [add, remove, says]);
  }
});

test("when nothing can be had, nothing is written down as rented", async () => {
  const state = await withBacklog(2);
  const looked = await state.mutation(internal.scaling.look, { installId: "abcdefgh", choices: [] });
  assert.equal(looked.add, 0);
  assert.deepEqual(await machinesOf(state), []);
});

test("a machine's worker is let in under its name and out with its machine", async () => {
  const state = await withBacklog(1);
  await look(state);
  const [machine] = await machinesOf(state);
  assert.ok(machine);
  const machineId = machine.id;
  assert.equal(await state.mutation(internal.scaling.admit, { machineId, hash }), machine.name);
  const token = await state.query(internal.workers.findToken, { hash });
  assert.ok(token);
  assert.equal(token.name, machine.name);

  const about = { host: "there", version: "1", lanes: { now: 4, work: 2, bulk: 2 } };
  const worker = await state.mutation(internal.workers.hello, { name: machine.name, slots: 2, about, tokenId: token.id });
  await look(state);
  assert.equal((await view(state)).look?.pool[0]?.state, "ready");
  assert.deepEqual((await view(state)).look?.home, { slots: 0, busy: 0 }, "what is rented is not at home");

  await state.mutation(internal.workers.goodbye, { workerId: worker.workerId, epoch: worker.epoch });
  await state.mutation(internal.machines.end, { machineId, why: "finished" });
  assert.equal(await state.query(internal.workers.findToken, { hash }), null);
  assert.deepEqual(await state.owner.query(api.workers.list, {}), []);
  await assert.rejects(state.mutation(internal.scaling.admit, { machineId, hash }), /its time is over/);
});

test("turned off, what is idle or not there yet goes", async () => {
  const state = await withBacklog(2);
  await look(state);
  const { settings, where } = await view(state);
  await state.owner.mutation(api.scaling.set, { settings: { ...settings, isOn: false }, where });
  await look(state);
  const states = new Set((await machinesOf(state)).map((one) => one.state));
  assert.ok(!states.has("intended") && !states.has("booting"), [...states].join(", "));
});
