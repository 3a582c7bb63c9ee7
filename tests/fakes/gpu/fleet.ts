/**
 * The whole lease engine under a clock that is moved: the control plane's own mutations over a store in memory, the functions as they are,
 * emulated providers, and, on machines that run, an agent of few words. A controller can be killed before or after anything it asks.
 */
import { mock } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Doc, Id } from "../../../convex/_generated/dataModel.js";
import { parseMachineName, type Need, type ProviderId } from "../../../convex/model/gpu.ts";
import type { GpuAsk } from "../../../convex/model/gpuJob.ts";
import { isOver } from "../../../convex/model/machine.ts";
import { isNikaError } from "../../../convex/model/error.ts";
import type { JobKind } from "../../../convex/model/kinds.ts";
import { createMachine } from "../../../functions/machines/create.ts";
import { endMachine } from "../../../functions/machines/end.ts";
import { lookAtMachines } from "../../../functions/machines/look.ts";
import { placeGpuJob } from "../../../functions/machines/place.ts";
import { sweepMachines } from "../../../functions/machines/sweep.ts";
import type { Boots, Provider, Providers } from "../../../functions/ports/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import type { State } from "../../../functions/ports/state.ts";
import { openFakeState } from "../state.ts";
import type { Alive, Lying } from "./fault.ts";

export const installId = "drill000";
const secretOf = (key: string): string => `secret of ${key}`;
const functions = [placeGpuJob, createMachine, endMachine, lookAtMachines, sweepMachines];

export type World = {
  readonly name: string;
  readonly provider: Provider;
  readonly lying: Lying;
  /** Something that it offers; a GPU of 20 GB when absent. */
  readonly need?: Need;
  /** What is ended goes back to a pool that is paid for until its month is over: it is billed, and set aside, and nobody's. */
  readonly isPaidByMonth?: boolean;
  /** What its machines tell of their price: what it is now, or what was offered, which we wrote on them; nothing when absent. */
  readonly shows?: "priceNow" | "priceOffered";
  /** Jobs that the vendor runs by itself. */
  readonly isManaged?: boolean;
  readonly close?: () => Promise<void>;
};
/** What an agent does on its machine, and what is kept from the door. */
export type Agent = {
  /** From being up to dialling in; never when absent. */
  readonly dialsAfterMs?: number;
  readonly worksMs: number;
  readonly exit?: number;
  readonly beats?: boolean;
  /** Says of itself that it is not what was rented. */
  readonly isUnfit?: boolean;
};
/** Where the controller dies: before or after it asked its provider, or after it heard and before it wrote that down. */
export type Death = "beforeCreate" | "afterCreate" | "beforeEnd" | "afterEnd" | "beforeLook";

class Killed extends Error {
  override readonly name = "Killed";
}

/** What is billed and ours. What went back to a pool is nobody's until its month is over. */
function oursAt({ lying, isPaidByMonth }: World, rows: readonly Doc<"machines">[]): Alive[] {
  const isHandedBack = (id: string): boolean => rows.some(({ life }) => life.ref?.id === id && life.state === "gone");
  return lying
    .alive()
    .filter(({ id, name }) => !id.startsWith("foreign") && !name.startsWith("somebody"))
    .filter(({ id }) => isPaidByMonth !== true || !isHandedBack(id));
}

export type Fleet = Awaited<ReturnType<typeof openFleet>>;

/** `opens`: one provider each, opened once the clock is ours. */
export async function openFleet(...opens: readonly (() => Promise<World>)[]) {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 10, 21, 12) });
  const worlds = await Promise.all(opens.map((open) => open()));
  const state = openFakeState();
  const deaths = new Set<Death>();
  let agent: Agent = { dialsAfterMs: 20_000, worksMs: 120_000, beats: true };
  let isDown = false;
  let isWatchdogDead = false;
  let reapedAt = 0;
  let sweptAt = 0;
  let orphanMs = 0;
  let billedMicros = 0;
  /** The most that was billed beyond what was set aside or counted as spent at that moment. */
  let overMicros = 0;
  const working = new Map<
    string,
    { name: string; machineId: Id<"machines">; epoch: number; since: number; seq: number; stage: "staging" | "running" | "done" }
  >();
  const upSince = new Map<string, number>();

  const die = (where: Death): void => {
    if (deaths.delete(where)) throw new Killed(where);
  };
  const watched = (provider: Provider): Provider => ({
    ...provider,
    async create(intent, signal) {
      die("beforeCreate");
      const made = await provider.create(intent, signal);
      die("afterCreate");
      return made;
    },
    async terminate(ref, signal) {
      die("beforeEnd");
      const said = await provider.terminate(ref, signal);
      die("afterEnd");
      return said;
    },
    async *list(signal) {
      die("beforeLook");
      yield* provider.list(signal);
    },
  });
  const byId = new Map(worlds.map(({ provider }) => [provider.id, watched(provider)]));
  const providers: Providers = {
    installId,
    list: () => [...byId.keys()],
    async open(id: ProviderId) {
      const provider = byId.get(id);
      if (!provider) throw new ProviderError({ kind: "auth", scope: "provider", says: `${id} is not set up.` });
      return provider;
    },
  };
  const boots: Boots = {
    of: async ({ key, offer }) => ({
      publicKey: `ssh-ed25519 ${key}`,
      boot: offer.form === "machine" ? "#cloud-config\n" : "",
      ...(offer.form !== "machine" && {
        container: { image: "ghcr.io/example/nika-agent:1", args: ["run"], environment: { NIKA_TOKEN: key } },
      }),
      secretHash: secretOf(key),
    }),
  };
  await state.mutation(internal.gpuSweeps.setUp, { providers: [...byId.keys()] });

  /** All that is due is done, one after another, until nothing is; a killed one is found open by the next worker. */
  const work = async (through: State = state): Promise<void> => {
    for (let round = 0; round < 40; round += 1) {
      if (!(await isAnythingDue())) return;
      await state.mutation(internal.workers.check, {});
      const { workerId, epoch } = await state.mutation(internal.workers.hello, { name: "w", slots: 8 });
      const jobIds = await state.query(internal.work.head, { limit: 64 });
      const due = await state.run(async (ctx) => {
        const jobs = await Promise.all(jobIds.map((id) => ctx.db.get(id)));
        return jobs.flatMap((job) => (job && job.kind.startsWith("machines.") ? [job._id] : [])).slice(0, 8);
      });
      if (due.length === 0) return;
      const token = `t${epoch}`;
      const { claimed } = await state.mutation(internal.work.exchange, {
        workerId,
        epoch,
        settle: [],
        claim: { token, jobIds: due },
      });
      for (const { jobId, kind, args, attempt } of claimed) {
        const outcome = await runOne(kind, { jobId, token, args, attempt }, through);
        if (!outcome) return; // Killed: what it held is free again at the next hello.
        await state.mutation(internal.work.exchange, {
          workerId,
          epoch,
          settle: [{ jobId, token, outcome }],
          claim: { token, jobIds: [] },
        });
      }
    }
  };

  const isAnythingDue = (): Promise<boolean> =>
    state.run(async (ctx) => {
      const open = await ctx.db.query("jobs").collect();
      return open.some(({ state, readyAt }) => state === "leased" || (state === "ready" && readyAt <= Date.now()));
    });

  const runOne = async (kind: JobKind, job: { jobId: string; token: string; args: unknown; attempt: number }, through: State) => {
    const one = functions.find((some) => some.kind === kind);
    if (!one) throw new Error(`The drill does not do ${kind}.`);
    const call = { ...job, signal: new AbortController().signal, progress: () => {} };
    try {
      const ports = { state: through, providers, boots, clock: { now: () => Date.now() } };
      return await one.run(call as never, ports);
    } catch (error) {
      if (error instanceof Killed) return undefined;
      if (isNikaError(error)) return { type: "failed" as const, code: error.code, message: error.message, retry: true };
      throw error;
    }
  };

  /** What agents on machines that are up say to the door, as long as it can be reached. */
  const agents = async (): Promise<void> => {
    const rows = await machines();
    for (const { lying } of worlds)
      for (const { id, name } of lying.alive()) {
        const isOpenAt = ({ life }: Doc<"machines">): boolean => life.ref?.id === id && !isOver(life.state);
        const row = rows.find(isOpenAt) ?? rows.find((machine) => machine.name === name);
        if (!row || agent.dialsAfterMs === undefined) continue;
        // What comes back from a pool is the same thing, and another machine.
        const since = upSince.get(row._id) ?? Date.now();
        upSince.set(row._id, since);
        await speak(row._id, row, since);
      }
  };

  const speak = async (id: string, row: Doc<"machines">, since: number): Promise<void> => {
    const known = working.get(id);
    if (!known) {
      if (Date.now() - since < (agent.dialsAfterMs ?? 0) + 40_000) return;
      try {
        const { machineId, epoch } = await state.mutation(internal.machineBeats.enrol, {
          key: row.key,
          secretHash: secretOf(row.key),
        });
        working.set(id, { name: row.name, machineId, epoch, since: Date.now(), seq: 1, stage: "staging" });
        if (agent.isUnfit === true)
          await state.mutation(internal.machineBeats.refuse, { machineId, epoch, says: "It shows no GPU." });
      } catch {
        working.set(id, { name: row.name, machineId: row._id, epoch: -1, since: Date.now(), seq: 1, stage: "done" });
      }
      return;
    }
    const { machineId, epoch } = known;
    known.seq += 1;
    if (agent.beats !== false)
      await state.mutation(internal.machineBeats.beat, { beats: [{ machineId, epoch, seq: known.seq }] });
    if (known.stage === "staging") {
      const isMeant = await state.mutation(internal.gpuJobs.started, { machineId, epoch, facts: ["simulated GPU"] });
      known.stage = isMeant ? "running" : "done";
      known.since = Date.now();
    } else if (known.stage === "running" && agent.beats !== false && Date.now() - known.since >= agent.worksMs) {
      const isMeant = await state.mutation(internal.gpuJobs.exited, { machineId, epoch, exit: agent.exit ?? 0 });
      if (isMeant) await state.mutation(internal.gpuJobs.finish, { machineId, epoch, files: [], manifestSha256: "0" });
      known.stage = "done";
    }
  };

  const machines = (): Promise<Doc<"machines">[]> => state.run((ctx) => ctx.db.query("machines").collect());
  const jobs = (): Promise<Doc<"gpuJobs">[]> => state.run((ctx) => ctx.db.query("gpuJobs").collect());

  /** Time goes by in steps, and all that lives does what it does. */
  const pass = async (ms: number, stepMs = 10_000): Promise<void> => {
    for (let left = ms; left > 0; left -= stepMs) {
      const took = Math.min(left, stepMs);
      mock.timers.tick(took);
      for (const { lying } of worlds) lying.pass();
      await watchdogs();
      await countOrphans(took);
      if (isDown) continue;
      if (Date.now() - reapedAt >= 60_000) {
        reapedAt = Date.now();
        await state.mutation(internal.machines.reap, {});
      }
      if (Date.now() - sweptAt >= 300_000) {
        sweptAt = Date.now();
        await state.mutation(internal.gpuSweeps.due, {});
      }
      await work();
      await agents();
      await work();
    }
  };

  const rowsUp = (name: string): boolean => [...working.values()].some((one) => one.name === name);

  /** What runs on a machine ends it when its time is over, whoever else is there. */
  const watchdogs = async (): Promise<void> => {
    if (isWatchdogDead) return;
    for (const { lying, provider } of worlds)
      for (const { name } of lying.alive()) {
        const deadline = parseMachineName(name)?.deadline;
        const isReady = rowsUp(name) && provider.capability.deletesItself !== "no";
        if (!isReady || deadline === undefined || Date.now() < deadline + 30_000) continue;
        const ref = (await machines()).find((row) => row.name === name)?.life.ref;
        // A vendor that does not answer does not answer it either; it goes on trying.
        if (ref) await provider.terminate(ref, new AbortController().signal).catch(() => undefined);
      }
  };

  /** What lives and is wanted by nobody: its machine is over, or past its time, or has no row. */
  const countOrphans = async (ms: number): Promise<void> => {
    const rows = await machines();
    for (const world of worlds)
      // Whether it went back to the pool is not seen while nobody looks.
      for (const { id, name, hourlyMicros } of isDown && world.isPaidByMonth ? [] : oursAt(world, rows)) {
        billedMicros += (hourlyMicros * ms) / 3_600_000;
        const row = rows.find((one) => one.life.ref?.id === id || one.name === name);
        if (row === undefined || isOver(row.life.state) || Date.now() > row.deadline) orphanMs += ms;
      }
    const counted = rows.reduce((sum, one) => sum + one.counted.reserved + one.counted.spent, 0);
    overMicros = Math.max(overMicros, billedMicros - counted);
  };

  const ask: GpuAsk = {
    label: "drill",
    command: ["true"],
    need: worlds[0]?.need ?? { gpu: { count: 1, memoryMb: 20_000 } },
    runMsMax: 20 * 60_000,
  };

  return {
    state,
    worlds,
    providers,
    machines,
    jobs,
    pass,
    work,
    need: ask.need,
    left: async (world: World) => oursAt(world, await machines()),
    orphanMs: () => orphanMs,
    billedMicros: () => billedMicros,
    overMicros: () => overMicros,
    now: () => Date.now(),
    /** The controller's clock is put on, and nobody did anything meanwhile. */
    jump: (ms: number) => mock.timers.tick(ms),
    setAgent: (next: Agent) => void (agent = next),
    killWatchdogs: () => void (isWatchdogDead = true),
    setDown: (next: boolean) => void (isDown = next),
    /** The next time it comes there. */
    kill: (where: Death) => void deaths.add(where),
    run: (changes: Partial<GpuAsk> = {}) => state.mutation(internal.gpuJobs.add, { ask: { ...ask, ...changes } }),
    cancel: (id: Id<"gpuJobs">) => state.owner.mutation(api.gpuJobs.cancel, { id }),
    spend: () => state.owner.query(api.gpuSpend.get, { now: Date.now() }),
    async close() {
      await state.close();
      for (const { close } of worlds) await close?.();
      mock.timers.reset();
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}
