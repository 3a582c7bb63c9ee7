/** Runs on the embedded engine, advanced by the runtime itself: real time, real files, real subscriptions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { RunDetail } from "../../../convex/model/run.ts";
import type { Ports } from "../../../functions/define.ts";
import { defineRun, type AnyRunDefinition } from "../../../functions/defineRun.ts";
import type { Files } from "../../../functions/ports/files.ts";
import { advanceRuns } from "../../../functions/runs/advance.ts";
import { startRuntime } from "../../../functions/runtime/runtime.ts";
import { openEngineLab } from "../../convex/engineLab.ts";
import type { Lab } from "../../contracts/lab.ts";

const files: Pick<Files, "read" | "write"> = {
  read: async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer()),
  write: async (url, bytes) => {
    const response = await fetch(url, { method: "POST", body: bytes as Uint8Array<ArrayBuffer> });
    return ((await response.json()) as { storageId: string }).storageId;
  },
};

async function withRuns(definitions: readonly AnyRunDefinition[], body: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await openEngineLab();
  const ports = { state: lab, files } as unknown as Ports;
  const runtime = startRuntime({
    state: lab,
    ports,
    functions: [advanceRuns(definitions)],
    workerName: "w",
    slots: 4,
    log: () => {},
  });
  await runtime.start();
  try {
    await body(lab);
  } finally {
    await runtime.stop({ graceMs: 0 });
    await lab.close();
  }
}

const begin = (lab: Lab, name: string): Promise<Id<"runs">> => lab.mutation(internal.runs.begin, { name, args: "null" });

function until(lab: Lab, id: Id<"runs">, is: (run: RunDetail) => boolean): Promise<RunDetail> {
  return new Promise((resolve, reject) => {
    const stop = lab.owner.watch(
      api.runs.get,
      { id },
      (run) => {
        if (!run || !is(run)) return;
        stop();
        resolve(run);
      },
      reject,
    );
  });
}
const ended = (run: RunDetail): boolean => run.endedAt !== undefined;

test("a run sleeps, wakes by itself, and waits in one branch while another works", async () => {
  const told = Promise.withResolvers<void>();
  const run = defineRun("wakes", async (context) => {
    await context.sleep("a moment", 30);
    const { heard, rested } = await context.parallel({
      // Heard while the other branch is still at work, or this never ends.
      heard: async (one) => {
        const signal = await one.waitSignal("go");
        told.resolve();
        return signal?.body;
      },
      rested: async (one) => {
        await one.sleep("too", 30);
        return one.step("work", () => told.promise.then(() => "worked"));
      },
    });
    return [heard, rested];
  });
  await withRuns([run], async (lab) => {
    const id = await begin(lab, "wakes");
    await until(lab, id, ({ steps }) => steps.some(({ path, state }) => path === "rested/work" && state === "started"));
    await lab.owner.mutation(api.signals.send, { id, kind: "go", body: '"now"' });
    const done = await until(lab, id, ended);
    assert.deepEqual([done.state, done.result], ["done", '["now","worked"]']);
  });
});

test("what is too large for a row is kept as a file, and read again after a wait, also by a parent", async () => {
  const large = "x".repeat(50_000);
  const parent = defineRun("parent", async (run) => {
    const mine = await run.step("large", () => large);
    const theirs = await run.spawn<string>("child", null);
    await run.sleep("forget", 30);
    return mine.length + theirs.length;
  });
  const child = defineRun("child", ({ step }) => step("larger", () => large + large));
  await withRuns([parent, child], async (lab) => {
    const id = await begin(lab, "parent");
    const done = await until(lab, id, ended);
    assert.deepEqual([done.state, done.result, done.steps[0]?.result], ["done", "150000", "(50002 bytes)"]);
    await lab.owner.mutation(api.runs.restart, { id });
    assert.equal((await until(lab, id, (run) => run.life === 2 && ended(run))).result, "150000");
  });
});
