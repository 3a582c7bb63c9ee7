import assert from "node:assert/strict";
import { test } from "node:test";
import { openScheduler } from "../../../../appliance/engine/scheduler/scheduler.ts";
import { fakeCore, type FakeCore } from "../../../fakes/core.ts";

function started(): { core: FakeCore; logged: string[]; done: string[]; reached: (count: number) => Promise<void> } {
  const done: string[] = [];
  const waiting = new Set<() => void>();
  const did = (name: string): void => {
    done.push(name);
    for (const look of waiting) look();
  };
  const core = fakeCore({
    functions: {
      "jobs:write": { kind: "mutation", run: () => did("write") },
      "jobs:act": { kind: "action", run: async () => did("act") },
      "jobs:fail": {
        kind: "action",
        run: async () => {
          did("fail");
          throw new Error("broken");
        },
      },
    },
  });
  const reached = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (done.length >= count) resolve();
      };
      waiting.add(look);
      look();
    });
  return { core, logged: [], done, reached };
}

test("what is due runs at once and each action is settled with its outcome", async () => {
  const { core, logged, done } = started();
  const scheduler = openScheduler({ core, nowMs: Date.now, log: (line) => logged.push(line) });
  core.schedule({ path: "jobs:write", args: "{}", kind: "mutation", dueMs: 0 });
  const good = core.schedule({ path: "jobs:act", args: "{}", kind: "action", dueMs: 0 });
  const bad = core.schedule({ path: "jobs:fail", args: "{}", kind: "action", dueMs: 0 });

  await scheduler.settled();

  assert.deepEqual(done, ["write", "act", "fail"]);
  assert.deepEqual([core.settled.get(good), core.settled.get(bad)], [true, false]);
  await scheduler.close();
});

test("what is due later runs later, and an earlier job is not kept waiting by it", async () => {
  const { core, done, reached } = started();
  const scheduler = openScheduler({ core, nowMs: Date.now, log: () => undefined });
  core.schedule({ path: "jobs:write", args: "{}", kind: "mutation", dueMs: Date.now() + 3600_000 });
  core.schedule({ path: "jobs:act", args: "{}", kind: "action", dueMs: Date.now() + 5 });

  await reached(1);

  assert.deepEqual(done, ["act"]);
  await scheduler.close();
});

test("nothing runs after the scheduler is closed", async () => {
  const { core, done } = started();
  const scheduler = openScheduler({ core, nowMs: Date.now, log: () => undefined });
  await scheduler.close();
  core.schedule({ path: "jobs:write", args: "{}", kind: "mutation", dueMs: 0 });
  await scheduler.settled();

  assert.deepEqual(done, []);
});
