/** A run of the whole appliance, killed in the middle. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ConvexClient } from "convex/browser";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { RunDetail } from "../../convex/model/run.ts";
import { startLab } from "../../scripts/lab/appliance.ts";

const messages = 12;

test("killed in the middle, a run goes on where it was, and nothing is sent twice", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-runs-"));
  const dataDir = join(dir, "data");
  let appliance = await startLab({ dataDir });
  try {
    let client = await appliance.client();
    await client.mutation(api.bridge.addTarget, { name: "homelab" });
    const tasks = Array.from({ length: messages }, (_, i) => [
      { text: `what does number ${i} say?`, action: { type: "ask" } },
      { text: `number ${i}`, action: { type: "message", target: "homelab" } },
    ]).flat();
    const args = JSON.stringify({ name: "Drill", tasks: tasks.slice(0, 20), isInTurn: true });
    const id = await client.mutation(api.runs.start, { name: "schedules.tasks", args, label: "Drill" });
    const isUnderWay = ({ steps, endedAt }: RunDetail): boolean =>
      endedAt !== undefined || steps.filter(({ state }) => state === "done").length > 3;
    await until(client, id, isUnderWay);
    await appliance.kill();
    appliance = await startLab({ dataDir });
    client = await appliance.client();
    const run = await until(client, id, ({ endedAt }) => endedAt !== undefined);
    assert.deepEqual([run.state, run.steps.length], ["done", 20], JSON.stringify(run.error));
    assert(run.steps.every(({ state, path }, i) => state === "done" && path === `task ${i + 1}`));
    const sent = (await client.query(api.bridge.messages, {})).map(({ text }) => text);
    assert.deepEqual(sent.toSorted(), Array.from({ length: 10 }, (_, i) => `number ${i}`).toSorted());
  } finally {
    await appliance.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

/** Pushed, not polled. */
function until(client: ConvexClient, id: Id<"runs">, is: (run: RunDetail) => boolean): Promise<RunDetail> {
  return new Promise((resolve) => {
    const stop = client.onUpdate(api.runs.get, { id }, (run) => {
      if (!run || !is(run)) return;
      queueMicrotask(() => stop());
      resolve(run);
    });
  });
}
