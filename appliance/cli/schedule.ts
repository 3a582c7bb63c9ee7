/** `nika schedule`: what is to happen when, made and changed in plain words. */
import { api } from "../../convex/_generated/api.js";
import { recurrenceLabel, type LabelLanguage } from "../../convex/model/recurrenceLabel.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { ScheduleView, Task } from "../../convex/model/schedule.ts";
import type { Said } from "../../functions/schedules/say.ts";
import type { Preview } from "../../functions/schedules/understand.ts";
import { languageOf } from "../../ml/phrase/parse.ts";
import { matchTarget } from "../../ml/phrase/request.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, table, wrap } from "./text.ts";

type JsonOption = { readonly json: boolean };
export type ScheduleVerb = "pause" | "resume" | "remove" | "run";

/** The clock on this terminal's wall, which the words were said by. */
export const ownZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;
export const ownLanguage = (): LabelLanguage => (/^fr/iu.test(new Intl.DateTimeFormat().resolvedOptions().locale) ? "fr" : "en");

/** Says a sentence about schedules; `isDryRun` only shows what it would do. */
export async function runSay(
  terminal: Terminal,
  client: Client,
  text: string,
  { zone = ownZone(), isDryRun, json }: JsonOption & { readonly zone: string | undefined; readonly isDryRun: boolean },
): Promise<void> {
  const authorization = `Bearer ${await client.token()}`;
  const said = await client.post<Said>("/api/schedules/say", { authorization, body: { text, zone, dryRun: isDryRun } });
  const language = languageOf(text);
  if (json) terminal.json(said);
  else
    for (const line of saidLines(said, { language, zone, isDryRun }))
      for (const part of wrap(line, terminal.width)) terminal.line(part);
  mustBeDone(said);
}

/** Whoever scripts this learns from the exit code that nothing was done. */
export function mustBeDone(said: Said): void {
  if (said.type === "unknown")
    throw new NikaError("missing", `There is no schedule called "${oneLine(said.target)}"; see \`nika schedule list\`.`);
  if (said.type === "which") throw new NikaError("conflict", "Several schedules are called that; say more of the name.");
  if (said.type === "preview" && said.preview.type === "none")
    throw new NikaError("invalid", "No time was understood in that; say when, such as “every Monday at 8 AM”.");
  if (said.type === "preview" && said.preview.type === "ask") throw new NikaError("invalid", said.preview.question);
}

export type Reader = { readonly language: LabelLanguage; readonly zone: string; readonly isDryRun: boolean };

function saidLines(said: Said, reader: Reader): string[] {
  if (said.type === "created") return previewLines(said.preview, reader);
  if (said.type === "preview")
    return said.preview.type === "rule" ? [...previewLines(said.preview, reader), "Nothing was kept."] : [];
  if (said.type === "listed") return listLines(said.schedules, reader, 100);
  if (said.type === "which") return said.schedules.map(({ name }) => `- ${oneLine(name)}`);
  if (said.type === "unknown") return [];
  const { schedule, type } = said;
  const became = { changed: "changed", paused: "paused", resumed: "on again", deleted: "deleted", started: "started" }[type];
  const label = type === "deleted" ? "" : ` · ${recurrenceLabel(schedule.rule, reader)}`;
  return [`${oneLine(schedule.name)}: ${reader.isDryRun ? "would be " : ""}${became}${label}`];
}

function doing(action: Task["action"]): string {
  if (action.type === "message") return `message to ${action.target}`;
  return action.type === "function" ? `function ${action.name}` : action.type;
}

export function previewLines(preview: Preview, reader: Reader): string[] {
  if (preview.type !== "rule") return [];
  const { spec, label, next, assumptions, warnings, stopWhen } = preview;
  return [
    `${oneLine(spec.name)} · ${label}`,
    `  next: ${next.map((at) => whenOf(at, reader)).join(" · ")}`,
    ...(spec.action.type === "run"
      ? spec.action.tasks.map(({ text, action }, i) => `  ${i + 1}. ${[oneLine(text), `(${doing(action)})`].join(" ").trim()}`)
      : []),
    ...(spec.backend === "session" ? ["  kept with this session, and ends with it"] : []),
    ...(stopWhen === undefined ? [] : [`  until: ${oneLine(stopWhen)}`]),
    ...assumptions.map((line) => `  assumed: ${line}`),
    ...warnings.map((line) => `  note: ${line}`),
  ];
}

export async function runScheduleList(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const schedules = await (await client.http()).query(api.schedules.list, {});
  if (json) return terminal.json(schedules);
  if (schedules.length === 0)
    return terminal.line('Nothing is scheduled; `nika schedule add "every Monday at 8 AM read the news"` does.');
  for (const line of listLines(schedules, { language: ownLanguage(), zone: ownZone() }, terminal.width)) terminal.line(line);
}

function listLines(schedules: readonly ScheduleView[], reader: Omit<Reader, "isDryRun">, width: number): string[] {
  const rows = schedules.map((schedule) => [
    oneLine(schedule.name),
    recurrenceLabel(schedule.rule, reader),
    stateOf(schedule, reader),
    schedule.backend === "persistent" ? "" : schedule.backend,
  ]);
  return table(rows, { width, give: [0, 1] });
}

function stateOf({ isEnabled, pausedUntil, nextAts: [next] }: ScheduleView, reader: Omit<Reader, "isDryRun">): string {
  if (!isEnabled) return pausedUntil === undefined ? "off" : `off until ${whenOf(pausedUntil, reader)}`;
  return next === undefined ? "over" : `next ${whenOf(next, reader)}`;
}

/** One schedule, and what became of its last times. */
export async function runScheduleShow(terminal: Terminal, client: Client, name: string, { json }: JsonOption): Promise<void> {
  const http = await client.http();
  const schedule = pick(await http.query(api.schedules.list, {}), name);
  const occurrences = await http.query(api.schedules.occurrences, { id: schedule.id, limit: 20 });
  if (json) return terminal.json({ ...schedule, occurrences });
  const reader = { language: ownLanguage(), zone: ownZone() };
  terminal.line(`${oneLine(schedule.name)} · ${recurrenceLabel(schedule.rule, reader)} · ${stateOf(schedule, reader)}`);
  if (schedule.prompt !== "") for (const line of wrap(oneLine(schedule.prompt), terminal.width - 2)) terminal.line(`  ${line}`);
  terminal.line(
    `  ${schedule.action.type} · ${schedule.backend} · happened ${schedule.fired} times · version ${schedule.version}`,
  );
  const rows = occurrences.map(({ at, state, isLate, text }) => [
    whenOf(at, reader),
    isLate ? `${state}, late` : state,
    oneLine(text ?? ""),
  ]);
  for (const line of table(rows, { width: terminal.width, give: [2] })) terminal.line(line);
}

export async function runScheduleVerb(
  terminal: Terminal,
  client: Client,
  verb: ScheduleVerb,
  { name, json }: JsonOption & { readonly name: string },
): Promise<void> {
  const schedule = pick(await (await client.http()).query(api.schedules.list, {}), name);
  const authorization = `Bearer ${await client.token()}`;
  const path = `/api/schedules/${schedule.id}`;
  const ifMatch = `"${schedule.version}"`;
  if (verb === "run") await client.post(`${path}/run`, { authorization, body: {} });
  else if (verb === "remove") await client.send("DELETE", path, { authorization });
  else await client.send("PATCH", path, { authorization, ifMatch, body: { enabled: verb === "resume" } });
  const became = { pause: "off", resume: "on", remove: "deleted", run: "started" }[verb];
  if (json) terminal.json({ id: schedule.id, name: schedule.name, became });
  else terminal.line(`${oneLine(schedule.name)}: ${became}`);
}

/** Another time, another task, or both; what the words leave open stays. */
export async function runScheduleChange(
  terminal: Terminal,
  client: Client,
  name: string,
  { text, prompt, json }: JsonOption & { readonly text: string; readonly prompt: string | undefined },
): Promise<void> {
  const schedule = pick(await (await client.http()).query(api.schedules.list, {}), name);
  const authorization = `Bearer ${await client.token()}`;
  const body = { ...(text !== "" && { text, zone: ownZone() }), ...(prompt !== undefined && { prompt }) };
  if (Object.keys(body).length === 0) throw new NikaError("invalid", "Say what to change, such as “at 9 AM”, or --prompt.");
  const changed = await client.send<ScheduleView>("PATCH", `/api/schedules/${schedule.id}`, {
    authorization,
    ifMatch: `"${schedule.version}"`,
    body,
  });
  if (json) return terminal.json(changed);
  for (const line of listLines([changed], { language: ownLanguage(), zone: ownZone() }, terminal.width)) terminal.line(line);
}

function pick(schedules: readonly ScheduleView[], name: string): ScheduleView {
  const byId = schedules.find(({ id }) => id === name);
  if (byId) return byId;
  const match = matchTarget(name, schedules, (schedule) => schedule.name);
  if (match.type === "none")
    throw new NikaError("missing", `There is no schedule called "${oneLine(name)}"; see \`nika schedule list\`.`);
  if (match.type === "many")
    throw new NikaError(
      "conflict",
      `Several schedules are called that: ${match.items.map((item) => oneLine(item.name)).join(", ")}.`,
    );
  return match.item;
}

export function whenOf(at: number, { language, zone }: { readonly language: LabelLanguage; readonly zone: string }): string {
  return new Intl.DateTimeFormat(language === "fr" ? "fr-FR" : "en-GB", {
    timeZone: zone,
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  }).format(at);
}
