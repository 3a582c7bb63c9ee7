import assert from "node:assert/strict";
import { test } from "node:test";
import { gatherBeats } from "../../../appliance/gpu/door/beats.ts";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { openFakeState } from "../../fakes/state.ts";

test("beats that come about together are one write, and each machine is told what is meant for it", async () => {
  const written: number[] = [];
  const tell = gatherBeats({
    ...openFakeState(),
    mutation: async (_: unknown, { beats }: { beats: { machineId: string }[] }) => {
      written.push(beats.length);
      if (beats.some(({ machineId }) => machineId === "m300")) throw new Error("the disk is full");
      return beats.map(({ machineId }) => ({ isCurrent: machineId !== "m7", until: 1, isDraining: false }));
    },
  });
  const beatOf = (machineId: string) => tell({ machineId: machineId as Id<"machines">, epoch: 1, seq: 1 });
  const answers = await Promise.all(Array.from({ length: 250 }, (_, i) => beatOf(`m${i}`)));
  assert.deepEqual(written, [100, 100, 50]);
  assert.deepEqual(
    answers.flatMap(({ isCurrent }, i) => (isCurrent ? [] : [i])),
    [7],
  );
  await assert.rejects(beatOf("m300"), /disk is full/);
  assert.equal((await beatOf("m1")).isCurrent, true);
});
