/** `nika host`: upkeep that the machine's own cron does, whether Nika runs or not. */
import { api } from "../../convex/_generated/api.js";
import { recurrenceLabel } from "../../convex/model/recurrenceLabel.ts";
import { isScript, scripts, type ScheduleView } from "../../convex/model/schedule.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Config } from "../config.ts";
import { runHostJob, type HostRun } from "../host/hostRun.ts";
import type { HostReport } from "../host/hostSchedules.ts";
import { runUpkeep } from "../host/upkeep.ts";
import { openClient, type Client } from "./client.ts";
import { ownLanguage, ownZone, whenOf } from "./schedule.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, table } from "./text.ts";

type JsonOption = { readonly json: boolean };

export async function runHostAdd(
  terminal: Terminal,
  client: Client,
  script: string,
  { text, zone = ownZone(), json }: JsonOption & { readonly text: string; readonly zone: string | undefined },
): Promise<void> {
  if (!isScript(script))
    throw new NikaError("invalid", `The machine can do these: ${scripts.join(", ")}; nothing else is ever run from words.`);
  const schedule = await client.post<ScheduleView>("/api/schedules", {
    authorization: `Bearer ${await client.token()}`,
    body: { text, zone, name: script, prompt: "", action: { type: "upkeep", script } },
  });
  if (json) return terminal.json(schedule);
  const reader = { language: ownLanguage(), zone };
  terminal.line(`${script} · ${recurrenceLabel(schedule.rule, reader)}`);
  terminal.line(
    `  next: ${schedule.nextAts
      .slice(0, 3)
      .map((at) => whenOf(at, reader))
      .join(" · ")}`,
  );
}

/** Returns whether the crontab is as it should be. */
export async function runHostList(terminal: Terminal, client: Client, { json }: JsonOption): Promise<boolean> {
  const authorization = `Bearer ${await client.token()}`;
  const all = await (await client.http()).query(api.schedules.list, {});
  const schedules = all.filter(({ backend }) => backend === "host");
  const report = await client.get<HostReport>("/api/schedules/host", { authorization });
  if (json) {
    terminal.json({ schedules, ...report });
    return report.drift === undefined;
  }
  if (schedules.length === 0)
    terminal.line(
      `The machine's cron does nothing for Nika; \`nika host add backup every night at 2 AM\` makes it. It can: ${scripts.join(", ")}.`,
    );
  const reader = { language: ownLanguage(), zone: ownZone() };
  const rows = schedules.map(({ id, name, rule, isEnabled, nextAts: [next] }) => [
    oneLine(name),
    recurrenceLabel(rule, reader),
    isEnabled && next !== undefined ? `next ${whenOf(next, reader)}` : "off",
    id,
  ]);
  for (const line of table(rows, { width: terminal.width, give: [0, 1] })) terminal.line(line);
  if (!report.drift) return true;
  terminal.line("The crontab is not what it should be; `nika host sync` puts it right.");
  for (const line of report.drift.missing) terminal.line(`  missing: ${line}`);
  for (const line of report.drift.foreign) terminal.line(`  not ours: ${line}`);
  return false;
}

export async function runHostSync(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const report = await client.post<HostReport>("/api/schedules/host", {
    authorization: `Bearer ${await client.token()}`,
    body: {},
  });
  if (json) terminal.json(report);
  else terminal.line(`The crontab has ${report.lines.length} ${report.lines.length === 1 ? "line" : "lines"} of Nika's.`);
}

type RunOptions = JsonOption & { readonly isForced: boolean; readonly program: string };

/** What cron runs. Silent when it is none of the schedule's times; returns the script's exit code. */
export async function runHostRun(
  terminal: Terminal,
  config: Config,
  id: string,
  { isForced, json, program }: RunOptions,
): Promise<number> {
  const { dataDir } = config;
  const run = await runHostJob(id, {
    dataDir,
    isForced,
    now: () => Date.now(),
    command: (script) => [process.execPath, program, "--data", dataDir, "host", "do", script],
  });
  if (!run) return 0;
  await report(config, run);
  if (json) terminal.json(run);
  else terminal.line(oneLine(run.text));
  return run.code;
}

/** Nika may be down: then the log alone knows. */
async function report(config: Config, { id, occurrence, end, code, text }: HostRun): Promise<void> {
  try {
    const client = openClient(config);
    await client.post(`/api/schedules/${id}/occurrences`, {
      authorization: `Bearer ${await client.token()}`,
      body: { at: occurrence, endedAt: end, code, text },
    });
  } catch {
    // The line in host.jsonl is written already.
  }
}

export async function runHostDo(terminal: Terminal, { dataDir }: Config, script: string): Promise<void> {
  if (!isScript(script)) throw new NikaError("invalid", `The machine can do these: ${scripts.join(", ")}.`);
  terminal.line(await runUpkeep(script, { dataDir, now: Date.now() }));
}
