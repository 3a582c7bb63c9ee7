import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { nextPlace, type SpotView } from "../../../convex/model/spot.ts";

const hourMs = 3_600_000;
const minuteMs = 60_000;
const view: SpotView = {
  workMs: 48 * hourMs,
  deadlineMs: 55 * hourMs,
  workLeftMs: 48 * hourMs,
  timeLeftMs: 55 * hourMs,
  changeoverMs: 12 * minuteMs,
  lostMs: 5 * minuteMs,
  lookMs: 3 * minuteMs,
  place: { type: "nowhere" },
  zones: [{ zone: "a", isUp: false, lostHourly: 0.3 }],
};
const up = (zone: string, lostHourly: number) => ({ zone, isUp: true, lostHourly });

test("with time to spare it takes the spot machine most likely to stay", () => {
  const move = nextPlace({ ...view, zones: [up("b", 0.5), up("c", 0.1)] });
  assert.deepEqual([move.to, "zone" in move && move.zone], ["spot", "c"]);
});

test("without one it waits while it is ahead, and runs where it is safe once it is behind", () => {
  assert.equal(nextPlace({ ...view, workLeftMs: 20 * hourMs, timeLeftMs: 30 * hourMs }).to, "wait");
  assert.equal(nextPlace({ ...view, workLeftMs: 40 * hourMs, timeLeftMs: 42 * hourMs }).to, "onDemand");
});

test("when there is just enough time it does not gamble, whatever is to be had", () => {
  const late = { ...view, workLeftMs: 10 * hourMs, timeLeftMs: 10 * hourMs + 20 * minuteMs, zones: [up("a", 0.01)] };
  assert.equal(nextPlace(late).to, "onDemand");
  assert.equal(nextPlace({ ...late, place: { type: "onDemand" } }).to, "stay");
});

test("a machine that works is not left", () => {
  assert.equal(nextPlace({ ...view, place: { type: "spot", zone: "a" }, zones: [up("b", 0)] }).to, "stay");
});

test("a deadline that could be kept is kept, whenever machines are taken away", () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
      fc.double({ min: 1.1, max: 2, noNaN: true }),
      (ups, slack) => {
        const workMs = 10 * hourMs;
        const deadlineMs = workMs * slack;
        const lookMs = 6 * minuteMs;
        const { changeoverMs, lostMs } = view;
        let place: SpotView["place"] = { type: "nowhere" };
        let [workLeftMs, bootLeftMs, at] = [workMs, 0, 0];
        for (; workLeftMs > 0 && at <= deadlineMs; at += lookMs) {
          const isUp = ups[Math.floor(at / (20 * minuteMs)) % ups.length] === true;
          if (place.type === "spot" && !isUp) {
            if (bootLeftMs <= 0) workLeftMs = Math.min(workMs, workLeftMs + lostMs);
            place = { type: "nowhere" };
          }
          const move = nextPlace({
            workMs,
            deadlineMs,
            workLeftMs: workLeftMs + Math.max(0, bootLeftMs) * Number(place.type !== "nowhere"),
            timeLeftMs: deadlineMs - at,
            changeoverMs,
            lostMs,
            lookMs,
            place,
            zones: [{ zone: "a", isUp, lostHourly: 0.2 }],
          });
          if (move.to === "spot" || move.to === "onDemand") {
            place = move.to === "spot" ? { type: "spot", zone: move.zone } : { type: "onDemand" };
            bootLeftMs = changeoverMs;
          }
          if (place.type === "nowhere") continue;
          workLeftMs -= Math.max(0, lookMs - Math.max(0, bootLeftMs));
          bootLeftMs -= lookMs;
        }
        assert.ok(workLeftMs <= 0, `${workLeftMs / minuteMs} min were left`);
      },
    ),
    { numRuns: 200 },
  );
});
