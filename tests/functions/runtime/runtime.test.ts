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

test("stopped while it was still joining, it leaves no worker behind", async () => {
  const state = openFakeState();
  const runtime = startRuntime({ state, ports: {} as Ports, functions: jobFunctions, workerName: "w", slots: 1, log: () => {} });
  const started = runtime.start();
  await runtime.stop({ graceMs: 0 });
  await started;
  const workers = await state.run((ctx) => ctx.db.query("workers").collect());
  assert.deepEqual(
    workers.map((worker) => worker.isUp),
    [false],
  );
});

test("a control plane that does not answer does not hold up a stop", async () => {
  const state = { ...openFakeState(), mutation: () => new Promise<never>(() => {}) };
  const runtime = startRuntime({ state, ports: {} as Ports, functions: jobFunctions, workerName: "w", slots: 1, log: () => {} });
  void runtime.start();
  await runtime.stop({ graceMs: 0 });
});
