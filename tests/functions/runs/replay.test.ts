import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import type { Answer, Part } from "../../../functions/runs/checkpointer.ts";
import { Replay } from "../../../functions/runs/replay.ts";

test("a run that ends while its last step is being written down ends", async () => {
  const writing = Promise.withResolvers<void>();
  const sent: Part[] = [];
  let kept = 0;
  const replay = new Replay({
    run: { id: "r", life: 1, startedAt: 0 },
    steps: [],
    send: async (part) => {
      sent.push(part);
      if (part.ended.length > 0 && !part.next) {
        writing.resolve();
        await sleep(20);
      }
      return { isCurrent: true, isSuspended: false, begun: part.begun.map((_, i) => `s${i}`), changed: [] } as unknown as Answer;
    },
    // What the run returns is large, so keeping it takes until the step before is on its way.
    keep: async (text) => {
      if (++kept === 2) await writing.promise;
      return { type: "text", text };
    },
    read: () => Promise.reject(new Error("nothing is read")),
    watch: () => () => undefined,
    log: () => undefined,
    signal: AbortSignal.timeout(5_000),
  });
  const leave = await replay.run((run) => run.step("one", () => "x"));
  assert.equal(leave, "ended");
  assert.equal(sent.at(-1)?.next?.type, "done");
});
