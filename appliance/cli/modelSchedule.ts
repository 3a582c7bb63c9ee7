/** `nika model schedule`: when a model is trained by itself, and what becomes of a better one. */
import { api } from "../../convex/_generated/api.js";
import { recurrenceLabel } from "../../convex/model/recurrenceLabel.ts";
import type { ScheduleView } from "../../convex/model/schedule.ts";
import { NikaError } from "../../convex/model/error.ts";
import { nothingBetter, type LoraWish } from "../../convex/model/model.ts";
import type { Client } from "./client.ts";
import { ownLanguage, ownZone, whenOf } from "./schedule.ts";
import { moneyOf } from "./gpu.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine } from "./text.ts";

/** At an hour when most machines have little else to do. */
const usual: Record<string, string> = { weekly: "every Sunday at 3 AM", monthly: "every month on the 1st at 3 AM" };

export type ModelScheduleOptions = {
  /** "weekly", "monthly", "off", or when in words; undefined only shows what there is. */
  readonly when: string | undefined;
  readonly deploy: boolean;
  readonly lora: LoraWish | undefined;
  readonly zone: string | undefined;
  readonly json: boolean;
};

export async function runModelSchedule(
  terminal: Terminal,
  client: Client,
  { when, deploy, lora, zone = ownZone(), json }: ModelScheduleOptions,
): Promise<void> {
  if (lora && (when === undefined || when === "off"))
    throw new NikaError("invalid", "Say when with it: `nika model schedule weekly --with lora`.");
  const authorization = `Bearer ${await client.token()}`;
  const http = await client.http();
  const all = (await http.query(api.schedules.list, {})).filter(({ action }) => action.type === "learn");
  let now = all;
  if (when !== undefined && when !== "off") {
    const action = { type: "learn", deploys: deploy, ...(lora && { lora }) };
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
    const way = action.type === "learn" && action.lora ? `; ${loraText(action.lora)}` : "";
    terminal.line(`${recurrenceLabel(rule, reader)}${next}${way}; ${becomes}.`);
  }
  const isTable = now.some(({ action }) => action.type === "learn" && !action.lora);
  if (isTable && (await http.query(api.models.outlook, {})).knowsMeanings)
    terminal.line(`Nothing will be trained while what is in force stays so: ${nothingBetter}`);
}

const loraText = ({ base = "the usual base", costMax }: LoraWish): string =>
  `beside ${oneLine(base)}, ${costMax ? `on a rented GPU for at most ${moneyOf(costMax)} each time` : "on machines of yours"}`;
