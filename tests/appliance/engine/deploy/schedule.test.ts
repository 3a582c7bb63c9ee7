import assert from "node:assert/strict";
import { test } from "node:test";
import { firstRunMs, nextRunMs, parseCron, type CronSchedule } from "../../../../appliance/engine/deploy/schedule.ts";

const at = (text: string): number => Date.parse(`${text}Z`);
const next = (schedule: CronSchedule, now: string): string =>
  new Date(nextRunMs(schedule, 0, at(now))).toISOString().slice(0, 16);

test("clock schedules find their next minute in UTC", () => {
  const now = "2026-11-21T10:30:15";
  assert.equal(next({ type: "hourly", minuteUTC: 30 }, now), "2026-11-21T11:30");
  assert.equal(next({ type: "daily", hourUTC: 9 }, now), "2026-11-22T09:00");
  assert.equal(next({ type: "weekly", dayOfWeek: "monday", hourUTC: 8, minuteUTC: 5 }, now), "2026-11-23T08:05");
  assert.equal(next({ type: "monthly", day: 31, hourUTC: 0, minuteUTC: 0 }, now), "2026-12-31T00:00");
  assert.equal(next({ type: "cron", cron: "*/15 9-17 * * 1-5" }, now), "2026-11-23T09:00");
  assert.equal(next({ type: "cron", cron: "0 0 29 2 *" }, now), "2028-02-29T00:00");
  assert.equal(next({ type: "cron", cron: "0 12 1 * sun" }, now), "2026-11-22T12:00");
});

test("an interval starts at once and stays in step, skipping what was missed", () => {
  const every: CronSchedule = { type: "interval", minutes: 10 };
  assert.equal(firstRunMs(every, 1000), 1000);
  assert.equal(nextRunMs(every, 1000, 1500), 601_000);
  assert.equal(nextRunMs(every, 1000, 1_300_000), 1_801_000);
});

test("what is no cron is refused", () => {
  for (const text of ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "*/0 * * * *", "a b c d e"])
    assert.throws(() => parseCron(text), text);
});
