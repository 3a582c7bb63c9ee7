/** Schedules over HTTP: what a page, the command line and agents use. Every edit names the version it saw. */
import { toTarget } from "../../convex/model/bridge.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { LoraWish } from "../../convex/model/model.ts";
import {
  isScript,
  scripts,
  vAction,
  vMisfire,
  vOverlap,
  type Action,
  type Misfire,
  type ScheduleSpec,
  type ScheduleView,
} from "../../convex/model/schedule.ts";
import { toFunctionName } from "../../convex/model/userFunction.ts";
import type { HostReport } from "../host/hostSchedules.ts";
import type { Preview } from "../../functions/schedules/understand.ts";
import { toTask } from "../../functions/schedules/tasks.ts";
import { toSpec, type Said, type Saying } from "../../functions/schedules/say.ts";

/** What the routes ask of the appliance. */
export type Schedules = {
  readonly say: (saying: Saying, signal: AbortSignal) => Promise<Said>;
  readonly understand: (wish: {
    readonly text: string;
    readonly zone: string;
    readonly existing?: ScheduleSpec;
  }) => Promise<Preview>;
  readonly list: () => Promise<readonly ScheduleView[]>;
  readonly find: (id: string) => Promise<ScheduleView>;
  readonly keep: (spec: ScheduleSpec) => Promise<ScheduleView>;
  readonly edit: (
    schedule: ScheduleView,
    changes: {
      readonly version: number;
      readonly spec?: ScheduleSpec;
      readonly isEnabled?: boolean;
      readonly pausedUntil?: number;
    },
  ) => Promise<ScheduleView>;
  readonly remove: (id: string) => Promise<void>;
  readonly start: (id: string) => Promise<void>;
  /** A session lives that much longer, a day in all at most; with it live the schedules that are kept with it. */
  readonly holdSession: (sessionId: string, holdMs: number) => Promise<{ readonly until: number; readonly endsAt: number }>;
  readonly endSession: (sessionId: string) => Promise<void>;
  /** The lines that the machine's crontab should have, and how it differs. */
  readonly lookAtHost: () => Promise<HostReport>;
  /** Puts the crontab right. */
  readonly syncHost: () => Promise<HostReport>;
  readonly report: (id: string, report: Report) => Promise<void>;
  /** This machine's own clock, for whoever does not say. */
  readonly zone: string;
};

/** What the machine's cron did. */
export type Report = { readonly at: number; readonly endedAt: number; readonly code: number; readonly text: string };

export type ScheduleRequest = {
  readonly method: string;
  readonly path: string;
  /** The value of If-Match. */
  readonly ifMatch: string | undefined;
  readonly body: () => Promise<Record<string, unknown>>;
  readonly signal: AbortSignal;
};
export type ScheduleAnswer = { readonly status: number; readonly body?: object; readonly etag?: string };

const prefix = "/api/schedules";

/** Undefined when the path is none of ours. What is wrong with a request is a NikaError. */
export async function answerSchedules(schedules: Schedules, request: ScheduleRequest): Promise<ScheduleAnswer | undefined> {
  const { method, path, signal } = request;
  if (path !== prefix && !path.startsWith(`${prefix}/`)) return undefined;
  if (path.startsWith(`${prefix}/sessions/`)) return answerSession(schedules, request, path.slice(`${prefix}/sessions/`.length));
  const [id, verb, ...more] = path.slice(prefix.length + 1).split("/");
  const route = `${method} ${id === undefined || id === "" ? "" : id === "say" || id === "host" ? id : "ID"}${verb === undefined ? "" : `/${verb}`}`;
  if (more.length === 0) {
    switch (route) {
      case "GET ":
        return { status: 200, body: { schedules: await schedules.list() } };
      case "POST say":
        return { status: 200, body: await schedules.say(toSaying(await request.body(), schedules.zone), signal) };
      case "POST ":
        return kept(await schedules.keep(await toNew(await request.body(), schedules)), 201);
      case "GET host":
        return { status: 200, body: await schedules.lookAtHost() };
      case "POST host":
        return { status: 200, body: await schedules.syncHost() };
      case "POST ID/occurrences":
        await schedules.report(toId(id), toReport(await request.body()));
        return { status: 204 };
      case "GET ID":
        return kept(await schedules.find(toId(id)));
      case "PATCH ID":
        return patch(schedules, toId(id), request);
      case "DELETE ID":
        await schedules.remove(toId(id));
        return { status: 204 };
      case "POST ID/preview":
        return { status: 200, body: await previewChange(schedules, toId(id), await request.body()) };
      case "POST ID/run":
        await schedules.start(toId(id));
        return { status: 202, body: { status: "started" } };
    }
  }
  throw new NikaError("missing", `There is no ${method} ${path} here.`);
}

/** Without a word on how long. */
const holdMsDefault = 60_000;

async function answerSession(
  schedules: Schedules,
  { method, body }: ScheduleRequest,
  sessionId: string,
): Promise<ScheduleAnswer> {
  if (!/^[\w-]{8,64}$/u.test(sessionId)) throw new NikaError("invalid", "A session's id has 8 to 64 letters and digits.");
  if (method === "DELETE") {
    await schedules.endSession(sessionId);
    return { status: 204 };
  }
  if (method !== "POST") throw new NikaError("missing", "A session is held with POST and ended with DELETE.");
  const { holdMs = holdMsDefault } = await body();
  if (typeof holdMs !== "number") throw new NikaError("invalid", `"holdMs" must be a number of milliseconds.`);
  return { status: 200, body: await schedules.holdSession(sessionId, holdMs) };
}

const kept = (schedule: ScheduleView, status = 200): ScheduleAnswer => ({
  status,
  body: schedule,
  etag: `"${schedule.version}"`,
});

/** What another time would mean for it, before it counts. */
async function previewChange(schedules: Schedules, id: string, body: Record<string, unknown>): Promise<Preview> {
  const existing = toSpec(await schedules.find(id));
  return schedules.understand({
    text: toText(body["text"], "text") ?? "",
    zone: toText(body["zone"], "zone") ?? existing.rule.zone,
    existing,
  });
}

async function patch(schedules: Schedules, id: string, request: ScheduleRequest): Promise<ScheduleAnswer> {
  const version = toVersion(request.ifMatch);
  const body = await request.body();
  const known = new Set(["enabled", "text", "rule", "name", "prompt", "action", "overlap", "misfire", "zone", "pausedUntil"]);
  const unknown = Object.keys(body).find((key) => !known.has(key));
  if (unknown !== undefined) throw new NikaError("invalid", `A schedule has no "${unknown.slice(0, 40)}" to change.`);
  const schedule = await schedules.find(id);
  const { enabled, pausedUntil } = body;
  if (enabled !== undefined && typeof enabled !== "boolean") throw new NikaError("invalid", `"enabled" must be true or false.`);
  if (pausedUntil !== undefined && !(typeof pausedUntil === "number" && Number.isFinite(pausedUntil)))
    throw new NikaError("invalid", `"pausedUntil" must be a number of milliseconds.`);
  const spec = await toChanged(body, schedule, schedules);
  return kept(
    await schedules.edit(schedule, {
      version,
      ...(spec && { spec }),
      ...(enabled !== undefined && { isEnabled: enabled }),
      ...(pausedUntil !== undefined && { pausedUntil }),
    }),
  );
}

async function toChanged(
  body: Record<string, unknown>,
  schedule: ScheduleView,
  schedules: Schedules,
): Promise<ScheduleSpec | undefined> {
  const before = toSpec(schedule);
  let spec: ScheduleSpec = before;
  const text = toText(
    body["text"] ?? (body["rule"] === undefined ? undefined : `cron ${toText(body["rule"], "rule") ?? ""}`),
    "text",
  );
  if (text !== undefined) {
    const preview = await schedules.understand({
      text,
      zone: toText(body["zone"], "zone") ?? before.rule.zone,
      existing: before,
    });
    if (preview.type !== "rule")
      throw new NikaError("invalid", preview.type === "ask" ? preview.question : "No time was understood in that.");
    spec = preview.spec;
  }
  spec = { ...spec, ...toFields(body) };
  return JSON.stringify(spec) === JSON.stringify(before) ? undefined : spec;
}

async function toNew(body: Record<string, unknown>, schedules: Schedules): Promise<ScheduleSpec> {
  const text = toText(body["text"], "text");
  if (text === undefined)
    throw new NikaError("invalid", `Say what and when in "text", such as "every Monday at 8 AM read the news".`);
  const preview = await schedules.understand({ text, zone: toText(body["zone"], "zone") ?? schedules.zone });
  if (preview.type !== "rule")
    throw new NikaError("invalid", preview.type === "ask" ? preview.question : "No time was understood in that.");
  const fields = toFields(body);
  // A session is opened by holding it, which one request cannot. Upkeep is the machine's own.
  return { ...preview.spec, backend: fields.action?.type === "upkeep" ? "host" : "persistent", ...fields };
}

type Fields = { name?: string; prompt?: string; action?: Action; overlap?: ScheduleSpec["overlap"]; misfire?: Misfire };

function toFields(body: Record<string, unknown>): Fields {
  const name = toText(body["name"], "name");
  const prompt = toText(body["prompt"], "prompt");
  const action = toAction(body["action"]);
  const overlap = toWord(
    body["overlap"],
    "overlap",
    vOverlap.members.map(({ value }) => value),
  );
  const misfire = toWord(
    body["misfire"],
    "misfire",
    vMisfire.members.map(({ value }) => value),
  );
  return {
    ...(name !== undefined && { name }),
    ...(prompt !== undefined && { prompt }),
    ...(action && { action }),
    ...(overlap !== undefined && { overlap }),
    ...(misfire !== undefined && { misfire }),
  };
}

function toAction(given: unknown): Action | undefined {
  if (given === undefined) return undefined;
  const { type, ...more } = typeof given === "object" && given !== null ? (given as Record<string, unknown>) : { type: given };
  if (type === "remind" || type === "ask") return { type };
  const { script, target, name } = more;
  if (type === "message" && typeof target === "string") return { type, target: toTarget(target) };
  if (type === "message") throw new NikaError("invalid", `Say in "target" which agent gets the message.`);
  if (type === "function" && typeof name === "string") return { type, name: toFunctionName(name) };
  if (type === "function") throw new NikaError("invalid", `Say in "name" which function runs.`);
  if (type === "run" && Array.isArray(more["tasks"]))
    return { type, tasks: more["tasks"].map(toTask), isInTurn: more["isInTurn"] === true };
  if (type === "run") throw new NikaError("invalid", `Name in "tasks" what is to be done.`);
  if (type === "learn") {
    const lora = toLora(more["lora"]);
    return { type, deploys: more["deploys"] === true, ...(lora && { lora }) };
  }
  if (type === "upkeep" && isScript(script)) return { type, script };
  if (type === "upkeep") throw new NikaError("invalid", `"script" must be one of ${scripts.join(", ")}.`);
  throw new NikaError("invalid", `"action" must be one of ${vAction.members.map(({ fields }) => fields.type.value).join(", ")}.`);
}

function toLora(given: unknown): LoraWish | undefined {
  if (given === undefined) return undefined;
  const { base, costMax } = typeof given === "object" && given !== null ? (given as Record<string, unknown>) : {};
  const named = toText(base, "lora.base");
  if (costMax === undefined) return named === undefined ? {} : { base: named };
  const { micros, currency } = typeof costMax === "object" && costMax !== null ? (costMax as Record<string, unknown>) : {};
  const isAmount = typeof micros === "number" && Number.isInteger(micros) && micros > 0;
  if (!isAmount || (currency !== "EUR" && currency !== "USD"))
    throw new NikaError("invalid", `"lora.costMax" must be an amount: { "micros": 5000000, "currency": "EUR" }.`);
  return { ...(named !== undefined && { base: named }), costMax: { micros, currency } };
}

function toWord<Word extends string>(given: unknown, name: string, words: readonly Word[]): Word | undefined {
  if (given === undefined) return undefined;
  if (!words.includes(given as Word)) throw new NikaError("invalid", `"${name}" must be one of ${words.join(", ")}.`);
  return given as Word;
}

function toText(given: unknown, name: string): string | undefined {
  if (given === undefined) return undefined;
  if (typeof given !== "string") throw new NikaError("invalid", `"${name}" must be a text.`);
  return given;
}

function toSaying(body: Record<string, unknown>, zone: string): Saying {
  const sessionId = toText(body["sessionId"], "sessionId");
  return {
    text: toText(body["text"], "text") ?? "",
    zone: toText(body["zone"], "zone") ?? zone,
    isDryRun: body["dryRun"] === true,
    isOfSession: body["ofSession"] === true,
    ...(sessionId !== undefined && { sessionId }),
  };
}

function toReport({ at, endedAt, code, text }: Record<string, unknown>): Report {
  const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value);
  if (!isNumber(at) || !isNumber(endedAt) || !isNumber(code) || typeof text !== "string")
    throw new NikaError("invalid", "A report has the numbers at, endedAt and code, and a text.");
  return { at, endedAt, code, text };
}

function toId(text: string | undefined): string {
  if (text === undefined || !/^[0-9a-z]{8,64}$/u.test(text)) throw new NikaError("missing", "There is no such schedule.");
  return text;
}

function toVersion(ifMatch: string | undefined): number {
  const [, version] = /^(?:W\/)?"(\d+)"$/u.exec(ifMatch ?? "") ?? [];
  if (version === undefined) throw new NikaError("invalid", `Say in If-Match which version you saw, such as "3" in quotes.`);
  return Number(version);
}
