/** A schedule that lives as long as this command does: held again and again, shown each time it happens, gone with Ctrl-C. */
import { randomUUID } from "node:crypto";
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { OccurrenceView, ScheduleView } from "../../convex/model/schedule.ts";
import type { Said } from "../../functions/schedules/say.ts";
import { languageOf } from "../../ml/phrase/parse.ts";
import type { Client } from "./client.ts";
import { withLive } from "./live.ts";
import { mustBeDone, ownZone, previewLines, whenOf, type Reader } from "./schedule.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine } from "./text.ts";

/** Killed without a word, the command is missed after this at the latest. */
const holdMs = 30_000;
const holdEveryMs = 10_000;
const shownMax = 50;

type Options = { readonly zone: string | undefined; readonly json: boolean; readonly signal: AbortSignal };

export async function runSession(
  terminal: Terminal,
  client: Client,
  text: string,
  { zone = ownZone(), json, signal }: Options,
): Promise<void> {
  const session = openSession(client);
  await session.hold();
  try {
    const said = await session.say(text, zone);
    if (said.type !== "created") {
      mustBeDone(said);
      throw new NikaError("invalid", "Only a new schedule can be kept with a session; say the rest without --session.");
    }
    const reader: Reader = { language: languageOf(text), zone, isDryRun: false };
    if (json) terminal.json(said);
    else {
      for (const line of previewLines(said.preview, reader)) terminal.line(line);
      terminal.note("It ends with Ctrl-C, or after a day.");
    }
    await follow(client, said.schedule, {
      signal,
      hold: session.hold,
      show: (occurrence) => (json ? terminal.json(occurrence) : terminal.line(lineOf(occurrence, reader))),
    });
  } catch (error) {
    // Ctrl-C is how one leaves, and therefore no failure.
    if (!signal.aborted) throw error;
  } finally {
    await session.end();
  }
}

function openSession(client: Client) {
  const path = `/api/schedules/sessions/${randomUUID()}`;
  const sessionId = path.slice(path.lastIndexOf("/") + 1);
  const authorization = async (): Promise<string> => `Bearer ${await client.token()}`;
  return {
    hold: async (): Promise<void> => {
      await client.post(path, { authorization: await authorization(), body: { holdMs } });
    },
    say: async (text: string, zone: string): Promise<Said> =>
      client.post<Said>("/api/schedules/say", {
        authorization: await authorization(),
        body: { text, zone, sessionId, ofSession: true },
      }),
    end: async (): Promise<void> => {
      await client.send("DELETE", path, { authorization: await authorization() });
    },
  };
}

type Following = {
  readonly signal: AbortSignal;
  readonly hold: () => Promise<void>;
  readonly show: (occurrence: OccurrenceView) => void;
};

/** Until it is over, deleted elsewhere, or no longer wanted. */
async function follow(client: Client, { id }: ScheduleView, { signal, hold, show }: Following): Promise<void> {
  const shown = new Map<string, string>();
  let timer: NodeJS.Timeout | undefined;
  try {
    await withLive<void>(await client.live(), signal, (watch, done) => {
      // One that is missed is made up for by the next, while the hold lasts; a refusal says that the day is over.
      timer = setInterval(() => {
        hold().catch((error: unknown) => error instanceof NikaError && error.code === "invalid" && done());
      }, holdEveryMs);
      let isOver = false;
      watch(api.schedules.get, { id }, (schedule) => {
        isOver = schedule !== null && schedule.nextAts.length === 0 && schedule.fired > 0;
        if (!schedule) done();
      });
      watch(api.schedules.occurrences, { id, limit: shownMax }, (occurrences) => {
        for (const occurrence of occurrences.toReversed()) {
          if (shown.get(occurrence.id) === occurrence.state) continue;
          shown.set(occurrence.id, occurrence.state);
          show(occurrence);
        }
        if (isOver && occurrences.every(({ state }) => state !== "open")) done();
      });
    });
  } finally {
    clearInterval(timer);
  }
}

function lineOf({ at, state, isLate, text }: OccurrenceView, reader: Reader): string {
  return [whenOf(at, reader), isLate ? `${state}, late` : state, oneLine(text ?? "")].join("  ").trimEnd();
}
