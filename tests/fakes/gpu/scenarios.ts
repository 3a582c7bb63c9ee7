/** What can go wrong with rented machines, by name. Whatever it is: at the end nothing of ours is billed, and all of it was set aside before. */
import assert from "node:assert/strict";
import { api, internal } from "../../../convex/_generated/api.js";
import { reserveOf } from "../../../convex/model/budget.ts";
import { bootAllowanceMs, teardownAllowanceMs, type GpuJobState } from "../../../convex/model/gpuJob.ts";
import { billRows } from "../../../functions/machines/bill.ts";
import { panicAll } from "../../../functions/machines/panic.ts";
import { sweepAll } from "../../../functions/machines/sweep.ts";
import type { Fault } from "./fault.ts";
import type { Fleet, World } from "./fleet.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const signal = new AbortController().signal;

export type Scenario = {
  /** As numbered in the list of faults. */
  readonly number: number;
  readonly name: string;
  /** What the emulator must be able to do; without it this cannot happen at this vendor. */
  readonly takes?: readonly Fault[];
  run(fleet: Fleet, world: World): Promise<void>;
  /** How the job is to end, or one of these ways; any end when absent. */
  readonly ends?: GpuJobState | readonly GpuJobState[];
  /** Minutes in which nobody can end anything: the vendor does not answer, or the controller is not there. */
  readonly blindMin?: number;
  /** What lives is forgotten, so that nothing can be set aside for it until it is found. */
  readonly forgets?: boolean;
  /** What it costs is known by what is shown of it alone: by what the vendor says now, or by what stands on it. Elsewhere the bill alone tells. */
  readonly needsPrice?: NonNullable<World["shows"]>;
  /** Among those played in short. */
  readonly isShort?: boolean;
};

/** Found, doubted for as long as proof takes, ended, and ended at the vendor's pace. */
export const orphanBoundMin = 12;

const until = async (fleet: Fleet, isReached: () => Promise<boolean>, most = 40 * minute): Promise<void> => {
  for (let gone = 0; gone < most; gone += 10 * second) {
    if (await isReached()) return;
    await fleet.pass(10 * second);
  }
  assert.fail("It did not come to that.");
};
const jobIs =
  (fleet: Fleet, ...states: readonly GpuJobState[]) =>
  async (): Promise<boolean> => {
    const [job] = await fleet.jobs();
    return job !== undefined && states.includes(job.life.state);
  };
const running = (fleet: Fleet): Promise<void> => until(fleet, jobIs(fleet, "running"));

/** From the beginning on, cleared by itself or by the end of the scenario. */
const fromTheStart = (fault: Fault, how?: Parameters<World["lying"]["set"]>[1]): Pick<Scenario, "takes" | "run"> => ({
  takes: [fault],
  async run(fleet, { lying }) {
    lying.set(fault, how);
    await fleet.run();
    await fleet.pass(4 * minute);
  },
});
const whileRunning = (fault: Fault, forMs = 0): Pick<Scenario, "takes" | "run"> => ({
  takes: [fault],
  async run(fleet, { lying }) {
    await fleet.run();
    await running(fleet);
    lying.set(fault);
    await fleet.pass(forMs, 30 * second);
    lying.clear(fault);
  },
});
const killedAt = (where: Parameters<Fleet["kill"]>[0]): Pick<Scenario, "run"> => ({
  async run(fleet) {
    fleet.kill(where);
    await fleet.run();
    await fleet.pass(4 * minute);
  },
});

export const scenarios: readonly Scenario[] = [
  { number: 0, name: "nothing goes wrong", run: async (fleet) => void (await fleet.run()), ends: "succeeded" },
  {
    number: 1,
    isShort: true,
    name: "create's answer is lost, it exists",
    ...fromTheStart("createReplyLostAfter"),
    ends: "succeeded",
  },
  { number: 2, name: "create is lost on its way", ...fromTheStart("createReplyLostBefore"), ends: "succeeded" },
  { number: 3, name: "create says error, it exists", ...fromTheStart("createErrorButExists"), ends: "succeeded" },
  { number: 4, name: "controller dies between intent and call", ...killedAt("beforeCreate"), ends: "succeeded" },
  { number: 4, name: "controller dies between call and commit", ...killedAt("afterCreate"), ends: "succeeded" },
  { number: 4, name: "controller dies before it ends a machine", ...killedAt("beforeEnd"), ends: "succeeded" },
  { number: 4, name: "controller dies after it ended a machine", ...killedAt("afterEnd"), ends: "succeeded" },
  { number: 4, name: "controller dies while it looks", ...killedAt("beforeLook"), ends: "succeeded" },
  { number: 5, name: "one create makes two", ...fromTheStart("createTwice"), ends: "succeeded" },
  { number: 6, name: "describe knows nothing of it at first", ...fromTheStart("describeMissingAtFirst"), ends: "succeeded" },
  {
    number: 7,
    name: "a list omits what lives, once",
    takes: ["listOmitsOnce"],
    async run(fleet, { lying }) {
      fleet.setAgent({ dialsAfterMs: 20 * second, worksMs: 12 * minute, beats: true });
      await fleet.run();
      await running(fleet);
      lying.set("listOmitsOnce");
      await fleet.pass(7 * minute);
      const [job] = await fleet.jobs();
      assert.equal(job?.life.attempt, 1, "a machine that lives is not given up for one list");
    },
    ends: "succeeded",
  },
  { number: 8, name: "a page of a list is lost", ...fromTheStart("listPageLost"), ends: "succeeded" },
  {
    number: 9,
    isShort: true,
    name: "terminate says yes, twice in vain",
    ...fromTheStart("terminateIgnoredTwice"),
    ends: "succeeded",
  },
  {
    number: 10,
    name: "terminate answers 5xx for six hours",
    takes: ["terminateFails"],
    blindMin: 370,
    async run(fleet, { lying }) {
      lying.set("terminateFails");
      await fleet.run();
      await until(fleet, jobIs(fleet, "succeeded"));
      await fleet.pass(6 * hour, 5 * minute);
      const { suspects } = await fleet.spend();
      assert.ok(suspects >= ours(lying).length, "what cannot be ended is told");
      lying.clear("terminateFails");
    },
    ends: "succeeded",
  },
  { number: 11, name: "terminate says there is none", ...fromTheStart("terminateMissing"), ends: "succeeded" },
  { number: 12, name: "it disappears at work", ...whileRunning("disappears"), ends: "succeeded" },
  ...(["zone", "region", "provider"] as const).map((scope) => ({
    number: 13,
    name: `no capacity in the ${scope}`,
    ...fromTheStart("noCapacity", { scope }),
    ends: "succeeded" as const,
  })),
  { number: 14, name: "no quota", ...fromTheStart("quota"), ends: "succeeded" },
  { number: 15, name: "the balance is used up at work", ...whileRunning("balance", 5 * minute), ends: "succeeded" },
  { number: 16, name: "429 with how long to wait, ten minutes", ...whileRunning("rateLimited", 10 * minute), blindMin: 10 },
  { number: 16, name: "429 without, ten minutes", ...whileRunning("rateLimitedSilently", 10 * minute), blindMin: 10 },
  {
    number: 17,
    name: "the key is revoked at work, half an hour",
    ...whileRunning("keyRevoked", 30 * minute),
    blindMin: 30,
    ends: "succeeded",
  },
  { number: 18, name: "the session's token runs out", ...whileRunning("tokenExpired"), ends: "succeeded" },
  {
    number: 19,
    name: "the controller's clock is put on ten minutes",
    async run(fleet) {
      await fleet.run();
      await running(fleet);
      fleet.jump(10 * minute);
      await fleet.pass(minute);
      const [job] = await fleet.jobs();
      assert.equal(job?.life.attempt, 1, "nobody was silent");
    },
    ends: "succeeded",
  },
  {
    number: 20,
    name: "it boots and never dials in",
    async run(fleet) {
      fleet.setAgent({ worksMs: minute });
      await fleet.run();
      await fleet.pass(hour, 30 * second);
    },
    ends: "failed",
  },
  {
    number: 21,
    name: "it is not what was rented",
    async run(fleet) {
      fleet.setAgent({ dialsAfterMs: 10 * second, worksMs: minute, isUnfit: true });
      await fleet.run();
      await fleet.pass(20 * minute);
    },
    // Where the next best costs more than the job may, it goes no further.
    ends: ["failed", "budgetStopped"],
  },
  {
    number: 22,
    name: "its image takes longer than it may",
    async run(fleet) {
      fleet.setAgent({ dialsAfterMs: 30 * minute, worksMs: minute, beats: true });
      await fleet.run();
      await fleet.pass(20 * minute, 30 * second);
      fleet.setAgent({ dialsAfterMs: 10 * second, worksMs: minute, beats: true });
    },
    ends: "succeeded",
  },
  {
    number: 23,
    name: "its heartbeat is lost",
    isShort: true,
    async run(fleet) {
      await fleet.run();
      await running(fleet);
      fleet.setAgent({ dialsAfterMs: 20 * second, worksMs: 2 * minute, beats: false });
      await fleet.pass(6 * minute);
      fleet.setAgent({ dialsAfterMs: 20 * second, worksMs: 2 * minute, beats: true });
    },
    ends: "succeeded",
  },
  {
    number: 24,
    name: "an old attempt writes results",
    async run(fleet) {
      await fleet.run();
      await running(fleet);
      const [job] = await fleet.jobs();
      assert.ok(job?.machineId);
      await fleet.state.mutation(internal.machineBeats.leave, { machineId: job.machineId, epoch: 1, why: "preempted" });
      await until(fleet, async () => (await fleet.jobs())[0]?.life.attempt === 2);
      const zombie = { machineId: job.machineId, epoch: 1 };
      assert.equal(await fleet.state.mutation(internal.gpuJobs.exited, { ...zombie, exit: 0 }), false);
      assert.equal(await fleet.state.mutation(internal.gpuJobs.finish, { ...zombie, files: [], manifestSha256: "z" }), false);
      assert.equal(await fleet.state.mutation(internal.gpuJobs.appendLog, { ...zombie, offset: 0, text: "z" }), -1);
    },
    ends: "succeeded",
  },
  {
    number: 25,
    name: "a checkpoint is broken: the one before it is kept",
    async run(fleet) {
      await fleet.run();
      await running(fleet);
      const [job] = await fleet.jobs();
      assert.ok(job?.machineId);
      for (const seq of [1, 2, 3]) {
        const storageId = await fleet.state.upload(`state ${seq}`);
        const file = { path: `checkpoint-${seq}`, sha256: `${seq}`, sizeBytes: 7, storageId };
        await fleet.state.mutation(internal.gpuJobs.checkpoint, { machineId: job.machineId, epoch: 1, seq, file });
      }
      const kept = await fleet.state.query(internal.gpuJobs.results, { id: job._id });
      assert.deepEqual(
        kept?.checkpoints.map(({ seq }) => seq),
        [3, 2],
      );
    },
    ends: "succeeded",
  },
  { number: 26, name: "preempted at work", ...whileRunning("preempted"), ends: "succeeded" },
  {
    number: 26,
    name: "preempted while it boots",
    takes: ["preempted"],
    async run(fleet, { lying }) {
      await fleet.run();
      await until(fleet, jobIs(fleet, "provisioning"));
      await fleet.pass(20 * second);
      lying.set("preempted");
    },
    ends: "succeeded",
  },
  {
    number: 26,
    name: "preempted while it is ended",
    takes: ["preempted"],
    async run(fleet, { lying }) {
      await fleet.run();
      await until(fleet, jobIs(fleet, "succeeded"));
      lying.set("preempted");
    },
    ends: "succeeded",
  },
  {
    number: 27,
    name: "the price doubles after the quote, and no cap allows that",
    takes: ["priceDoubled"],
    needsPrice: "priceNow",
    async run(fleet, { lying }) {
      const { offer } = await firstOffer(fleet);
      const reserve = reserveOf(offer, bootAllowanceMs + 20 * minute + teardownAllowanceMs).micros;
      await fleet.state.owner.mutation(api.gpuSpend.setCaps, { caps: { job: Math.ceil(reserve * 1.4) } });
      lying.set("priceDoubled");
      await fleet.run();
      await fleet.pass(6 * minute);
    },
  },
  {
    number: 28,
    name: "its disk is full: the command fails",
    async run(fleet) {
      fleet.setAgent({ dialsAfterMs: 20 * second, worksMs: minute, exit: 1, beats: true });
      await fleet.run();
    },
    ends: "failed",
  },
  { number: 29, name: "its disk is left behind", ...fromTheStart("satelliteLeft"), ends: "succeeded" },
  {
    number: 30,
    name: "the database is yesterday's: what lives has no row",
    forgets: true,
    needsPrice: "priceOffered",
    async run(fleet) {
      await fleet.run();
      await running(fleet);
      await fleet.state.run(async (ctx) => {
        for (const row of await ctx.db.query("machines").collect()) await ctx.db.delete(row._id);
        for (const row of await ctx.db.query("gpuJobs").collect()) await ctx.db.delete(row._id);
        for (const row of await ctx.db.query("machineBeats").collect()) await ctx.db.delete(row._id);
        for (const row of await ctx.db.query("gpuTotals").collect()) await ctx.db.delete(row._id);
      });
      await fleet.pass(10 * minute);
    },
  },
  {
    number: 30,
    name: "the database is yesterday's: what is gone has a row",
    async run(fleet, world) {
      await fleet.run();
      await running(fleet);
      const [old] = await fleet.machines();
      const totals = await fleet.state.run((ctx) => ctx.db.query("gpuTotals").collect());
      await until(fleet, async () => (await fleet.machines())[0]?.life.state === "gone");
      assert.ok(old);
      assert.deepEqual(await fleet.left(world), []);
      await fleet.state.run(async (ctx) => {
        for (const { _id, _creationTime, ...row } of totals) await ctx.db.replace(_id, row);
        const { _id, _creationTime, ...row } = old;
        await ctx.db.replace(_id, row);
      });
      await fleet.pass(5 * minute);
    },
  },
  {
    number: 31,
    name: "two controllers at once",
    async run(fleet) {
      await fleet.run();
      for (let round = 0; round < 20; round += 1) {
        await Promise.all([fleet.work(), fleet.work()]);
        await fleet.pass(10 * second);
      }
    },
    ends: "succeeded",
  },
  {
    number: 32,
    name: "the vendor's timer never fires, and the controller is away past the deadline",
    takes: ["ttlNotEnforced"],
    async run(fleet, { lying }) {
      lying.set("ttlNotEnforced");
      await away(fleet);
    },
  },
  {
    number: 33,
    name: "its key to the mesh is over before it joins",
    async run(fleet) {
      fleet.setAgent({ worksMs: minute });
      await fleet.run();
      await fleet.pass(17 * minute, 30 * second);
      fleet.setAgent({ dialsAfterMs: 10 * second, worksMs: minute, beats: true });
    },
    ends: "succeeded",
  },
  {
    number: 34,
    name: "a gap in the output's offsets",
    async run(fleet) {
      await fleet.run();
      await running(fleet);
      const [job] = await fleet.jobs();
      assert.ok(job?.machineId);
      const machine = { machineId: job.machineId, epoch: 1 };
      assert.equal(await fleet.state.mutation(internal.gpuJobs.appendLog, { ...machine, offset: 0, text: "één\n" }), 6);
      assert.equal(await fleet.state.mutation(internal.gpuJobs.appendLog, { ...machine, offset: 9, text: "three\n" }), 6);
      assert.equal(await fleet.state.mutation(internal.gpuJobs.appendLog, { ...machine, offset: 0, text: "één\n" }), 6);
      const { text, next } = await fleet.state.query(internal.gpuJobs.logFor, { id: job._id, offset: 0 });
      assert.deepEqual([text, next], ["één\n", 6]);
    },
    ends: "succeeded",
  },
  {
    number: 35,
    name: "the machine's watchdog is killed, and what it watches is silent",
    async run(fleet) {
      fleet.killWatchdogs();
      await fleet.run();
      await running(fleet);
      fleet.setAgent({ dialsAfterMs: 20 * second, worksMs: 2 * minute, beats: false });
      await fleet.pass(5 * minute);
      fleet.setAgent({ dialsAfterMs: 20 * second, worksMs: 2 * minute, beats: true });
    },
    ends: "succeeded",
  },
  {
    number: 36,
    name: "controller and watchdog are lost: a sweep elsewhere, with keys alone, ends what is past its time",
    // Past its deadline by the grace and by the time between two sweeps.
    blindMin: 10,
    async run(fleet) {
      fleet.killWatchdogs();
      await fleet.run();
      await running(fleet);
      fleet.setDown(true);
      for (let gone = 0; gone < 80 * minute; gone += 5 * minute) {
        await fleet.pass(5 * minute, minute);
        await sweepAll(fleet.providers, { clock: { now: fleet.now }, signal });
      }
      fleet.setDown(false);
    },
  },
  {
    number: 37,
    name: "panic, with somebody else's machine beside ours",
    async run(fleet, { lying, isPaidByMonth }) {
      lying.addForeign();
      await fleet.run();
      await running(fleet);
      const { left } = await panicAll(fleet.providers, {
        clock: { now: fleet.now },
        signal,
        wait: async (ms) => {
          fleet.jump(ms);
          lying.pass();
        },
      });
      assert.deepEqual(left, []);
      if (isPaidByMonth !== true) assert.deepEqual(ours(lying), []);
      assert.equal(lying.alive().length - ours(lying).length, 1, "what is not ours was not touched");
      await fleet.state.owner.mutation(api.machines.panic, {});
    },
    ends: "cancelled",
  },
];

const ours = (lying: World["lying"]): readonly { readonly id: string }[] =>
  lying.alive().filter(({ id, name }) => !id.startsWith("foreign") && !name.startsWith("somebody"));

async function firstOffer(fleet: Fleet) {
  const [id] = fleet.providers.list();
  assert.ok(id);
  const provider = await fleet.providers.open(id);
  const [offer] = (await provider.offers(fleet.need, signal)).toSorted((a, b) => a.hourly.micros - b.hourly.micros);
  assert.ok(offer);
  return { offer };
}

async function away(fleet: Fleet): Promise<void> {
  await fleet.run();
  await running(fleet);
  fleet.setDown(true);
  await fleet.pass(2 * hour, 5 * minute);
  fleet.setDown(false);
}

export type Finding = {
  readonly orphanMin: number;
  readonly boundMin: number;
  /** Billed beyond what was set aside, where nothing could have told of it before the bill. */
  readonly overMicros: number;
  /** That its bill shows it, once it is told; undefined where no program can read that. */
  readonly isOnBill?: boolean;
  readonly problems: readonly string[];
};

/** Plays it to its end and says what is left, how long something lived that nobody wanted, and whether more was spent than set aside. */
export async function play(scenario: Scenario, fleet: Fleet, world: World): Promise<Finding> {
  const { ends, blindMin = 0 } = scenario;
  const problems: string[] = [];
  // Three machines by the month are more than a job may cost unless somebody says so.
  if (world.isPaidByMonth === true)
    await fleet.state.owner.mutation(api.gpuSpend.setCaps, { caps: { job: 50_000_000, day: 50_000_000 } });
  await scenario.run(fleet, world);
  for (const fault of world.lying.can) world.lying.clear(fault);
  await settle(fleet, world);
  const left = await fleet.left(world);
  if (left.length > 0) problems.push(`${left.length} alive`);
  const open = (await fleet.machines()).filter(({ life }) => life.state !== "gone");
  if (open.length > 0) problems.push(`${open.map(({ life }) => life.state).join(", ")} at the end`);
  const [job] = await fleet.jobs();
  if (ends && !(job && [ends].flat().includes(job.life.state)))
    problems.push(`job ${job?.life.state ?? "lost"} (${job?.life.problem?.message ?? ""}), not ${[ends].flat().join(" or ")}`);
  const orphanMin = fleet.orphanMs() / minute;
  const boundMin = orphanBoundMin + blindMin;
  if (orphanMin > boundMin) problems.push(`${orphanMin.toFixed(1)} min unwanted, bound ${boundMin}`);
  const over = scenario.forgets === true ? fleet.billedMicros() - (await fleet.spend()).spentToday : fleet.overMicros();
  const isBlind = scenario.needsPrice !== undefined && world.shows !== "priceNow" && world.shows !== scenario.needsPrice;
  if (over > 1 && !isBlind) problems.push(`${over.toFixed(0)} micros beyond what was set aside`);
  const isOnBill = over > 1 && isBlind ? await showsOnBill(fleet, world, over) : undefined;
  if (isOnBill === false) problems.push(`${over.toFixed(0)} micros that its bill does not show either`);
  const { reserved, hourly } = await fleet.spend();
  if (reserved !== 0 || hourly !== 0) problems.push(`${reserved} still set aside, ${hourly} an hour`);
  return { orphanMin, boundMin, overMicros: over > 1 ? over : 0, ...(isOnBill !== undefined && { isOnBill }), problems };
}

/** Whether the vendor's bill, once all of it is told, is that much above what is known. Undefined where no program can read it. */
async function showsOnBill(fleet: Fleet, { provider, isManaged }: World, over: number): Promise<boolean | undefined> {
  if (!provider.bill || !provider.billTerms || (isManaged === true && !provider.billTerms.hasManaged)) return undefined;
  const days = provider.billTerms.grain === "month" ? 10 : 1;
  fleet.jump(provider.billTerms.lagMs + days * 24 * hour);
  const rows = await billRows(provider, { state: fleet.state, installId: fleet.providers.installId, now: fleet.now(), signal });
  return rows.reduce((sum, { billed, known }) => sum + billed - known, 0) >= over * 0.9;
}

async function settle(fleet: Fleet, world: World): Promise<void> {
  for (let gone = 0; gone < 3 * hour; gone += 30 * second) {
    const isOver = (await fleet.machines()).every(({ life }) => life.state === "gone");
    const isDone = (await fleet.jobs()).every(({ life }) => life.endedAt !== undefined);
    if (isOver && isDone && (await fleet.left(world)).length === 0) return;
    await fleet.pass(30 * second, gone < 20 * minute ? 10 * second : 30 * second);
  }
}
