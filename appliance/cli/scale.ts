/** `nika scale`: machines rented for work that waits. */
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { ProviderId } from "../../convex/model/gpu.ts";
import { decide, type PoolMachine, type ScaleInput, type WorkClass } from "../../convex/model/scale.ts";
import type { ScalingPlan, ScalingView } from "../../convex/model/scaling.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { whyNothingIsRented } from "./gpuConnect.ts";
import { countOf, oneLine, spanOf, table } from "./text.ts";

export type ScaleChanges = {
  readonly isOn?: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly wait?: number;
  readonly cpu?: number;
  readonly memory?: number;
  readonly queue?: number;
  readonly providers?: readonly ProviderId[] | "any";
  readonly image?: string;
  readonly isInEu?: boolean;
  readonly maySpot?: boolean;
};

type JsonOption = { readonly json: boolean };
const shownMax = 10;
const percent = (share: number): string => `${Math.round(share * 100)} %`;

export async function runScale(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const view = await (await client.http()).query(api.scaling.get, {});
  if (json) return terminal.json(view);
  for (const line of settingLines(view)) terminal.line(line);
  if (view.settings.isOn) await tellObstacle(terminal, client, view.where);
  for (const line of lookLines(view, Date.now())) terminal.line(line);
  const decisions = view.decisions.slice(0, shownMax);
  if (decisions.length > 0) terminal.line("Decided, newest first:");
  for (const { at, says, where } of decisions)
    terminal.line(
      `  ${new Date(at).toISOString().slice(0, 19).replace("T", " ")}  ${oneLine(says)}${where === undefined ? "" : ` ${oneLine(where)}`}`,
    );
}

export async function runScaleSet(terminal: Terminal, client: Client, changes: ScaleChanges): Promise<void> {
  const http = await client.http();
  const before = await http.query(api.scaling.get, {});
  await http.mutation(api.scaling.set, changed(before, changes));
  const after = await http.query(api.scaling.get, {});
  for (const line of settingLines(after)) terminal.line(line);
  if (after.settings.isOn) await tellObstacle(terminal, client, after.where);
}

async function tellObstacle(terminal: Terminal, client: Client, { providers }: ScalingPlan["where"]): Promise<void> {
  // This machine and those one has are not rented.
  if (providers?.every((id) => id === "local" || id === "ssh") === true) return;
  const obstacle = await whyNothingIsRented(client);
  if (obstacle !== undefined) terminal.line(terminal.style("yellow", obstacle));
}

/** What is not mentioned stays as it is. */
export function changed({ settings, where }: ScalingPlan, changes: ScaleChanges): ScalingPlan {
  const { isOn, min, max, wait, cpu, memory, queue, providers, image, isInEu, maySpot } = changes;
  const { providers: before, ...rest } = where;
  const from = providers === undefined ? before : providers === "any" ? undefined : [...providers];
  return {
    settings: {
      isOn: isOn ?? settings.isOn,
      min: min ?? settings.min,
      max: max ?? settings.max,
      cpuMax: cpu ?? settings.cpuMax,
      memoryMax: memory ?? settings.memoryMax,
      queueMax: queue ?? settings.queueMax,
      targetWaitMs: wait ?? settings.targetWaitMs,
    },
    where: {
      ...rest,
      ...(from && { providers: from }),
      ...(image !== undefined && { image }),
      ...(isInEu !== undefined && { isInEu }),
      ...(maySpot !== undefined && { maySpot }),
    },
  };
}

function settingLines({ settings, where }: ScalingPlan): string[] {
  const { isOn, min, max, cpuMax, memoryMax, queueMax, targetWaitMs } = settings;
  const from = where.providers?.join(", ") ?? "any provider that is set up, but not this machine";
  return [
    isOn ? `On: ${min} to ${countOf(max, "machine")}.` : "Off: nothing is rented. `nika scale on` begins.",
    `From ${from}${where.isInEu ? ", in the European Union only" : ""}${where.maySpot ? ", spot too" : ""}${where.image === undefined ? "" : `, with the image ${oneLine(where.image)}`}.`,
    `Work is to begin within ${spanOf(targetWaitMs)}. Looked into beyond ${percent(cpuMax)} of the processors, ${percent(memoryMax)} of memory or ${countOf(queueMax, "job")} that wait.`,
  ];
}

function lookLines({ look }: ScalingView, now: number): string[] {
  if (!look) return ["Not looked at yet."];
  const { at, says, where, signals, work, home, pool } = look;
  return [
    `Looked ${spanOf(now - at)} ago: ${oneLine(says)}${where === undefined ? "" : ` ${oneLine(where)}`}`,
    `Processors ${percent(signals.cpu)}, memory ${percent(signals.memory)}; here ${home.busy} of ${countOf(home.slots, "place")} busy.`,
    ...table(workRows(work, at), { width: 100, give: [0] }).map((line) => `  ${line}`),
    ...table(poolRows(pool, at), { width: 100, give: [0] }).map((line) => `  ${line}`),
  ];
}

const workRows = (work: readonly WorkClass[], at: number): string[][] =>
  work
    .filter(({ waiting, running }) => waiting + running > 0)
    .map(({ name, waiting, running, oldestAt, meanMs }) => [
      name,
      `${waiting} wait`,
      `${running} run`,
      oldestAt === undefined ? "" : `the first for ${spanOf(Math.max(0, at - oldestAt))}`,
      `${spanOf(meanMs)} each`,
    ]);

const poolRows = (pool: readonly PoolMachine[], at: number): string[][] =>
  pool.map(({ id, state, askedAt, busy, slots }) => [id, state, `${busy} of ${slots} busy`, `for ${spanOf(at - askedAt)}`]);

/** The last decisions once more: the same rule on what was seen must say the same. */
export async function runScaleWhy(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const http = await client.http();
  const { decisions } = await http.query(api.scaling.get, {});
  const told = [];
  for (const { id, at } of decisions.slice(0, shownMax)) {
    const { input, add, remove, says } = await http.query(api.scaling.replay, { id });
    const again = decide(JSON.parse(input) as ScaleInput);
    const isSame = again.add === add && again.says === says && JSON.stringify(again.remove) === JSON.stringify(remove);
    told.push({ at, says, isSame, openedBy: again.openedBy, backlogMs: again.backlogMs, input: JSON.parse(input) as ScaleInput });
  }
  if (told.length === 0) throw new NikaError("missing", "Nothing was decided yet.");
  if (json) return terminal.json(told);
  for (const { at, says, isSame, openedBy, input } of told) {
    const waits = input.work.reduce((sum, { waiting }) => sum + waiting, 0);
    terminal.line(`${new Date(at).toISOString().slice(0, 19).replace("T", " ")}  ${oneLine(says)}`);
    terminal.line(
      `    opened by ${openedBy.join(", ") || "nothing"}; ${countOf(waits, "job")} waited, ${countOf(input.pool.length, "machine")} there; ${isSame ? "decided the same again" : "would be decided otherwise now"}`,
    );
  }
}
