import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { LabelLanguage } from "../../convex/model/recurrenceLabel.ts";
import { plannedMax, type ScheduleSpec, type ScheduleView } from "../../convex/model/schedule.ts";
import { matchTarget, parseRequest, shiftRule } from "../../ml/phrase/request.ts";
import { nextInstants } from "../../ml/time/next.ts";
import { parsePhrase } from "../../ml/phrase/parse.ts";
import { isZone } from "../../ml/time/zone.ts";
import { defineCall, type Ports } from "../define.ts";
import type { State } from "../ports/state.ts";
import { understand, type Preview } from "./understand.ts";

export type Saying = {
  readonly text: string;
  /** The writer's clock, IANA. */
  readonly zone: string;
  /** Only what would be done. */
  readonly isDryRun?: boolean;
  /** The session the words were said in, when it can hold schedules. */
  readonly sessionId?: string;
  /** Whatever is made ends with the session, although the words do not say so. */
  readonly isOfSession?: boolean;
};

export type Done = {
  readonly type: "changed" | "paused" | "resumed" | "deleted" | "started";
  readonly schedule: ScheduleView;
  /** What its new time means. */
  readonly preview?: Preview;
};

/** What came of some words about schedules. */
export type Said =
  | { readonly type: "created"; readonly schedule: ScheduleView; readonly preview: Preview }
  | Done
  | { readonly type: "listed"; readonly schedules: readonly ScheduleView[] }
  | { readonly type: "preview"; readonly preview: Preview }
  /** Several are called that. */
  | { readonly type: "which"; readonly schedules: readonly ScheduleView[] }
  | { readonly type: "unknown"; readonly target: string };

const deadlineMs = 10_000;
export const phraseCharsMax = 1_000;

type Tools = Pick<Ports, "state" | "clock">;

/** Does what a sentence says about schedules: makes one, or lists, pauses, moves, changes, runs or deletes those there are. */
export const saySchedule = defineCall({
  name: "schedules.say",
  needs: ["state", "clock"],
  deadlineMs,
  run: async (saying: Saying, tools: Tools): Promise<Said> => {
    const { text, zone } = checked(saying);
    const now = tools.clock.now();
    const request = parseRequest(text, { now, zone });
    if (request.type === "create") {
      const [targets, functions] = await Promise.all([
        tools.state.query(internal.bridge.targetNames, {}),
        tools.state.query(internal.functions.names, {}),
      ]);
      return create(saying, understand({ text, zone, now, targets, functions }), tools);
    }
    const schedules = await tools.state.query(internal.schedules.all, {});
    if (request.type === "list") return { type: "listed", schedules };
    const match = matchTarget(request.target, schedules, ({ name }) => name);
    if (match.type === "none") return { type: "unknown", target: request.target };
    if (match.type === "many") return { type: "which", schedules: match.items };
    const schedule = match.item;
    switch (request.type) {
      case "pause": {
        const pausedUntil = request.untilPhrase === undefined ? undefined : toInstant(request.untilPhrase, { now, zone });
        return act("paused", saying, schedule, () =>
          edit(tools, schedule, { isEnabled: false, ...(pausedUntil !== undefined && { pausedUntil }) }),
        );
      }
      case "resume":
        return act("resumed", saying, schedule, () => edit(tools, schedule, { isEnabled: true }));
      case "delete":
        return act("deleted", saying, schedule, async () => {
          await tools.state.mutation(internal.schedules.remove, { id: schedule.id });
          return schedule;
        });
      case "run":
        return act("started", saying, schedule, async () => {
          await tools.state.mutation(internal.schedules.start, { id: schedule.id });
          return schedule;
        });
      case "shift": {
        const rule = shiftRule(schedule.rule, request.byMs);
        if (!rule) throw new NikaError("invalid", "That would move it to another day; say when it is to happen instead.");
        return act("changed", saying, schedule, () => edit(tools, schedule, { spec: { ...toSpec(schedule), rule } }));
      }
      case "change": {
        const preview = understand({ text: request.change, zone: schedule.rule.zone, now, existing: toSpec(schedule) });
        if (preview.type !== "rule") return { type: "preview", preview };
        return { ...(await act("changed", saying, schedule, () => edit(tools, schedule, { spec: preview.spec }))), preview };
      }
    }
  },
});

async function create(saying: Saying, understood: Preview, tools: Tools): Promise<Said> {
  if (understood.type !== "rule") return { type: "preview", preview: understood };
  const preview = placed(saying, understood);
  if (saying.isDryRun === true) return { type: "preview", preview };
  return { type: "created", schedule: await keep(preview.spec, tools), preview };
}

type Rule = Extract<Preview, { readonly type: "rule" }>;

/** Kept with the session it was said in, or for good; what asks for a session where there is none is told so. */
function placed({ sessionId, isOfSession }: Saying, preview: Rule): Rule {
  const wantsSession = preview.spec.backend === "session" || isOfSession === true;
  if (wantsSession && sessionId !== undefined) return { ...preview, spec: { ...preview.spec, backend: "session", sessionId } };
  const spec: ScheduleSpec = { ...preview.spec, backend: "persistent" };
  if (!wantsSession) return { ...preview, spec };
  return { ...preview, spec, warnings: [...preview.warnings, noSession[preview.language]] };
}

const noSession: Readonly<Record<LabelLanguage, string>> = {
  en: "There is no session here that it could end with, so it is kept until you delete it.",
  fr: "Il n’y a pas ici de session avec laquelle elle pourrait finir : elle est gardée jusqu’à ce que vous la supprimiez.",
};

/** Keeps a new schedule. Fails with `invalid` when it never happens. */
export async function keep(spec: ScheduleSpec, { state, clock }: Tools): Promise<ScheduleView> {
  return state.mutation(internal.schedules.create, { spec, nextAts: nextInstants(spec.rule, clock.now(), plannedMax) });
}

export type Edit = {
  readonly spec?: ScheduleSpec;
  readonly isEnabled?: boolean;
  readonly pausedUntil?: number;
  readonly version?: number;
};

/** Changes a schedule as it was seen. Fails with `conflict` when it moved on, `invalid` when it would never happen again. */
export async function edit(
  { state, clock }: Tools,
  schedule: ScheduleView,
  { version = schedule.version, ...changes }: Edit,
): Promise<ScheduleView> {
  const rule = changes.spec?.rule ?? schedule.rule;
  const isSame = JSON.stringify(rule) === JSON.stringify(schedule.rule);
  const nextAts = nextInstants(rule, clock.now(), plannedMax, isSame ? schedule.fired : 0);
  return state.mutation(internal.schedules.update, { id: schedule.id, version, ...changes, nextAts });
}

async function act(
  type: "changed" | "paused" | "resumed" | "deleted" | "started",
  { isDryRun }: Saying,
  schedule: ScheduleView,
  work: () => Promise<ScheduleView>,
): Promise<Done> {
  return { type, schedule: isDryRun === true ? schedule : await work() };
}

/** "jusqu'à lundi", "until Friday at 9am": the beginning of that moment. */
function toInstant(phrase: string, context: { readonly now: number; readonly zone: string }): number {
  const when = phrase.replace(/^(?:jusqu'au|jusqu'a|until|till|pendant|for) (?:le |the )?/u, "");
  const isSpan = /^(?:pendant|for) /u.test(phrase);
  const understood = parsePhrase(isSpan ? `dans ${when}` : when, context);
  if (understood.type !== "rule" || understood.rule.type !== "once")
    throw new NikaError("invalid", "Say until when, such as “until Monday”.");
  return understood.rule.at;
}

export function toSpec({ name, prompt, rule, action, backend, sessionId, overlap, misfire, phrase }: ScheduleView): ScheduleSpec {
  return {
    name,
    prompt,
    rule,
    action,
    backend,
    overlap,
    misfire,
    ...(sessionId !== undefined && { sessionId }),
    ...(phrase !== undefined && { phrase }),
  };
}

function checked(saying: Saying): Saying {
  const text = saying.text.trim();
  if (text === "" || text.length > phraseCharsMax) throw new NikaError("invalid", `Say it in 1 to ${phraseCharsMax} characters.`);
  if (!isZone(saying.zone))
    throw new NikaError("invalid", `"${saying.zone.slice(0, 60)}" is no time zone; name one like Europe/Paris.`);
  return { ...saying, text };
}

export async function findSchedule(state: State, id: string): Promise<ScheduleView> {
  const schedule = await state.query(internal.schedules.one, { id });
  if (!schedule) throw new NikaError("missing", "There is no such schedule.");
  return schedule;
}
