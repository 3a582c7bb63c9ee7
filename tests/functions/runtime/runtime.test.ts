import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ports } from "../../../functions/define.ts";
import { jobFunctions } from "../../../functions/registry.ts";
import { startRuntime } from "../../../functions/runtime/runtime.ts";
import { serviceContract } from "../../contracts/service.ts";
import { openFakeState } from "../../fakes/state.ts";

const open = () =>
  startRuntime({ state: openFakeState(), ports: {} as Ports, functions: jobFunctions, workerName: "w", slots: 2, log: () => {} });

serviceContract("runtime", async () => {
  const runtime = open();
  return { start: () => runtime.start(), stop: () => runtime.stop({ graceMs: 0 }) };
});

test("two functions for one kind are found out at start", () => {
  const twice = [...jobFunctions, ...jobFunctions];
  assert.throws(
    () =>
      startRuntime({ state: openFakeState(), ports: {} as Ports, functions: twice, workerName: "w", slots: 1, log: () => {} }),
    /two functions for documents\./u,
  );
});
