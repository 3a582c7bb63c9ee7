import assert from "node:assert/strict";
import { test } from "node:test";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { RunDetail, StepView } from "../../../convex/model/run.ts";
import { runLines } from "../../../appliance/cli/runs.ts";

const step = (path: string, changes: Partial<StepView>): StepView => ({
  id: path as Id<"steps">,
  path,
  type: "step",
  state: "done",
  attempts: 0,
  startedAt: 0,
  ...changes,
});
const run: RunDetail = {
  id: "r1" as Id<"runs">,
  name: "leases.renew",
  label: "The\nlease",
  state: "waiting",
  createdAt: 0,
  asks: 0,
  args: "{}",
  life: 1,
  unread: 2,
  steps: [
    step("terms", { endedAt: 2_000, result: '"six months"' }),
    step("verdict", { type: "signal", state: "waiting", waitFor: { type: "signal", kind: "verdict" } }),
    step("letter", {
      label: "Send the letter",
      state: "waiting",
      waitFor: { type: "decision" },
      effect: { class: "ambiguous", state: "unknown", key: "k" },
    }),
  ],
};

test("a run is told step by step, with what each waits for, and never breaks out of its line", () => {
  assert.deepEqual(runLines(run, 60_000), [
    "r1  leases.renew",
    "waiting  for 60 s  The lease",
    "  ✓ terms  in 2.0 s, → six months",
    "  … verdict  for 60 s, waits for the signal verdict",
    "  … Send the letter  letter, for 60 s, did it happen? say so with nika runs decide, ambiguous: unknown",
    "  2 signals it has not asked for",
  ]);
});

test("a parked run shows what it did beside what its code asks for now, and what to do", () => {
  const problem = {
    type: "changed" as const,
    message: "Its code asks for “b” where it did “a” before.",
    diff: ["- 1. step a, done", "+ 1. step b"],
  };
  const lines = runLines({ ...run, state: "parked", problem, steps: [], unread: 0 }, 60_000);
  assert.deepEqual(lines.slice(1, 5), [
    "parked  for 60 s  The lease",
    "  Its code asks for “b” where it did “a” before.",
    "    - 1. step a, done",
    "    + 1. step b",
  ]);
  assert.match(lines.at(-1) ?? "", /nika runs resume r1/u);
});
