import assert from "node:assert/strict";
import { test } from "node:test";
import { loadReader, openRoom, roomUnder, type Load } from "../../../appliance/host/load.ts";
import type { ReadingRoom } from "../../../convex/model/appliance.ts";

const quiet: Load = {
  othersCpu: 0.1,
  freeMemory: 0.5,
  memoryStall: 0,
  diskStall: 0,
  freeDisk: 0.5,
  freeDiskBytes: 2 ** 40,
};

test("a quiet machine gives all slots, a busy one fewer, and never none", () => {
  assert.deepEqual(roomUnder(quiet, 4), { slots: 4, slotsMax: 4 });
  assert.deepEqual(roomUnder({ ...quiet, othersCpu: 0.7 }, 4), { slots: 2, slotsMax: 4, because: "cpu" });
  assert.deepEqual(roomUnder({ ...quiet, othersCpu: 1 }, 4), { slots: 1, slotsMax: 4, because: "cpu" });
  assert.deepEqual(roomUnder({ ...quiet, freeMemory: 0.1 }, 4), { slots: 2, slotsMax: 4, because: "memory" });
  assert.deepEqual(roomUnder({ ...quiet, diskStall: 0.3 }, 4), { slots: 2, slotsMax: 4, because: "disk" });
  assert.deepEqual(roomUnder({ ...quiet, diskStall: 0.9 }, 4), { slots: 1, slotsMax: 4, because: "disk" });
  assert.deepEqual(roomUnder({ ...quiet, freeDiskBytes: 2 ** 28 }, 4), { slots: 1, slotsMax: 4, because: "disk" });
  assert.deepEqual(roomUnder({ ...quiet, memoryStall: 0.5 }, 1), { slots: 1, slotsMax: 1, because: "memory" });
});

test("room shrinks at once, grows only after some calm, and each change is told", async () => {
  let load = quiet;
  const told: ReadingRoom[] = [];
  const looked: (() => void)[] = [];
  const read = (): Load => {
    queueMicrotask(() => looked.shift()?.());
    return load;
  };
  const room = openRoom({ slotsMax: 4, report: (now) => told.push(now), everyMs: 1, read });
  const look = (): Promise<void> => new Promise((done) => looked.push(() => setImmediate(done)));
  const changes: number[] = [];
  room.onChange(() => changes.push(room.slots()));
  const alive = setInterval(() => {}, 1_000); // The room's own timer keeps no process alive.
  load = { ...quiet, othersCpu: 0.95 };
  await look();
  assert.equal(room.slots(), 1);
  load = quiet;
  for (let calm = 0; calm < 4; calm += 1) await look();
  assert.equal(room.slots(), 4);
  room.close();
  clearInterval(alive);
  assert.deepEqual(changes, [1, 4]);
  assert.deepEqual(
    told.map(({ slots, pressure }) => [slots, pressure?.cpu]),
    [
      [4, undefined],
      [1, 0.95],
      [4, 0.1],
    ],
  );
});

test("the machine's load is told in shares, our own work left out", async () => {
  const read = loadReader("/");
  const until = performance.now() + 60;
  while (performance.now() < until); // Our own work.
  const { othersCpu, freeMemory, memoryStall, diskStall, freeDisk } = await read();
  for (const share of [othersCpu, freeMemory, memoryStall, diskStall, freeDisk]) assert(share >= 0 && share <= 1, String(share));
  assert(freeMemory > 0);
});
