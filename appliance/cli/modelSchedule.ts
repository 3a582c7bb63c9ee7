/** `nika model schedule`: when a model is trained by itself, and what becomes of a better one. */
import { api } from "../../convex/_generated/api.js";
import { recurrenceLabel } from "../../convex/model/recurrenceLabel.ts";
import type { ScheduleView } from "../../convex/model/schedule.ts";
import type { Client } from "./client.ts";
import { ownLanguage, ownZone, whenOf } from "./schedule.ts";
import type { Terminal } from "./terminal.ts";

/** At an hour when most machines have little else to do. */
const usual: Record<string, string> = { weekly: "every Sunday at 3 AM", monthly: "every month on the 1st at 3 AM" };

export type ModelScheduleOptions = {
  /** "weekly", "monthly", "off", or when in words; undefined only shows what there is. */
  readonly when: string | undefined;
  readonly deploy: boolean;
  readonly zone: string | undefined;
  readonly json: boolean;
};

export async function runModelSchedule(
  terminal: Terminal,
  client: Client,
  { when, deploy, zone = ownZone(), json }: ModelScheduleOptions,
): Promise<void> {
  const authorization = `Bearer ${await client.token()}`;
  const http = await client.http();
  const all = (await http.query(api.schedules.list, {})).filter(({ action }) => action.type === "learn");
  let now = all;
  if (when !== undefined && when !== "off") {
    const action = { type: "learn", deploys: deploy };
    const body = { text: usual[when] ?? when, zone, name: "Training of a model", prompt: "", action };
    now = [await client.post<ScheduleView>("/api/schedules", { authorization, body })];
  }
  if (when === "off") now = [];
  // The new one is kept before the old ones go.
  if (when !== undefined) for (const { id } of all) await client.send("DELETE", `/api/schedules/${id}`, { authorization });
  if (json) return terminal.json(now);
  if (now.length === 0)
    return terminal.line("No model is trained by itself; `nika model schedule weekly` has one trained each week.");
  const reader = { language: ownLanguage(), zone };
  for (const { rule, action, nextAts, isEnabled } of now) {
    const next = isEnabled && nextAts[0] !== undefined ? `; next ${whenOf(nextAts[0], reader)}` : "; off";
    const becomes =
      action.type === "learn" && action.deploys ? "a better one is put in force" : "a better one waits for `nika model deploy`";
    terminal.line(`${recurrenceLabel(rule, reader)}${next}; ${becomes}.`);
  }
}
