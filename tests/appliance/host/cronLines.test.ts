import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule } from "../../../convex/model/recurrence.ts";
import { nextInstants } from "../../../ml/time/next.ts";
import { wallAt, weekdayOf, dayNumber } from "../../../ml/time/zone.ts";
import { toCronLines } from "../../../appliance/host/cronLines.ts";

const now = Date.parse("2026-11-21T09:00:00Z");
const calendar = (changes: object): Rule => ({
  type: "calendar",
  zone: "Europe/Paris",
  times: ["07:00"],
  days: { type: "every" },
  ...changes,
});
const every = (minutes: number): Rule => ({
  type: "every",
  everyMs: minutes * 60_000,
  anchor: Date.parse("2026-11-21T00:15:00Z"),
  zone: "Europe/Paris",
});

for (const [what, rule, zone, lines] of [
  ["a time of Paris on a machine in UTC fires at both hours it may be", calendar({}), "UTC", ["0 5,6 * * *"]],
  ["a time of Paris on a machine in Paris is itself", calendar({ times: ["08:30"] }), "Europe/Paris", ["30 8 * * *"]],
  ["weekdays stay weekdays", calendar({ days: { type: "weekdays", weekdays: [1] } }), "UTC", ["0 5,6 * * 1"]],
  ["dates stay dates", calendar({ days: { type: "dates", dates: [1, 15] } }), "UTC", ["0 5,6 1,15 * *"]],
  [
    "midnight in Paris is the evening before in UTC",
    calendar({ times: ["00:30"], days: { type: "weekdays", weekdays: [1] } }),
    "UTC",
    ["30 22,23 * * 0"],
  ],
  [
    "times with other minutes are lines of their own",
    calendar({ times: ["09:00", "16:30"] }),
    "Europe/Paris",
    ["0 9 * * *", "30 16 * * *"],
  ],
  ["every quarter of an hour", every(15), "UTC", ["0,15,30,45 * * * *"]],
  ["every two hours is looked at each hour", every(120), "UTC", ["15 * * * *"]],
] as const) {
  test(`cron: ${what}`, () => assert.deepEqual(toCronLines(rule, { now, zone }), lines));
}

test("cron: a time that the clocks skip is reached on that day too", () => {
  const lines = toCronLines(calendar({ times: ["02:30"] }), { now, zone: "Europe/Paris" });
  assert.deepEqual(lines, ["0 3 * * *", "30 2 * * *"]);
});

test("cron: what five fields cannot say is refused", () => {
  assert.throws(() => toCronLines(every(7), { now, zone: "UTC" }), { code: "invalid", message: /every 7 minutes/u });
  assert.throws(() => toCronLines(every(5 * 60), { now, zone: "UTC" }), { code: "invalid", message: /every 5 hours/u });
  const times = Array.from({ length: 8 }, (_, i) => `${String(8 + i).padStart(2, "0")}:0${i}`);
  assert.throws(() => toCronLines(calendar({ times }), { now, zone: "UTC" }), { code: "invalid", message: /too many lines/u });
  const leap = calendar({ days: { type: "yearly", dates: ["02-29"] } });
  assert.throws(() => toCronLines(leap, { now, zone: "UTC" }), { code: "invalid", message: /too rare/u });
});

test("cron: every time of a rule in the next year is a minute at which some line fires", () => {
  const zones = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"];
  const rules = [
    calendar({ times: ["02:30"] }),
    calendar({ days: { type: "nth", weekdays: [2], nth: [2] } }),
    calendar({ days: { type: "business", nth: -1 }, holidays: "FR" }),
    calendar({ thin: { n: 2, unit: "week", anchor: "2026-11-23" }, days: { type: "weekdays", weekdays: [1] } }),
    { type: "cron", expression: "30 2,14 * * 1-5", zone: "America/New_York" } as Rule,
  ];
  for (const zone of zones)
    for (const rule of rules) {
      const lines = toCronLines(rule, { now, zone });
      const missed = nextInstants(rule, now, 300)
        .filter((at) => at < now + 365 * 86_400_000)
        .filter((at) => !lines.some((line) => fires(line, at, zone)));
      assert.deepEqual(missed, [], `${zone}: ${JSON.stringify(rule)} as ${lines.join(" | ")}`);
    }
});

/** As cron reads it, for the fields that are written here. */
function fires(line: string, at: number, zone: string): boolean {
  const wall = wallAt(zone, at);
  const [minute = "", hour = "", date = "", month = "", weekday = ""] = line.split(" ");
  const isIn = (field: string, value: number): boolean => field === "*" || field.split(",").map(Number).includes(value);
  return (
    isIn(minute, wall.minute) &&
    isIn(hour, wall.hour) &&
    isIn(date, wall.day) &&
    isIn(month, wall.month) &&
    isIn(weekday, weekdayOf(dayNumber(wall)))
  );
}
