import assert from "node:assert/strict";
import { test } from "node:test";
import { findFlaw } from "../../../appliance/gpu/door/fitness.ts";
import type { GpuFact } from "../../../convex/model/agent.ts";

const fact = (name: string, memoryMb: number, more: Partial<GpuFact> = {}): GpuFact => ({
  name,
  uuid: "GPU-0",
  memoryMb,
  driver: "570.133",
  ...more,
});
const flawOf = (paid: { name: string; count: number; memoryMb: number }, ...gpus: GpuFact[]): string | undefined =>
  findFlaw({ provider: "runpod", gpu: paid }, { gpus, cpus: 8, memoryMb: 1, diskFreeMb: 1, system: "Linux" });
const l4 = { name: "L4", count: 1, memoryMb: 24_000 };

test("what vendors hand out when they keep their word is let in, however they and the driver count and spell", () => {
  assert.equal(flawOf(l4, fact("NVIDIA L4", 24_152)), undefined);
  assert.equal(flawOf({ name: "T4", count: 1, memoryMb: 17_179 }, fact("Tesla T4", 16_106)), undefined);
  assert.equal(flawOf({ name: "A10G", count: 1, memoryMb: 25_769 }, fact("NVIDIA A10G", 24_146)), undefined);
  assert.equal(flawOf({ name: "A100-80", count: 1, memoryMb: 80_000 }, fact("NVIDIA A100 80GB PCIe", 85_899)), undefined);
  assert.equal(flawOf({ name: "A100-40", count: 1, memoryMb: 40_000 }, fact("NVIDIA A100-SXM4-40GB", 42_949)), undefined);
  assert.equal(flawOf({ name: "RTX4090", count: 1, memoryMb: 24_000 }, fact("NVIDIA GeForce RTX 4090", 25_757)), undefined);
  assert.equal(flawOf({ name: "NEWER-X1", count: 1, memoryMb: 24_000 }, fact("NVIDIA Newer X1 Turbo", 24_000)), undefined);
  assert.equal(flawOf(l4, fact("NVIDIA L4", 24_152), fact("NVIDIA L4", 24_152)), undefined);
});

test("fewer, other, smaller, sick and throttled ones are named as what they are", () => {
  assert.match(flawOf(l4) ?? "", /shows no GPU/);
  assert.match(flawOf({ ...l4, count: 2 }, fact("NVIDIA L4", 24_152)) ?? "", /shows 1 GPUs; 2 x L4/);
  assert.match(
    flawOf({ name: "H100", count: 1, memoryMb: 80_000 }, fact("NVIDIA A100 80GB PCIe", 85_899)) ?? "",
    /an A100-80; an H100/,
  );
  assert.match(flawOf({ name: "A100-80", count: 1, memoryMb: 80_000 }, fact("NVIDIA A100-SXM4-40GB", 42_949)) ?? "", /A100-40/);
  assert.match(flawOf(l4, fact("NVIDIA L4", 12_000)) ?? "", /12 GB of memory; 24 GB/);
  assert.match(flawOf(l4, fact("NVIDIA L4", 24_152, { memoryErrors: 3 })) ?? "", /3 memory errors/);
  assert.match(flawOf(l4, fact("NVIDIA L4", 24_152, { isRetiring: true })) ?? "", /retired/);
  assert.match(flawOf(l4, fact("NVIDIA L4", 24_152, { isThrottled: true })) ?? "", /slowed down/);
});

test("the owner's own machines are what they are", () => {
  const none = { gpus: [], cpus: 1, memoryMb: 1, diskFreeMb: 1, system: "Linux" };
  for (const provider of ["local", "ssh"] as const) assert.equal(findFlaw({ provider, gpu: l4 }, none), undefined);
  assert.equal(findFlaw({ provider: "runpod", gpu: { ...l4, isSimulated: true } }, none), undefined);
  assert.equal(findFlaw({ provider: "scaleway" }, none), undefined);
});
