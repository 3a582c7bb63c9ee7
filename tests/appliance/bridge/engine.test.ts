/** The bridge on the embedded engine, reached as in production. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openBridge, type Speaker } from "../../../appliance/bridge/bridge.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import { openEngineLabIn } from "../../convex/engineLab.ts";

const client: Speaker = { name: "claude", role: "client", target: undefined };
const agent: Speaker = { name: "agent", role: "agent", target: "homelab" };
const never = new AbortController().signal;

test("of many that send the same at once one is queued, a wait hears of it, and a restart keeps everything", async () => {
  const dir = await mkdtemp(join(tmpdir(), "nika-bridge-engine-"));
  try {
    let lab = await openEngineLabIn(dir);
    await lab.owner.mutation(api.bridge.addTarget, { name: "homelab" });
    let bridge = openBridge(lab);
    const waiting = bridge.call(agent, "next", { wait: 25 }, never) as Promise<{ message: { id: string } }>;
    const sent = await Promise.all(
      Array.from({ length: 40 }, () => lab.mutation(internal.bridge.deliver, { text: "Fix the DNS", from: "claude" })),
    );
    assert.equal(sent.filter(({ queued }) => queued).length, 1);
    assert.equal(new Set(sent.map(({ id }) => id)).size, 1);
    assert.equal((await waiting).message.id, sent[0]?.id);
    await bridge.call(agent, "start", { id: sent[0]?.id }, never);
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => bridge.call(agent, "update", { id: sent[0]?.id, content: `step ${i}` }, never)),
    );
    const first = (await bridge.call(client, "pull", {}, never)) as { updates: { seq: number }[]; cursor: string };
    assert.deepEqual(
      first.updates.map(({ seq }) => seq),
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    await bridge.call(agent, "update", { id: sent[0]?.id, content: "before the restart" }, never);
    await lab.close();

    lab = await openEngineLabIn(dir);
    bridge = openBridge(lab);
    try {
      assert.deepEqual(await bridge.call(client, "send", { message: "Fix the DNS" }, never), {
        queued: false,
        reason: "duplicate",
        id: sent[0]?.id,
        target: "homelab",
      });
      const after = (await bridge.call(client, "pull", {}, never)) as { updates: { content: string }[] };
      assert.deepEqual(
        after.updates.map(({ content }) => content),
        ["before the restart"],
      );
      assert.deepEqual(await bridge.call(client, "status", {}, never), {
        pending: 0,
        in_progress: 1,
        total_updates: 21,
        current_task: "Fix the DNS",
      });
    } finally {
      await lab.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
