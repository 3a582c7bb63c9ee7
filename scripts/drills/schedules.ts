/**
 * The kill drill of schedules: times come one after the other while the appliance is killed with -9 around them and started again. At the
 * end every time has happened exactly once: one occurrence, done, by one job where it takes one. `node scripts/drills/schedules.ts [ROUNDS] [SEED]`
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openState, type OpenState } from "../../appliance/state.ts";
import { internal } from "../../convex/_generated/api.js";
import type { ScheduleSpec } from "../../convex/model/schedule.ts";
import { startLab, type LabAppliance } from "../lab/appliance.ts";
import { rowsOf } from "../lab/schedules.ts";

const [rounds = 20, seed = 1] = process.argv.slice(2).map(Number);
const perRound = 20;
/** Several share an instant, which is one call for them. */
const instantsPerRound = 5;
const spanMs = 1_500;
const leadMs = 1_000;
const patienceMs = 120_000;
const dir = mkdtempSync(join(tmpdir(), "nika-schedule-kills-"));
const dataDir = join(dir, "data");
const random = lcg(seed);
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

try {
  let { appliance, state } = await open();
  for (let round = 1; round <= rounds; round++) {
    const from = Date.now() + leadMs;
    const instants = Array.from({ length: instantsPerRound }, () => from + Math.floor(random() * spanMs));
    for (let i = 0; i < perRound; i++) {
      // Half are told where they fire, half are work for the runtime.
      const type = i % 2 === 0 ? "remind" : "ask";
      await make(state, { name: `Round ${round}, ${i}`, at: instants[i % instantsPerRound] ?? from, type });
    }
    // Just before one of them, at it, or while it is being acted on.
    const target = instants[Math.floor(random() * instantsPerRound)] ?? from;
    await pause(Math.max(0, target - Date.now() - 30 + random() * 150));
    await Promise.all([state.close(), appliance.kill()]);
    ({ appliance, state } = await open());
    console.log(`kill ${round}: up again after ${appliance.startMs.toFixed(0)} ms`);
  }
  const asks = rounds * Math.floor(perRound / 2);
  const problems = await count(state, rounds * perRound, asks);
  for (const problem of problems) console.error(problem);
  console.log(`schedule drill: ${rounds} kills of seed ${seed}, ${rounds * perRound} times, ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
  await state.close();
  await appliance.stop();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

async function open(): Promise<{ appliance: LabAppliance; state: OpenState }> {
  const appliance = await startLab({ dataDir });
  const adminKey = readFileSync(join(dataDir, "keys/admin.key"), "utf8").trim();
  return { appliance, state: openState({ url: appliance.url, adminKey }) };
}

type Wish = { readonly name: string; readonly at: number; readonly type: "remind" | "ask" };

async function make(state: OpenState, { name, at, type }: Wish): Promise<void> {
  const spec: ScheduleSpec = {
    name,
    prompt: "",
    rule: { type: "once", at, zone: "UTC" },
    action: { type },
    backend: "persistent",
    overlap: "skip",
    misfire: "coalesce",
  };
  await state.mutation(internal.schedules.create, { spec, nextAts: [at] });
}

async function count(state: OpenState, expected: number, asks: number): Promise<string[]> {
  const begun = Date.now();
  for (;;) {
    const occurrences = await rowsOf(state, "occurrences");
    const isOver = occurrences.length >= expected && occurrences.every(({ state: became }) => became !== "open");
    if (!isOver && Date.now() - begun < patienceMs) {
      await pause(500);
      continue;
    }
    const schedules = await rowsOf(state, "schedules");
    const jobs = (await rowsOf(state, "jobs")).filter(({ kind }) => kind === "schedules.run");
    const done = occurrences.filter(({ state: became }) => became === "done");
    const each = new Map<string, number>();
    for (const { scheduleId } of occurrences) each.set(scheduleId, (each.get(scheduleId) ?? 0) + 1);
    return [
      schedules.length === expected ? "" : `${schedules.length} schedules are kept, not ${expected}`,
      ...schedules.map(({ _id, name }) => (each.get(_id) === 1 ? "" : `${name} happened ${each.get(_id) ?? 0} times`)),
      done.length === expected ? "" : `${done.length} times are done, not ${expected}`,
      jobs.length === asks ? "" : `${jobs.length} jobs were made, not ${asks}`,
      schedules.some(({ fired }) => fired !== 1) ? "a schedule counts its times wrongly" : "",
    ].filter((problem) => problem !== "");
  }
}

/** Numerical Recipes' linear congruential generator: the same drill for the same seed. */
function lcg(start: number): () => number {
  let value = start >>> 0;
  return () => (value = (Math.imul(value, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}
