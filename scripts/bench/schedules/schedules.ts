/**
 * What many schedules cost: ten thousand of them while nothing is due, and a thousand that are due at one instant. The whole appliance, as
 * a person runs it; reminders, which need no worker, and questions, which do. `npm run bench -- schedules [SCHEDULES] [DUE]`
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openState } from "../../../appliance/state.ts";
import { internal } from "../../../convex/_generated/api.js";
import { plannedMax, type ScheduleSpec } from "../../../convex/model/schedule.ts";
import type { Rule } from "../../../convex/model/recurrence.ts";
import type { State } from "../../../functions/ports/state.ts";
import { nextInstants } from "../../../ml/time/next.ts";
import { startLab } from "../../lab/appliance.ts";
import { startsOf } from "../../lab/schedules.ts";

const [total = 10_000, due = 1_000] = process.argv.slice(2).map(Number);
const watchedMs = 60_000;
const sideBySide = 32;
/** For each, on a machine that is busy with other things; they are to be there before they are due. */
const makingMs = 40;
const minuteMs = 60_000;
const dir = mkdtempSync(join(tmpdir(), "nika-schedules-"));

function figure(name: string, value: number, unit: string, goal?: { text: string; met: boolean }): void {
  const rounded = Math.round(value * 1_000) / 1_000;
  console.log(
    JSON.stringify({ name, value: rounded, unit, peer: null, ratio: null, goal: goal?.text ?? null, met: goal?.met ?? null }),
  );
}
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

try {
  const appliance = await startLab({ dataDir: join(dir, "data") });
  const adminKey = readFileSync(join(dir, "data/keys/admin.key"), "utf8").trim();
  const state = openState({ url: appliance.url, adminKey });
  await idle(appliance.pid, "while there are none");

  const begun = performance.now();
  await fill(state, total);
  figure(`making schedules, ${total} of them`, total / ((performance.now() - begun) / 1_000), "schedules/s");
  await pause(5_000);
  const share = await idle(appliance.pid, `with ${total}, none due`);
  figure(`next-fire bookkeeping of ${total}`, share, "% of a core", { text: "<= 1", met: share <= 1 });

  // Told in the transaction that fires them; and as work for the runtime, which claims, does and settles each.
  for (const [what, action] of [
    ["reminders", { type: "remind" }],
    ["questions", { type: "ask" }],
  ] as const) {
    const at = Math.ceil((Date.now() + 5_000 + due * makingMs) / 1_000) * 1_000;
    await many(due, (i) => make(state, { name: `Due ${i}`, rule: { type: "once", at, zone: "UTC" }, action }));
    if (Date.now() >= at) throw new Error("this machine is too slow to make that many before they are due");
    await pause(at - Date.now());
    const before = cpuMs(appliance.pid);
    const starts = await startsOf(state, at, due);
    figure(`${due} ${what} due at one instant: processor time each, until done`, (cpuMs(appliance.pid) - before) / due, "ms");
    const late = starts.map((start) => start - at).toSorted((one, other) => one - other);
    const last = late.at(-1) ?? Number.NaN;
    figure(`${due} ${what} due at one instant: the first starts after`, late[0] ?? Number.NaN, "ms");
    figure(`${due} ${what} due at one instant: half have started after`, late[Math.floor(late.length / 2)] ?? Number.NaN, "ms");
    figure(`${due} ${what} due at one instant: all have started after`, last, "ms", { text: "<= 2000", met: last <= 2_000 });
  }
  await state.close();
  await appliance.stop();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

/** Daily and hourly ones, at minutes that the measurement does not meet. */
async function fill(state: State, count: number): Promise<void> {
  const now = new Date();
  const away = (i: number): string => String((now.getUTCMinutes() + 10 + (i % 45)) % 60).padStart(2, "0");
  const hours = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0"));
  await many(count, (i) => {
    const times = i % 2 === 0 ? [`${hours[i % 24]}:${away(i)}`] : hours.map((hour) => `${hour}:${away(i)}`);
    const rule: Rule = { type: "calendar", zone: "Europe/Paris", times, days: { type: "every" } };
    return make(state, { name: `Schedule ${i}`, rule, action: { type: "remind" } });
  });
}

async function make(state: State, { name, rule, action }: Pick<ScheduleSpec, "name" | "rule" | "action">): Promise<void> {
  const spec: ScheduleSpec = {
    name,
    prompt: "Look at the mail",
    rule,
    action,
    backend: "persistent",
    overlap: "skip",
    misfire: "coalesce",
  };
  await state.mutation(internal.schedules.create, { spec, nextAts: nextInstants(rule, Date.now(), plannedMax) });
}

async function many(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: sideBySide }, worker));
}

/** Of one core, in per cent, over a minute. */
async function idle(pid: number, when: string): Promise<number> {
  const [from, begun] = [cpuMs(pid), performance.now()];
  await pause(watchedMs);
  const share = (100 * (cpuMs(pid) - from)) / (performance.now() - begun);
  figure(`processor time ${when}, over ${watchedMs / minuteMs} min`, share, "% of a core");
  return share;
}

/** User and system time of a process; the kernel counts in hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
